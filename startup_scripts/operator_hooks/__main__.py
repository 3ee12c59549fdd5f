"""Run the operators' hooks: as-root.sh as root, then as-user.sh as the user.

Started by before-notebook.d/50-operator-hooks.sh as `python3 -I operator_hooks` in the images of
docker-stacks (our start chain imports `hook`); Python 3.9 and its standard library are enough. The
exit code is 78 when a hook that is required has failed and the start must end, 0 otherwise.
"""

import os
import sys

from hook import run_hooks

REFUSED = 78


def main() -> int:
    """Run both hooks; return the exit code."""
    os.umask(0o022)
    os.chdir("/")
    return 0 if run_hooks() else REFUSED


sys.exit(main())
