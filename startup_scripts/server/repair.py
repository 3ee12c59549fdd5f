"""Set again what an interpreter and its modules fixed before the owner was known.

Read from the environment while they are imported, as noted by `reads.py`: HOME and the uid by
send2trash, HOME by sysconfig, USER by jupyter_client, the working directory by multiprocessing.
"""

import importlib
import multiprocessing.process
import os
import site
import sys
import sysconfig
import time
from importlib.metadata import distributions

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MANAGERS = "jupyterlab.extension_manager_v1"


def repair(folder: str) -> None:
    """Set the path, the user's packages, the time zone and some modules by `os.environ`.

    Args:
        folder: Where the server's console script lies: the first entry of its `sys.path`.
    """
    time.tzset()
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    ours = ("", SCRIPTS, f"{SCRIPTS}/server", f"{SCRIPTS}/start", f"{SCRIPTS}/operator_hooks")
    sys.path[:] = [folder, *(entry for entry in sys.path if entry not in (*ours, folder))]
    _add_user_site()
    _set_user_name(os.environ.get("USER", "username"))
    multiprocessing.process.ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]
    if "send2trash.plat_other" in sys.modules:  # where the home's trash is, and whose
        importlib.reload(sys.modules["send2trash.plat_other"])


def _add_user_site() -> None:
    """Put the user's packages behind the image's: none of theirs replaces one of the server's."""
    site.USER_BASE = site.USER_SITE = None
    site.ENABLE_USER_SITE = (
        not os.environ.get("PYTHONNOUSERSITE")
        and (os.getuid(), os.getgid()) == (os.geteuid(), os.getegid())
        and sys.base_prefix in site.PREFIXES  # a venv closed to other packages has it not
    )
    folder = site.getusersitepackages()
    sysconfig.get_config_vars()["userbase"] = site.getuserbase()
    if not site.ENABLE_USER_SITE or not os.path.isdir(folder):
        return
    site.addsitedir(folder)
    extensions = sys.modules.get("jupyterlab.extensions")
    for found in distributions(path=[folder]) if extensions else ():
        for entry in found.entry_points.select(group=MANAGERS):
            extensions.MANAGERS.setdefault(entry.name, entry)  # type: ignore[union-attr]


def _set_user_name(name: str) -> None:
    """Set whose name is in the messages to kernels; traitlets keeps a class's defaults twice."""
    from jupyter_client.session import Session  # noqa: PLC0415 # imported by `preload`

    old, Session.username.default_value = Session.username.default_value, name
    kinds = [Session]
    for kind in kinds:
        kinds += kind.__subclasses__()
        fixed = getattr(kind, "_static_immutable_initial_values", {})
        if fixed.get("username") == old:
            fixed["username"] = name
