"""Bind folders of the host into a running container; a program of its own, run as `python -I -S`.

A process that blocks on dead storage, or that stands in a container's mount namespace, must not be
the hub: so this one does one job, read from stdin as JSON, and can be killed at any moment. Each
folder becomes a mount of its own that is attached nowhere (open_tree(2)), gets its flags there
(mount_setattr(2): nosuid, nodev, private, read-only where asked), and is then moved to its place in
the container (setns(2), move_mount(2)). So nothing is ever mounted on the host, a killed helper
leaves nothing behind, and the mounts end with the container. Needs Linux 5.12 and CAP_SYS_ADMIN.

Job: `{"pid", "runtime": [device, inode], "binds": [{"source", "target", "read_only"}]}`, or
`{"probe": FOLDER}` to try all calls in a namespace of our own. Answer: `{}`, or `{"error"}` and,
where a source is not there, `"missing"`. Only the standard library: nothing may be imported once
the container's file system is ours.
"""

import ctypes
import json
import os
import stat
import sys

OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442  # the same on every architecture since 5.2
AT_FDCWD = -100
CLONE_TREE = 0x1 | os.O_CLOEXEC | 0x8000 | 0x100  # clone, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW
TREE_ITSELF = 0x1000 | 0x8000  # AT_EMPTY_PATH, AT_RECURSIVE
BOTH_ENDS_OPEN = 0x4 | 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
READ_ONLY, NOSUID, NODEV = 0x1, 0x2, 0x4
PRIVATE = 1 << 18
NEW_MOUNTS = 0x20000  # CLONE_NEWNS
RUNTIME = "/run/labhub"

_libc = ctypes.CDLL(None, use_errno=True)


class MissingSource(OSError):
    """A folder of the host is not there."""


def checked(result: int, what: str) -> int:
    """Return the result of a system call; raise OSError where it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def detached(source: str, read_only: bool) -> int:
    """Return the descriptor of a mount of a host's folder that is attached nowhere yet."""
    try:
        if not stat.S_ISDIR(os.lstat(source).st_mode):
            raise NotADirectoryError(20, "is no folder", source)
    except FileNotFoundError as error:
        raise MissingSource(2, "is missing", source) from error
    path = ctypes.c_char_p(os.fsencode(source))
    tree = checked(_libc.syscall(OPEN_TREE, AT_FDCWD, path, ctypes.c_uint(CLONE_TREE)), source)
    flags = NOSUID | NODEV | (READ_ONLY if read_only else 0)
    attributes = (ctypes.c_uint64 * 4)(flags, 0, PRIVATE, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    checked(
        _libc.syscall(MOUNT_SETATTR, tree, b"", ctypes.c_uint(TREE_ITSELF), attributes, size),
        source,
    )
    return tree


def attach(tree: int, target: str) -> None:
    """Move a mount to a folder, which is made where it is missing; no link is followed."""
    place = os.open("/", os.O_PATH | os.O_DIRECTORY)
    for name in target.strip("/").split("/"):
        above = place
        try:  # noqa: SIM105 (contextlib is not loaded, and must not be here)
            os.mkdir(name, 0o755, dir_fd=above)
        except FileExistsError:
            pass
        place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
        os.close(above)
    checked(_libc.syscall(MOVE_MOUNT, tree, b"", place, b"", ctypes.c_uint(BOTH_ENDS_OPEN)), target)
    os.close(place)


def enter(pid: int, runtime: list[int]) -> None:
    """Enter a container's mount namespace; refuse one that is not the expected container's."""
    process = os.pidfd_open(pid)
    checked(_libc.setns(process, NEW_MOUNTS), "setns")
    found = os.stat(RUNTIME)  # noqa: PTH116 (pathlib is not loaded, and must not be here)
    if [found.st_dev, found.st_ino] != runtime:
        raise OSError(1, "is not the expected container", f"process {pid}")


def probe(folder: str) -> None:
    """Make every call once, in a mount namespace of our own that ends with us."""
    checked(_libc.unshare(NEW_MOUNTS), "unshare")
    checked(_libc.mount(None, b"/", None, PRIVATE | 0x4000, None), "mount")  # MS_REC
    attach(detached(folder, True), folder)
    os.close(os.pidfd_open(os.getpid()))


def main() -> None:
    """Do the job of stdin and print how it went."""
    job = json.load(sys.stdin)
    answer = {}
    try:
        if "probe" in job:
            probe(job["probe"])
        else:
            trees = [(detached(b["source"], b["read_only"]), b["target"]) for b in job["binds"]]
            enter(job["pid"], job["runtime"])
            for tree, target in trees:
                attach(tree, target)
    except MissingSource as error:
        answer = {"error": f"{error.filename} is missing", "missing": True}
    except (OSError, AttributeError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
