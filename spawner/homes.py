"""Homes: a person's own directory, of one kind for the whole hub.

Before a container gets a home, the home is *prepared*: it exists, it lies on the file system where
the operator wants it, it belongs to the person (0700), and there is room. The hub's event loop
never touches a home's file system: that is done in threads of our own with a deadline, so storage
that stalls delays only those who wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from docker.types import DriverConfig, Mount

from hub_config.people import Person
from hub_config.settings import DirectoryHome, Home, NfsHome, NfsShare, VolumeHome
from spawner.engine import Engine, EngineError
from spawner.naming import home_path, home_volume, labels

OnServer = NfsHome | NfsShare
T = TypeVar("T")

CHECK_TIMEOUT_S = 10
"""A file system that does not answer by then is taken for stalled."""

LEAST_FREE_BYTES = 1 << 20
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="homes")


class HomeError(Exception):
    """A home cannot be used. str() is for the person; `log` says more, for the operator."""

    def __init__(self, message: str, log: str, reason: str) -> None:
        super().__init__(message)
        self.log, self.reason = log, reason


async def prepare_home(
    engine: Engine, home: Home, person: Person, image_id: str
) -> tuple[Mount, str]:
    """Make a person's home ready; return its mount and a notice.

    Args:
        engine: Makes volumes and runs the helper container.
        home: `[home]` of the settings.
        person: The owner.
        image_id: Any image with a POSIX shell, for the helper container.

    Returns:
        The mount, and a sentence for the page or "".

    Raises:
        HomeError: it cannot be used.
        EngineError: the engine could not be asked.
    """
    target = home_path(person)
    if isinstance(home, DirectoryHome):
        notice = await _prepare_directory(home, person)
        return Mount(target, str(home.folder / person.slug), type="bind"), notice
    if isinstance(home, NfsHome):
        await _make_on_server(engine, home, person, image_id)
        return nfs_mount(
            engine.hub_id, home_volume(engine.hub_id, person), home, person.slug, target
        ), ""
    mount = volume_mount(engine.hub_id, home, person)
    await _give_volume(engine, home, person, image_id)
    return mount, ""


async def _prepare_directory(home: DirectoryHome, person: Person) -> str:
    try:
        return await ask_storage(check_directory, home, person)
    except TimeoutError as error:
        raise HomeError(
            "The disk with your files does not answer. Your files are safe. Try again in a few "
            "minutes, and tell {contact} if it lasts.",
            f"{home.folder}: the file system did not answer within {CHECK_TIMEOUT_S} s",
            "home_stalled",
        ) from error


async def ask_storage(question: Callable[..., T], *arguments: Any) -> T:
    """Run what may block on a file system in a thread; return its result.

    Raises:
        TimeoutError: there was none within CHECK_TIMEOUT_S.
    """
    async with asyncio.timeout(CHECK_TIMEOUT_S):
        return await asyncio.get_running_loop().run_in_executor(_THREADS, question, *arguments)


def check_directory(home: DirectoryHome, person: Person) -> str:
    """Make a person's directory if it is missing, and check it. Blocks: call it in a thread.

    Returns:
        A sentence for the page when the disk is nearly full, else "".

    Raises:
        HomeError: the file system is not mounted, or the directory is not the person's.
    """
    if home.require_mount and not is_mounted(home.folder):
        raise HomeError(
            "The disk with everyone's files is not connected, so nobody's server is started now. "
            "Your files are safe. Tell {contact}.",
            f"{home.folder}: no file system is mounted there (home.require_mount is true). "
            f"Mount it, then try again.",
            "home_not_mounted",
        )
    if not home.require_mount:
        home.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    path = home.folder / person.slug
    try:
        parent = os.open(home.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _own_directory(parent, path, person)
            room = os.fstatvfs(parent)
        finally:
            os.close(parent)
    except OSError as error:
        raise HomeError(
            "Your home cannot be opened now. Your files are safe. Tell {contact}.",
            f"{path}: {error.strerror}",
            "home_not_opened",
        ) from error
    if room.f_bavail * room.f_frsize < LEAST_FREE_BYTES or (room.f_files and not room.f_favail):
        return "The disk with your files is full. Delete what you do not need, or saving will fail."
    return ""


def _own_directory(parent: int, path: Path, person: Person) -> None:
    """Make a directory beneath an open one, or check that it is the person's own and closed.

    An empty directory of root's is one whose making was cut off: it becomes the person's.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(path.name, 0o700, dir_fd=parent)
    found = os.stat(path.name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise _not_theirs(path, person, "is no directory")
    home = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        found = os.fstat(home)
        with os.scandir(home) as entries:
            is_empty = next(entries, None) is None
        if found.st_uid == 0 and is_empty:
            os.fchown(home, person.uid, person.gid)
        elif found.st_uid != person.uid:
            raise _not_theirs(path, person, f"belongs to uid {found.st_uid}")
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(home, 0o700)
    finally:
        os.close(home)


def _not_theirs(path: Path, person: Person, kind: str) -> HomeError:
    return HomeError(
        "The folder of your home belongs to somebody else, so it is not opened. Tell {contact}.",
        f"{path}: {kind}, but {person.name} has uid {person.uid}. If these are their files: "
        f"chown -R {person.uid}:{person.gid} {path}",
        "home_not_ours",
    )


def is_mounted(folder: Path) -> bool:
    """Tell whether a file system is mounted at this very folder; one above it does not count."""
    try:
        return folder.is_mount()
    except OSError:
        return False


def nfs_mount(hub_id: str, volume: str, place: OnServer, below: str, target: str) -> Mount:
    """Return the mount of a directory on a file server, through an engine volume.

    Args:
        hub_id: Labels the volume.
        volume: Name of the volume; the engine makes it with these options.
        place: Anything with server, export, options and mount_type (homes and shares).
        below: Path below the export; empty for the export itself.
        target: Where the container sees it.
    """
    return Mount(
        target,
        volume,
        type="volume",
        no_copy=True,
        labels=labels(hub_id, "home"),
        driver_config=DriverConfig("local", nfs_options(place, below)),
    )


def nfs_options(place: OnServer, below: str = "") -> dict[str, str]:
    """Return the options of the engine's local volume driver for a directory on a file server."""
    path = place.export.rstrip("/") + (f"/{below}" if below else "")
    if not place.mount_type.startswith("nfs"):  # a folder of the host: type=none,o=bind
        return {"type": place.mount_type, "o": place.options, "device": path}
    options = f"addr={place.server},{place.options}"
    return {"type": place.mount_type, "o": options, "device": f":{path}"}


def volume_mount(hub_id: str, home: VolumeHome, person: Person) -> Mount:
    """Return the mount of a person's own engine volume."""
    return Mount(
        home_path(person),
        home_volume(hub_id, person),
        type="volume",
        no_copy=True,
        labels=labels(hub_id, "home"),
        driver_config=DriverConfig(home.driver),
    )


async def _make_on_server(engine: Engine, home: NfsHome, person: Person, image_id: str) -> None:
    """Make a person's directory on the file server, in a helper container."""
    root = nfs_mount(engine.hub_id, f"labhub-{engine.hub_id}-homes", home, "", "/homes")
    await _helped(engine, image_id, root, f"/homes/{person.slug}", person)


async def _give_volume(engine: Engine, home: VolumeHome, person: Person, image_id: str) -> None:
    """Give a new volume to its person; the engine makes volumes owned by root."""
    mount = volume_mount(engine.hub_id, home, person)
    mount["Target"] = "/volume"
    await _helped(engine, image_id, mount, "/volume", person)


_OWN = (
    'set -eu; p=$1 u=$2; [ -e "$p" ] || mkdir -m 700 "$p"; [ -d "$p" ] && [ ! -L "$p" ]; '
    'o=$(stat -c %u "$p"); [ "$o" = "$u" ] && exit 0; '
    '[ "$o" = 0 ] && [ -z "$(ls -A "$p")" ] || { echo "owned by uid $o"; exit 3; }; '
    'chmod 700 "$p"; chown "$u:$u" "$p"'
)
"""An empty directory of root's becomes the person's; any other owner is refused."""


async def _helped(engine: Engine, image_id: str, mount: Mount, path: str, person: Person) -> None:
    command = ["/bin/sh", "-c", _OWN, "sh", path, str(person.uid)]
    try:
        await engine.run_helper(image_id, command, [mount])
    except EngineError as error:
        raise HomeError(
            "The place with your files cannot be opened now. Your files are safe. Try again in a "
            "minute, and tell {contact} if it lasts.",
            f"home of {person.name}: {error}",
            "home_not_mounted",
        ) from error
