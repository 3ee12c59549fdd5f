"""Import what the single-user server needs, before anybody owns it.

Runs as root, in a process that waits for its owner: nothing of a person is read, no thread is
started and no descriptor stays open. What is personal while it is imported (`PERSONAL`) is left to
`serve`; all that it needs in turn is imported here.
"""

import gc
import importlib
import os
import sys
from contextlib import suppress

from .certificates import certificates_read_later
from .known import make_lazy
from .lazy import withdraw_stand_ins
from .reads import Reads, noted_reads

# The roots of what a server has imported when it has answered, opened its pages and run a kernel.
MODULES = (
    *("jupyter_server.serverapp", "jupyter_server.extension.application", "jupyter_server.auth"),
    *(
        f"jupyter_server.services.{name}.handlers"
        for name in ("api", "config", "contents", "events", "kernels", "kernelspecs")
    ),
    *(f"jupyter_server.services.{name}.handlers" for name in ("nbconvert", "security", "sessions")),
    *(f"jupyter_server.{name}.handlers" for name in ("files", "kernelspecs", "nbconvert", "view")),
    *("jupyter_server.services.shutdown", "tornado.platform.asyncio", "jinja2.ext"),
    *("jupyterhub._xsrf_utils", "jupyterhub.log", "jupyterhub.scopes", "jupyterhub.utils"),
    *(f"jupyterlab.{name}" for name in ("commands", "coreconfig", "debuglog", "extensions")),
    *(
        f"jupyterlab.handlers.{name}"
        for name in ("build_handler", "error_handler", "extension_manager_handler")
    ),
    *("jupyterlab.handlers.plugin_manager_handler", "notebook.app", "notebook_shim.nbserver"),
    *("jupyter_server_terminals.app", "nbgitpuller", "jupyter_resource_usage.server_extension"),
    *("IPython.paths", "ipykernel.kernelspec"),
)
# Their classes hold defaults from the environment and from HOME.
PERSONAL = ("jupyterhub.services.auth", "jupyterhub.singleuser", "jupyterlab.labapp")
# Who reads what that `serve` sets right (`repair.py`), or that does not matter.
REPAIRED = {
    ("HOME", "sysconfig"),
    ("PYTHONUSERBASE", "sysconfig"),
    ("HOME", "send2trash.plat_other"),
    ("XDG_DATA_HOME", "send2trash.plat_other"),
    ("USER", "jupyter_client.session"),
}
# It keeps a copy for CGI programs, which nobody runs.
COPIES = ("wsgiref.handlers",)
# Read by Python itself, the loader and the C library when an interpreter starts.
FIXED = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_")

_before: dict[str, str] = {}
_reads: Reads = set()


def preload() -> None:
    """Import the server; write a line to stderr for what could not be left out."""
    _before.update(os.environ)
    gc.disable()  # nothing of all this is garbage
    try:
        for line in make_lazy():
            print(line, file=sys.stderr, flush=True)
        with noted_reads() as reads, certificates_read_later():
            for name in MODULES:
                with suppress(ImportError):  # an image may have less; `main` says what is missed
                    importlib.import_module(name)
        _reads.update(reads)
        withdraw_stand_ins()
        gc.freeze()  # it stays for good: never look through it again
    finally:
        gc.enable()


def fits(environ: dict[str, str]) -> bool:
    """Tell whether this interpreter may serve under an environment.

    Args:
        environ: The owner's, complete.

    Returns:
        False where a variable differs that was read when the interpreter started, or by a module
        while it was imported.
    """
    read = {name for name, module in _reads - REPAIRED if module not in COPIES}
    fixed = {name for name in {*_before, *environ} if name.startswith(FIXED)}
    return all(_before.get(name) == environ.get(name) for name in read | fixed)
