"""Give directories to the user, following no link: CHOWN_HOME and CHOWN_EXTRA.

A user may have put links anywhere below. Each entry is held by a descriptor while it is looked at
and given away; symbolic links, other file systems and files with a second name stay as they are.
"""

import os
import stat
import sys

from report import report


def change_owners(home: str, uid: int, gid: int) -> None:
    """Give the home, and what CHOWN_EXTRA lists, to the user, where the settings ask for it."""
    if os.environ.get("CHOWN_HOME") in ("1", "yes"):
        recursive = "-R" in os.environ.get("CHOWN_HOME_OPTS", "")
        if not own_all([home], uid, gid, recursive):
            report("account", "warning", "Not all of your home folder could be given to you.")
    if extra := os.environ.get("CHOWN_EXTRA"):
        recursive = "-R" in os.environ.get("CHOWN_EXTRA_OPTS", "")
        if not own_all(extra.split(","), uid, gid, recursive):
            report("account", "warning", "Not all of CHOWN_EXTRA could be given to you.")


def own_all(paths: list[str], uid: int, gid: int, recursive: bool) -> bool:
    """Give every directory away; return False when one could not be."""
    all_done = True
    for path in paths:
        try:
            own(path, uid, gid, recursive)
        except OSError as error:
            print(f"labhub: {path}: {error.strerror}", file=sys.stderr)
            all_done = False
    return all_done


def own(path: str, uid: int, gid: int, recursive: bool) -> None:
    """Give the directory `path` away, and with `recursive` what lies below it."""
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        device = os.fstat(top).st_dev
        os.fchown(top, uid, gid)
        for _, folders, files, at in os.fwalk(".", dir_fd=top) if recursive else ():
            if os.fstat(at).st_dev != device:
                folders.clear()
                continue
            for name in folders + files:
                own_entry(name, at, uid, gid, device)
    finally:
        os.close(top)


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
