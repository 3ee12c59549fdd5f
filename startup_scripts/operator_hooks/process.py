"""Start a command as root or as the user, in a session of its own."""

import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn, Optional

from privileges import SET_NO_NEW_PRIVILEGES, Identity, control, drop


def enter_home(environ: Mapping[str, str]) -> None:
    """Set NB_UMASK and enter HOME, with the user's rights: root may not reach it (NFS)."""
    mask = environ.get("NB_UMASK", "")
    os.umask(int(mask, 8) if mask.isdecimal() and not set(mask) & set("89") else 0o022)
    try:
        os.chdir(environ.get("HOME", "/"))
    except OSError:
        os.chdir("/")


def start(
    words: list[str], environ: dict[str, str], output: int, user: Optional[Identity]
) -> tuple[int, int]:
    """Start a command; as root in `/`, or as the user in the home.

    Args:
        words: The command; the first is its path.
        environ: Its whole environment.
        output: Descriptor of its stdout and stderr.
        user: Who it becomes; None for who we are.

    Returns:
        The process, and a descriptor that is at its end once the command runs, or from which the
        error's number can be read: entering a home may take for ever, so nobody waits for it here.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(words, environ, output, user, writing)
    os.close(writing)
    os.set_blocking(reading, False)
    return child, reading


def _become(
    words: list[str], environ: dict[str, str], output: int, user: Optional[Identity], errors: int
) -> NoReturn:
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        restore_signals()
        if user is None:
            os.umask(0o022)
            os.chdir("/")
        else:
            if os.geteuid() == 0:
                drop(user, dumpable=False)  # until exec closes what root opened
            else:
                control(SET_NO_NEW_PRIVILEGES, 1)
            enter_home(environ)
        os.execve(words[0], words, environ)  # noqa: S606 # no shell is wanted
    except OSError as error:
        os.write(errors, str(error.errno).encode())
    finally:
        os._exit(127)


def restore_signals() -> None:
    """Take back what Python ignores: a command must end where its reader is gone."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def execute(words: list[str], environ: dict[str, str]) -> NoReturn:
    """Replace this process by a command; exit as a shell does where it cannot be run."""
    restore_signals()
    try:
        os.execvpe(words[0], words, environ)  # noqa: S606
    except OSError as error:
        print(f"labhub: {words[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)
