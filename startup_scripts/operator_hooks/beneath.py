"""Open folders and files beneath descriptors, through no link.

Every component is opened beneath the one before and looked at on its own descriptor, so that what
was checked is what is used, whoever renames things meanwhile. What is neither a directory nor a
regular file is never opened at all: opening a device or a pipe has effects.
"""

import os
import stat

from trust import Admin, Refused

KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_folder(path: str, admin: Admin) -> int:
    """Open a folder, checking it and all above it; raise FileNotFoundError where it is missing."""
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    seen = ""
    try:
        for name in os.path.normpath(path).strip("/").split("/"):
            seen += "/" + name
            above, folder = folder, open_beneath(folder, name, seen, os.O_DIRECTORY)
            os.close(above)
            admin.check(seen, os.fstat(folder))
    except BaseException:
        os.close(folder)
        raise
    return folder


def open_beneath(folder: int, name: str, path: str, flags: int = 0) -> int:
    """Open a regular file of `folder` for reading, or a directory with the flag O_DIRECTORY."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
    try:
        kind = stat.S_IFMT(os.fstat(found).st_mode)
        if kind != (stat.S_IFDIR if flags & os.O_DIRECTORY else stat.S_IFREG):
            wanted = "the folder itself" if flags & os.O_DIRECTORY else "the file itself"
            raise Refused(f"{path} is {KINDS.get(kind, 'something else')}: put {wanted} there")
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | flags)
    finally:
        os.close(found)
