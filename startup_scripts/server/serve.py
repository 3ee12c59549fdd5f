"""Become the single-user server of an owner, in an interpreter that has imported it already.

Called with the owner's rights, umask and working directory. Everything that the interpreter fixed
when it started is set again, then JupyterHub's own `main` runs as its console script runs it.
"""

import os
import sys
from typing import NoReturn

from .repair import repair


def serve(arguments: list[str], environ: dict[str, str]) -> NoReturn:
    """Run the single-user server; end with its exit code.

    Args:
        arguments: Its command line.
        environ: The owner's environment, which replaces this process's own as a whole.
    """
    os.environ.clear()
    os.environ.update(environ)
    folder = os.path.dirname(sys.executable)
    sys.argv = [os.path.join(folder, "jupyterhub-singleuser"), *arguments]
    repair(folder)
    for name in [name for name in sys.modules if f"{name}.".startswith("server.")]:
        del sys.modules[name]  # the owner may have a package of that name
    from jupyterhub.singleuser import main  # noqa: PLC0415 # reads the owner's environment

    sys.exit(main())
