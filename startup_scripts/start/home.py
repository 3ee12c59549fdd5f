"""The user's home.

What lies in a home is read and written with the user's rights only, never with root's; the
exception is own.py, which follows no link.
"""

import contextlib
import os

from own import change_owners
from privileges import FAILED, Identity, run_as
from process import execute
from refusal import StartRefused
from report import report

# What SQLite and sockets need is a local disk, which a home often is not.
LOCAL = "/var/lib/labhub"
RUNTIME = f"{LOCAL}/runtime"
EMPTY, NOT_WRITABLE = 1, 2


def make_home(user: str, identity: Identity) -> None:
    """Make the home where it is missing, fill it where it is empty, warn where it is not theirs."""
    home, uid = f"/home/{user}", identity.uid
    if os.path.islink(home):
        raise StartRefused(f"{home} is a symbolic link; a home must be a directory.")
    if not os.path.exists(home):
        try:
            os.mkdir(home, 0o700)
        except OSError as error:
            raise StartRefused(f"The folder {home} cannot be made.") from error
    if not os.path.isdir(home):
        raise StartRefused(f"{home} is no directory, so it cannot be a home.")
    # An empty directory of root's is a volume that was made just now.
    if os.stat(home).st_uid == 0 and is_empty(home):
        os.chown(home, uid, identity.gid, follow_symlinks=False)
        os.chmod(home, 0o700)
    change_owners(home, uid, identity.gid)
    make_local(identity)
    seen = run_as(identity, lambda: look(home))
    if seen == FAILED:
        raise StartRefused("Root's rights cannot be given up here: is SETPCAP missing?")
    if seen & EMPTY:
        fill(home, user, identity)
    if seen & NOT_WRITABLE:
        owner = os.stat(home).st_uid
        said = f"Your home folder cannot be written to: it belongs to user id {owner}, not {uid}."
        report("account", "warning", said)


def is_empty(home: str) -> bool:
    """Tell whether a folder holds no more than a new file system does."""
    try:
        with os.scandir(home) as entries:
            return all(entry.name == "lost+found" for entry in entries)
    except OSError:
        return False


def make_local(identity: Identity) -> None:
    """Make the folder on local disk; when the container starts again, take it back as it was."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(LOCAL, 0o700)
    local = os.open(LOCAL, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    os.fchown(local, identity.uid, identity.gid)
    os.fchmod(local, 0o700)
    os.close(local)
    os.environ.update(LABHUB_LOCAL=LOCAL, JUPYTER_RUNTIME_DIR=RUNTIME)


def look(home: str) -> int:
    """Look at the home, as the user, and make what a server needs."""
    # The user may have put a link there before the container was started again.
    with contextlib.suppress(OSError):
        os.makedirs(RUNTIME, 0o700, exist_ok=True)
    writable = os.access(home, os.W_OK | os.X_OK)
    return (EMPTY if is_empty(home) else 0) | (0 if writable else NOT_WRITABLE)


def fill(home: str, user: str, identity: Identity) -> None:
    """Copy the files of a first start into the empty home, as its owner."""
    old = "/home/jovyan"
    source = old if user != "jovyan" and os.path.isdir(old) and not os.path.islink(old) else ""
    reading, writing = os.pipe()
    pack = ["/bin/tar", "-C", source or "/etc/skel", "-c", "."]
    packing = os.posix_spawn(
        pack[0], pack, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)]
    )
    os.close(writing)

    def unpack() -> int:
        os.dup2(reading, 0)
        words = ["tar", "-C", home, "-x", "--no-same-owner", "--no-overwrite-dir"]
        execute(words, dict(os.environ))

    failed = run_as(identity, unpack)
    os.close(reading)
    os.waitpid(packing, 0)
    if failed:
        said = "Your home folder did not get its first files; is the disk full?"
        report("account", "warning", said)
