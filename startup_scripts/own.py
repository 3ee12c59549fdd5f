"""Give directories to the user, following no link: `own.py [-R] UID GID DIRECTORY...`.

A user may have put links anywhere below. Each entry is held by a descriptor while it is looked at
and given away; symbolic links, other file systems and files with a second name stay as they are.
"""

import os
import stat
import sys


def own_entry(name: str, at: int, uid: int, gid: int, device: int) -> None:
    """Give one entry of the directory `at` away, unless it is a link or lies elsewhere."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=at)
    try:
        found = os.fstat(descriptor)
        linked = stat.S_ISLNK(found.st_mode) or (
            not stat.S_ISDIR(found.st_mode) and found.st_nlink > 1
        )
        if not linked and found.st_dev == device:
            os.chown(f"/proc/self/fd/{descriptor}", uid, gid)
    finally:
        os.close(descriptor)


def own(path: str, uid: int, gid: int, recursive: bool) -> None:
    """Give the directory `path` away, and with `recursive` what lies below it."""
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    device = os.fstat(top).st_dev
    os.fchown(top, uid, gid)
    if not recursive:
        return
    for _, folders, files, at in os.fwalk(".", dir_fd=top):
        if os.fstat(at).st_dev != device:
            folders.clear()
            continue
        for name in folders + files:
            own_entry(name, at, uid, gid, device)


def main(arguments: list[str]) -> int:
    """Give away every directory; return 1 when one could not be."""
    recursive = arguments[:1] == ["-R"]
    uid, gid, *paths = arguments[1:] if recursive else arguments
    failed = 0
    for path in paths:
        try:
            own(path, int(uid), int(gid), recursive)
        except OSError as error:
            print(f"labhub: {path}: {error.strerror}", file=sys.stderr)
            failed = 1
    return failed


sys.exit(main(sys.argv[1:]))
