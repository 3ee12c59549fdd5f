"""Bind folders of the host into a running container; a program of its own, run as `python -I -S`.

A process that blocks on dead storage, or that stands in a container's mount namespace, must not be
the hub: so this one does one job, read from stdin as JSON, and can be killed at any moment. Each
folder becomes a mount of its own that is attached nowhere (open_tree(2)), gets its flags there
(mount_setattr(2): nosuid, nodev, private, read-only where asked), and is then moved to its place in
the container (setns(2), move_mount(2)). So nothing is ever mounted on the host, a killed helper
leaves nothing behind, and the mounts end with the container. Needs Linux 5.12 and CAP_SYS_ADMIN.

A source is opened step by step. A link is followed only where nobody but root can have put it: an
operator's own links work, and one that a person put into a share leads nowhere.

Job: `{"pid", "runtime": [device, inode], "binds": [{"source", "target", "read_only"}]}`, or
`{"probe": FOLDER}` to try all calls in a namespace of our own. Answer: `{}`, or `{"error"}`, with
`"fault": "missing"` where a source is not there and `"refused"` where a link was refused. Only the
standard library, and nothing may be imported once the container's file system is ours: not even a
traceback is printed there, which would read its source.
"""

import ctypes
import json
import os
import signal
import stat
import sys

OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442  # the same on every architecture since 5.2
TREE_ITSELF = 0x1000 | 0x8000  # AT_EMPTY_PATH, AT_RECURSIVE
CLONE_TREE = 0x1 | os.O_CLOEXEC | TREE_ITSELF
BOTH_ENDS_OPEN = 0x4 | 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
READ_ONLY, NOSUID, NODEV = 0x1, 0x2, 0x4
PRIVATE = 1 << 18
NEW_MOUNTS = 0x20000  # CLONE_NEWNS
PARENT_DEATH_SIGNAL = 1  # prctl(2)
MOST_LINKS = 40
RUNTIME = "/run/labhub"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.syscall.restype = ctypes.c_long


class MissingSource(OSError):
    """A folder of the host is not there."""


class RefusedSource(OSError):
    """A folder's path goes through a link that others than root may have made."""


def checked(result: int, what: str) -> int:
    """Return the result of a system call; raise OSError where it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def call(what: str, number: int, *arguments: object) -> int:
    """Make a system call that the C library may not have; integers are as long as the kernel's."""
    longs = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return checked(_libc.syscall(ctypes.c_long(number), *longs), what)


def opened(source: str) -> int:
    """Return the descriptor of a folder of the host.

    Raises:
        MissingSource: it is not there.
        RefusedSource: its path goes through somebody's link, or it is no folder.
    """
    place = os.open("/", os.O_PATH | os.O_DIRECTORY)
    names, links = source.strip("/").split("/"), 0
    try:
        while names:
            name, above = names.pop(0), place
            if name in ("", "."):
                continue
            place = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=above)
            found, folder = os.fstat(place), os.fstat(above)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if folder.st_uid != 0 or folder.st_mode & 0o022 or links > MOST_LINKS:
                    raise RefusedSource(40, f"{name} is a link that anybody may have made", source)
                target = os.readlink("", dir_fd=place)
                os.close(place)
                place = os.open("/", os.O_PATH) if target.startswith("/") else os.dup(above)
                names[:0] = target.split("/")
            elif not stat.S_ISDIR(found.st_mode):
                raise RefusedSource(20, f"{name} is no folder", source)
            os.close(above)
    except FileNotFoundError as error:
        raise MissingSource(2, "is missing", source) from error
    return place


def detached(source: str, read_only: bool) -> int:
    """Return the descriptor of a mount of a host's folder that is attached nowhere yet."""
    tree = call(source, OPEN_TREE, opened(source), b"", CLONE_TREE)
    flags = NOSUID | NODEV | (READ_ONLY if read_only else 0)
    attributes = (ctypes.c_uint64 * 4)(flags, 0, PRIVATE, 0)
    size = ctypes.sizeof(attributes)
    call(source, MOUNT_SETATTR, tree, b"", TREE_ITSELF, attributes, size)
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
    call(target, MOVE_MOUNT, tree, b"", place, b"", BOTH_ENDS_OPEN)
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


def run(job: dict) -> dict:  # type: ignore[type-arg] # typing takes a fifth of our time
    """Do a job; return the answer to it."""
    try:
        if "probe" in job:
            probe(job["probe"])
        else:
            trees = [(detached(b["source"], b["read_only"]), b["target"]) for b in job["binds"]]
            enter(job["pid"], job["runtime"])
            for tree, target in trees:
                attach(tree, target)
    except MissingSource as error:
        return {"error": f"{error.filename} is missing", "fault": "missing"}
    except RefusedSource as error:
        return {"error": f"{error.filename}: {error.strerror}", "fault": "refused"}
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def main() -> None:
    """Do the job of stdin, print how it went, and end without any clean-up or import."""
    hub = os.getppid()
    checked(_libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = json.load(sys.stdin)
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path.clear()
    sys.excepthook = lambda *_: os._exit(1)
    answer = run(job) if os.getppid() == hub else {"error": "the hub has gone"}
    os.write(1, json.dumps(answer).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
