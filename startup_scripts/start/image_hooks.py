"""The image's hooks: start-notebook.d and before-notebook.d, run as docker-stacks images do.

In the order of their names, *.sh files are sourced by a bash of their own (run-hooks.sh) and other
executable files are run. What a sourced hook exports and the folder it changes to last. A failure
is reported, and the start goes on. The operators' hooks among them need no other process.
"""

import contextlib
import errno
import os
import signal
import sys
import time

from hook import run_hooks
from private import new_path
from refusal import REFUSED
from report import report

FOLDERS = "/usr/local/bin"
SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPERATORS = f"{SCRIPTS}/before-notebook.d/50-operator-hooks.sh"
# A descriptor that no hook uses by chance; bash's own is 255.
KEPT = 200
NOT_KEPT = ("_", "SHLVL", "PWD", "OLDPWD")
PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)


def run_folder(step: str) -> None:
    """Run every hook of a folder; exit where one refuses the start."""
    folder = f"{FOLDERS}/{step}"
    if not os.path.isdir(folder):
        return
    began = time.monotonic()
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        if name.startswith(".") or not os.path.isfile(path):
            continue
        status = run_one(path)
        # A hook that must stop the start exports this and exits; any other exit only ends the hook.
        if os.environ.pop("LABHUB_START_REFUSED", ""):
            sys.exit(REFUSED)
        if status:
            said = f"The image's script {name} has failed (exit code {status}); the start goes on."
            report(step, "warning", said)
    report(step, "done", "The image's scripts are done.", time.monotonic() - began)


def run_one(path: str) -> int:
    """Run one hook; return its exit code as a shell sees it."""
    if os.path.exists(OPERATORS) and os.path.samefile(path, OPERATORS):
        run_operators_hooks()
        return 0
    if path.endswith(".sh"):
        return source(path)
    return run([path]) if os.access(path, os.X_OK) else 0


def run_operators_hooks() -> None:
    """Run as-root.sh and as-user.sh; exit where one that is required was not done."""
    try:
        if run_hooks():
            return
    except OSError as error:
        print(f"labhub: the operators' hooks could not be run ({error})", file=sys.stderr)
        wanted = (os.environ.get(f"LABHUB_HOOK_AS_{who}") for who in ("ROOT", "USER"))
        if "required" not in wanted:
            return
    sys.exit(REFUSED)


def run(words: list[str], kept: int = -1) -> int:
    """Run a program to its end; return its exit code as a shell sees it."""
    actions = [] if kept < 0 else [(os.POSIX_SPAWN_DUP2, kept, KEPT)]
    try:
        child = os.posix_spawn(
            words[0], words, os.environ, file_actions=actions, setsigdef=PYTHON_IGNORES
        )
    except OSError as error:
        if error.errno == errno.ENOEXEC and words[0] != "/bin/bash":  # a script that does not say
            return run(["/bin/bash", *words])
        print(f"labhub: {words[0]}: {error.strerror}", file=sys.stderr)
        return 126
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def source(path: str) -> int:
    """Source a script in bash, and take over its exported variables and its folder."""
    dump = new_path()
    kept = os.open(dump, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(dump)
    with open(kept, "rb") as pairs:
        status = run(["/bin/bash", f"{SCRIPTS}/run-hooks.sh", path, str(KEPT)], kept)
        pairs.seek(0)
        take_over(dict(pair.split(b"=", 1) for pair in pairs.read().split(b"\0") if b"=" in pair))
    return status


def take_over(left: dict[bytes, bytes]) -> None:
    """Make the variables and the folder that a hook left our own; it may have left none."""
    with contextlib.suppress(OSError):
        os.chdir(left.pop(b"LABHUB_PWD", b"."))
    names = {os.fsdecode(name): value for name, value in left.items()}
    for name in list(os.environ) if names else []:
        if is_plain(name) and name not in names:
            del os.environ[name]
    for name in filter(is_plain, names):
        os.environ[name] = os.fsdecode(names[name])


def is_plain(name: str) -> bool:
    """Tell whether a variable is one of those that last."""
    return name.isidentifier() and name.isascii() and name not in NOT_KEPT
