"""Which folders may be handed to servers, and where servers may see them: pure text, no I/O.

Whoever can write to a server's mount is, seen from the host, root in that folder for a moment. So a
folder of the system, or one that holds the engine's socket, is never mounted.
"""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath

from .base import wrong

_HOST_SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run"),
    *("/sbin", "/sys", "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64"),
    *("/usr/libexec", "/usr/local/bin", "/usr/local/lib", "/usr/sbin", "/usr/share"),
    *("/var/lib/containerd", "/var/lib/docker", "/var/run"),
)
_HOST_TOPS = ("/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var/tmp")  # noqa: S108

_SERVER_SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt/conda"),
    *("/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var/lib", "/var/run"),
)
_TARGET_FIX = "Choose a place of its own, such as /nfs."
_SERVER_TOPS = ("/home", "/tmp")  # noqa: S108

HOMES_OF_NOBODY = ("admin",)
"""Names below /home that no person can have, so that a share may stand there."""


def holds(outer: PurePath, inner: PurePath) -> bool:
    """Tell whether `inner` is `outer` or lies in it."""
    return inner == outer or outer in inner.parents


def overlap(one: PurePath, other: PurePath) -> bool:
    """Tell whether two folders are the same or one lies in the other."""
    return holds(one, other) or holds(other, one)


def system_folder(folder: PurePath) -> str | None:
    """Return why a folder of the host belongs to the system, or None when it does not.

    Args:
        folder: Absolute path without `..`.

    Returns:
        Words that go on after the key, such as "lies in /etc, a folder of the system".
    """
    for tree in map(PurePosixPath, _HOST_SYSTEM):
        if folder == tree:
            return f"is {tree}, a folder of the system"
        if tree in folder.parents:
            return f"lies in {tree}, a folder of the system"
        if folder in tree.parents:
            return f"holds {tree}, a folder of the system"
    return "is /root, the home of the system's owner" if folder == PurePosixPath("/root") else None


def mountable(folder: PurePath) -> PurePath:
    """Return a folder that servers may see.

    Raises:
        PydanticCustomError: it is one of the system.
    """
    if reason := system_folder(folder):
        raise wrong(reason, "Choose a folder made for this, such as /srv/labhub/NAME.")
    return folder


def state_folder(folder: PurePath) -> PurePath:
    """Return a folder that labhub may make its own (mode 0700).

    Raises:
        PydanticCustomError: others need it.
    """
    reason = system_folder(folder)
    if not reason and str(folder) in _HOST_TOPS:
        reason = f"is {folder}, which others use too"
    if reason:
        raise wrong(reason, "Choose a folder of its own, such as /var/lib/labhub.")
    return folder


def covered_folder(folder: PurePath) -> PurePath:
    """Return a folder that a tmpfs may be mounted over.

    Raises:
        PydanticCustomError: something else is there, which would be hidden.
    """
    run = PurePosixPath("/run")
    if run in folder.parents:
        return folder
    return state_folder(folder)


def free_target(text: str) -> str:
    """Return where in a server a share is seen, without a trailing slash.

    Raises:
        PydanticCustomError: it would hide a part of the system or somebody's home.
    """
    if not text.startswith("/") or not text.isprintable() or ".." in text.split("/"):
        raise wrong("must be an absolute path without ..", _TARGET_FIX)
    path = PurePosixPath("/" + text.lstrip("/"))
    for tree in map(PurePosixPath, _SERVER_SYSTEM):
        if overlap(path, tree):
            raise wrong(f"would cover {tree}, which the servers need", "Write it like /nfs.")
    if str(path) in _SERVER_TOPS:
        raise wrong(
            f"would cover {path}, which the servers need",
            "Choose a folder of its own, such as /nfs.",
        )
    if path.parts[:2] == ("/", "home") and path.parts[2] not in HOMES_OF_NOBODY:
        raise wrong(
            f"could be somebody's home, /home/{path.parts[2]}",
            "Below /home only /home/admin is free; choose another place, such as /nfs.",
        )
    return str(path)
