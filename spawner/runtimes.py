"""Runtime directories: where the hub and one server tell each other what root alone may know.

Each is `/run/labhub` in one container, 0700, in memory: a small tmpfs of its own, so that nobody
who becomes root in a server can fill everyone's. Where the hub may not mount they are plain
directories below the one folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

MOUNT_POINTS = ("hooks", "logs")
"""Empty folders in a runtime directory; mounts and logs go there."""

INODES = 256
NOSUID, NODEV, NOEXEC, PRIVATE = 0x2, 0x4, 0x8, 1 << 18
DETACH_ITSELF = 0x2 | 0x8
"""umount2(2): also while it is used, and never the place that a link names."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Runtimes:
    """The runtime directories of a hub's servers. All calls but `path` block: run them in a thread.

    Attributes:
        folder: The folder of all of this hub.
        size_kib: How much one may hold, KiB.
    """

    folder: Path
    size_kib: int

    def path(self, runtime_id: str) -> Path:
        """Return a runtime directory."""
        return self.folder / runtime_id

    def ids(self) -> list[str]:
        """Return the ids of all runtime directories."""
        return [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []

    def open(self, runtime_id: str) -> Path:
        """Make a runtime directory, empty.

        Raises:
            OSError: it cannot be made, or the one before cannot be removed.
        """
        self.close(runtime_id)
        path = self.path(runtime_id)
        path.mkdir(mode=0o700, parents=True)
        options = f"size={self.size_kib}k,nr_inodes={INODES},mode=0700"
        with contextlib.suppress(PermissionError):  # prepare_runtime has said so
            mount_tmpfs(path, options)
        for name in MOUNT_POINTS:
            (path / name).mkdir(mode=0o700)
        return path

    def close(self, runtime_id: str) -> None:
        """Remove a runtime directory, whatever root in the container left there.

        Raises:
            OSError: it cannot be removed, or something else is mounted in it.
        """
        path = self.path(runtime_id)
        if not path.is_dir():
            return
        while _libc.umount2(os.fsencode(path), DETACH_ITSELF) == 0:
            pass
        gone = path.with_name(f".gone-{secrets.token_hex(4)}")
        path.rename(gone)  # whatever becomes of the rest, its name is free
        # trees of any depth, through no link and into no mount
        command = ["rm", "-rf", "--one-file-system", "--", str(gone)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(errno.EBUSY, done.stderr.strip()[:300], str(gone))


def mount_tmpfs(path: Path, options: str) -> None:
    """Mount an empty tmpfs that is private to this mount namespace.

    Raises:
        OSError: it was refused.
    """
    place = os.fsencode(path)
    flags = NOSUID | NODEV | NOEXEC
    for source, kind, flag, data in (
        (b"labhub", b"tmpfs", flags, options.encode()),
        (None, None, PRIVATE, None),
    ):
        if _libc.mount(source, place, kind, ctypes.c_ulong(flag), data) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))


def prepare_runtime(folder: Path) -> str:
    """Make the folder of all runtime directories, on a tmpfs where we may mount one.

    Returns:
        A sentence for the log when it is not on a tmpfs, else "".
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if on_tmpfs(folder):
        return ""
    try:
        mount_tmpfs(folder, "size=64m,mode=0700")
    except OSError as error:
        return f"{folder} is not on a tmpfs and none could be mounted: {error.strerror}"
    return ""


def on_tmpfs(folder: Path) -> bool:
    """Tell whether a folder lies on a tmpfs, by the mount that is nearest above it."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4]
        inside = point == "/" or f"{folder.resolve()}/".startswith(f"{point}/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind == "tmpfs"
