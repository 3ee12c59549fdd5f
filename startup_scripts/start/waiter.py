"""Wait for an owner with the single-user server imported, and become the owner's server.

Two processes, both root's. The *claim process* (`claim.py`), forked before anything heavy is
imported, listens on a socket, and once it is claimed runs the start chain. This one imports the
server meanwhile, is then told who the owner is, drops every privilege and runs the server itself.
Either ends when the other does; SIGTERM ends both. As long as nobody has claimed it, there is
nobody's data in here.
"""

import json
import os
import signal
import sys
import time
from typing import NoReturn

from fitness import Before, close_descriptors
from privileges import Identity, drop
from process import enter_home, execute
from runtime import FOLDER, check_folder, write_ready

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def wait(arguments: list[str]) -> NoReturn:
    """Wait for an owner and become the server; `arguments` are the server's."""
    check_folder()
    reading, writing = os.pipe()
    me, claim = os.getpid(), os.fork()
    if claim == 0:
        os.close(reading)
        serve_claim(me, writing)
    os.close(writing)
    signal.signal(signal.SIGCHLD, lambda *_: end_with(claim, os.WNOHANG))
    forget_ourselves()
    before = Before()
    from server.preload import fits, preload  # noqa: PLC0415 # the claim process comes first
    from server.serve import serve  # noqa: PLC0415

    preload()
    write_ready()
    with open(reading, "rb") as told:
        message = told.read()
    end_with(claim, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    owner = json.loads(message)
    environ: dict[str, str] = owner["environment"]
    reasons = [*before.reasons(), *([] if fits(environ) else ["another environment"])]
    become(Identity(*owner["identity"]), environ)
    if not reasons:
        serve(arguments, environ)
    print(f"labhub: server: A new Python is started ({', '.join(reasons)}).", file=sys.stderr)
    execute([sys.executable, "-s", "-B", f"{SCRIPTS}/server", *arguments], environ)


def serve_claim(main: int, told: int) -> NoReturn:
    """Be the claim process; end as the start chain does, and whatever happens never return."""
    code = 1
    try:
        import claim  # noqa: PLC0415 # here, and not in the process that becomes the server

        claim.run(main, told, FOLDER)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def end_with(claim: int, options: int) -> None:
    """End with the claim process's exit code where it has failed."""
    try:
        child, status = os.waitpid(claim, options)
    except ChildProcessError:
        return  # it has ended well, and we know
    if child and status:
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code > 0 else 128 - code)


def forget_ourselves() -> None:
    """Make this interpreter look as one that was started for the server."""
    sys.path[:2] = [SCRIPTS]
    folders = (f"{SCRIPTS}/start/", f"{SCRIPTS}/operator_hooks/")
    for name, module in list(sys.modules.items()):
        if name != "__main__" and (getattr(module, "__file__", None) or "").startswith(folders):
            del sys.modules[name]


def become(identity: Identity, environ: dict[str, str]) -> None:
    """Give up all that is root's: descriptors, environment, ids and capabilities."""
    close_descriptors()
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    drop(identity)
    enter_home(environ)
