"""Which folders end up in servers, and what must never be among them.

A server's start chain is root in its container. So the hub's secrets, the engine's socket, other
people's homes and the hooks stay out of every mount that the wrong people could use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from .findings import Finding, Key, key_name
from .paths import holds, overlap, system_folder
from .storage import DirectoryHome, DirectoryShare, NfsExport, NfsHome, NfsShare

if TYPE_CHECKING:
    from .model import Settings

_STATE_FOLDERS = ("servers", "logs", "run")
"""Folders of secrets and records in the data folder; homes and shares may lie beside them."""


def exposures(settings: Settings) -> Iterator[Finding]:
    """Find all folders that servers must not see, or not in this way."""
    for check in (
        _private_folders,
        _shares_apart_from_homes,
        _nfs_apart_from_homes,
        _hooks_apart,
        _nothing_hidden,
        _bound_directories,
    ):
        yield from check(settings)


def mounted_folders(settings: Settings) -> Iterator[tuple[Key, Path]]:
    """Yield each folder of this host that servers see."""
    if isinstance(settings.home, DirectoryHome):
        yield ("home", "folder"), settings.home.folder
    for index, share in enumerate(settings.share):
        if isinstance(share, DirectoryShare):
            yield ("share", index, "folder"), share.folder
    yield ("hooks", "folder"), settings.hooks.folder
    yield ("hooks", "log_folder"), settings.hooks.log_folder


def _private_folders(settings: Settings) -> Iterator[Finding]:
    """Keep the hub's secrets and the engine's socket out of every server."""
    data, runtime = settings.hub.data_folder, settings.hub.runtime_folder
    data_key: Key = ("hub", "data_folder")
    scheme, _, address = settings.engine.socket.partition("://")
    socket = PurePosixPath(address) if scheme == "unix" else None
    for key, folder in mounted_folders(settings):
        fix = "Choose another folder, such as /srv/labhub/NAME."
        if holds(folder, data):
            yield Finding(key, "holds the hub's own data and secrets", fix, (data_key,))
        for name in _STATE_FOLDERS:
            if holds(data / name, folder):
                yield Finding(key, f"lies in the hub's own {data / name}", fix, (data_key,))
        if overlap(folder, runtime):
            yield Finding(
                key,
                "overlaps hub.runtime_folder, where the servers' secrets are",
                fix,
                (("hub", "runtime_folder"),),
            )
        if socket is not None and holds(folder, socket):
            yield Finding(
                key,
                "holds the engine's socket, and with it all rights on this host",
                fix,
                (("engine", "socket"),),
            )


def _shares_apart_from_homes(settings: Settings) -> Iterator[Finding]:
    if not isinstance(settings.home, DirectoryHome):
        return
    for index, share in enumerate(settings.share):
        if isinstance(share, DirectoryShare) and overlap(share.folder, settings.home.folder):
            yield Finding(
                ("share", index, "folder"),
                "overlaps home.folder, so people would see each other's homes",
                "Choose a folder outside of the homes.",
                (("home",),),
            )


def _nfs_apart_from_homes(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not isinstance(home, NfsHome):
        return
    for index, share in enumerate(settings.share):
        if (
            isinstance(share, NfsShare)
            and share.server == home.server
            and overlap(PurePosixPath(share.export), PurePosixPath(home.export))
        ):
            yield Finding(
                ("share", index, "export"),
                "overlaps home.export, so people would see each other's homes",
                "Choose an export outside of the homes.",
                (("home",), ("share", index, "server")),
            )


def _hooks_apart(settings: Settings) -> Iterator[Finding]:
    """Keep hooks, which run as root in every server, out of reach of all but the admins."""
    admins = settings.groups.admins
    for name in ("folder", "log_folder"):
        folder: PurePath = getattr(settings.hooks, name)
        key: Key = ("hooks", name)
        home = settings.home
        if isinstance(home, DirectoryHome) and overlap(folder, home.folder):
            yield Finding(
                key,
                "overlaps home.folder, where people write",
                "Choose a folder outside of the homes.",
                (("home",),),
            )
        for index, share in enumerate(settings.share):
            others = [group for group in share.read_write if group != admins]
            if isinstance(share, DirectoryShare) and others and overlap(share.folder, folder):
                yield Finding(
                    ("share", index, "read_write"),
                    f"lets {' and '.join(others)} write to {key_name(key)}, which is for admins "
                    "only",
                    f'Keep to read_write = ["{admins}"], or move the hooks elsewhere.',
                    (("groups",), key, ("share", index, "folder")),
                )


def _nothing_hidden(settings: Settings) -> Iterator[Finding]:
    """Keep the tmpfs of the runtime folder from covering what is to last."""
    runtime: Key = ("hub", "runtime_folder")
    if overlap(settings.hub.runtime_folder, settings.hub.data_folder):
        yield Finding(
            runtime,
            "overlaps hub.data_folder; what is kept there is lost with a reboot",
            "Keep the default, /run/labhub.",
            (("hub", "data_folder"),),
        )


def _bound_directories(settings: Settings) -> Iterator[Finding]:
    """Look at exports that are really directories of the engine's host."""
    places: list[tuple[Key, object]] = [(("home",), settings.home)]
    places += [(("share", index), share) for index, share in enumerate(settings.share)]
    for key, place in places:
        if isinstance(place, NfsExport) and place.mount_type == "none":
            export = PurePosixPath(place.export)
            reason = system_folder(export)
            if not reason and holds(export, settings.hub.data_folder):
                reason = "holds the hub's own data and secrets"
            if reason:
                yield Finding(
                    (*key, "export"),
                    f"{reason}; with mount_type none it is a folder of the engine's host",
                    "Choose a folder made for this.",
                    ((*key, "mount_type"), ("hub", "data_folder")),
                )
        elif isinstance(place, NfsExport):
            missing = {"nosuid", "nodev"} - set(place.options.split(","))
            if missing:
                yield Finding(
                    (*key, "options"),
                    f"lacks {' and '.join(sorted(missing))}, so files on the server could give "
                    "rights",
                    f"Add {','.join(sorted(missing))}.",
                    ((*key, "mount_type"),),
                )
