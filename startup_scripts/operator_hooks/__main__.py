"""Run the operators' hooks: as-root.sh as root, then as-user.sh as the user.

Started by before-notebook.d/50-operator-hooks.sh as `python3 -I operator_hooks`, in our images and
in those of docker-stacks; Python 3.9 and its standard library are enough. The exit code is 78 when
a hook that is required has failed and the start must end, 0 otherwise.
"""

import os
import sys

from hook import run_hook
from settings import read_settings

REFUSED = 78


def main() -> int:
    """Run both hooks; a required one that fails is the last."""
    settings = read_settings(os.environ)
    os.umask(0o022)
    os.chdir("/")
    for step in ("as-root", "as-user"):
        if not run_hook(settings, step):
            return REFUSED
    return 0


sys.exit(main())
