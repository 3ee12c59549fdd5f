"""Which folders end up in servers, and what must never be among them.

A server's start chain is root in its container. So the hub's secrets, the engine's socket, other
people's homes and the hooks stay out of every mount that the wrong people could use.

What counts is the place, not the kind: an NFS export with mount_type none is a folder of the
engine's host, and is looked at like one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from .findings import Finding, Key, key_name
from .paths import holds, overlap, system_folder
from .storage import AnyShare, DirectoryHome, DirectoryShare, Home, NfsExport

if TYPE_CHECKING:
    from .model import Settings

_STATE_FOLDERS = ("servers", "logs", "run")
"""Folders of secrets and records in the data folder; homes and shares may lie beside them."""
_ENGINE_HOST = ""
"""The machine of the engine, among the names of machines; no server is called so."""


@dataclass(frozen=True)
class _Place:
    """Where a home or share really lies.

    Attributes:
        key: The key that holds its path.
        path: The path, there.
        machines: The names of the machine it is on.
    """

    key: Key
    path: Path
    machines: frozenset[str]

    @property
    def is_on_engine_host(self) -> bool:
        """Tell whether the engine mounts a folder of its own host."""
        return _ENGINE_HOST in self.machines

    @property
    def why(self) -> str:
        """Return words on why an export is a folder of the host; empty for other places."""
        if self.is_on_engine_host and self.key[-1] == "export":
            return "; with mount_type none it is a folder of the engine's host"
        return ""

    @property
    def involves(self) -> tuple[Key, ...]:
        """Return the keys beside the path that say where it is."""
        names = ("server", "mount_type") if self.key[-1] == "export" else ()
        return tuple((*self.key[:-1], name) for name in names)

    def overlaps(self, other: _Place) -> bool:
        """Tell whether two places are on one machine and hold each other."""
        return bool(self.machines & other.machines) and overlap(self.path, other.path)


def _place(key: Key, stored: Home | AnyShare) -> _Place | None:
    """Return where a home or share lies; None for volumes, whose places the engine chooses."""
    if isinstance(stored, DirectoryHome | DirectoryShare):
        return _Place((*key, "folder"), stored.folder, frozenset({_ENGINE_HOST}))
    if isinstance(stored, NfsExport):
        machines = {stored.server.lower()}
        if stored.mount_type == "none":  # the server is not asked, but may be this very host
            machines.add(_ENGINE_HOST)
        return _Place((*key, "export"), Path(stored.export), frozenset(machines))
    return None


def _home(settings: Settings) -> _Place | None:
    return _place(("home",), settings.home)


def _shares(settings: Settings) -> Iterator[tuple[AnyShare, _Place]]:
    """Yield each share that has a place of its own, with it."""
    for index, share in enumerate(settings.share):
        if place := _place(("share", index), share):
            yield share, place


def _on_engine_host(settings: Settings) -> Iterator[_Place]:
    """Yield the home and the shares that are folders of the engine's host."""
    places = [_home(settings), *(place for _, place in _shares(settings))]
    yield from (place for place in places if place and place.is_on_engine_host)


def exposures(settings: Settings) -> Iterator[Finding]:
    """Find all folders that servers must not see, or not in this way."""
    for check in (
        _private_folders,
        _shares_apart_from_homes,
        _hooks_apart,
        _nothing_hidden,
        _bound_directories,
        _nfs_rights,
    ):
        yield from check(settings)


def mounted_folders(settings: Settings) -> Iterator[tuple[Key, Path]]:
    """Yield each folder of this host that servers see."""
    yield from ((place.key, place.path) for place in _on_engine_host(settings))
    yield ("hooks", "folder"), settings.hooks.folder
    yield ("hooks", "log_folder"), settings.hooks.log_folder


def _private_folders(settings: Settings) -> Iterator[Finding]:
    """Keep the hub's secrets and the engine's socket out of every server."""
    why = {place.key: place.why for place in _on_engine_host(settings)}
    fix = "Choose another folder, such as /srv/labhub/NAME."
    for key, folder in mounted_folders(settings):
        for reason, involved in _secrets_in(settings, folder):
            yield Finding(key, reason + why.get(key, ""), fix, (involved,))


def _secrets_in(settings: Settings, folder: Path) -> Iterator[tuple[str, Key]]:
    """Yield what a folder holds that no server may see, and the key that puts it there."""
    data, runtime = settings.hub.data_folder, settings.hub.runtime_folder
    scheme, _, address = settings.engine.socket.partition("://")
    socket = PurePosixPath(address) if scheme == "unix" else None
    data_key: Key = ("hub", "data_folder")
    if holds(folder, data):
        yield "holds the hub's own data and secrets", data_key
    for name in _STATE_FOLDERS:
        if holds(data / name, folder):
            yield f"lies in the hub's own {data / name}", data_key
    if overlap(folder, runtime):
        yield (
            "overlaps hub.runtime_folder, where the servers' secrets are",
            ("hub", "runtime_folder"),
        )
    if socket is not None and holds(folder, socket):
        yield (
            "holds the engine's socket, and with it all rights on this host",
            ("engine", "socket"),
        )


def _shares_apart_from_homes(settings: Settings) -> Iterator[Finding]:
    home = _home(settings)
    if home is None:
        return
    for _, share in _shares(settings):
        if share.overlaps(home):
            yield Finding(
                share.key,
                f"overlaps {key_name(home.key)}, so people would see each other's homes{share.why}",
                f"Choose {'an export' if share.key[-1] == 'export' else 'a folder'} outside of the "
                "homes.",
                (("home",), *share.involves),
            )


def _hooks_apart(settings: Settings) -> Iterator[Finding]:
    """Keep hooks, which run as root in every server, out of reach of all but the admins."""
    admins = settings.groups.admins
    home = _home(settings)
    for name in ("folder", "log_folder"):
        folder: PurePath = getattr(settings.hooks, name)
        key: Key = ("hooks", name)
        if home and home.is_on_engine_host and overlap(folder, home.path):
            yield Finding(
                key,
                f"overlaps {key_name(home.key)}, where people write{home.why}",
                "Choose a folder outside of the homes.",
                (("home",),),
            )
        for share, place in _shares(settings):
            others = [group for group in share.read_write if group != admins]
            if place.is_on_engine_host and others and overlap(place.path, folder):
                yield Finding(
                    (*place.key[:-1], "read_write"),
                    f"lets {' and '.join(others)} write to {key_name(key)}, which is for admins "
                    "only",
                    f'Keep to read_write = ["{admins}"], or move the hooks elsewhere.',
                    (("groups",), key, place.key, *place.involves),
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
    """Look at exports that are really folders of the engine's host: none may be the system's."""
    for place in _on_engine_host(settings):
        # `folder` keys are looked at one by one, when they are read
        if place.key[-1] == "export" and (reason := system_folder(place.path)):
            yield Finding(
                place.key,
                reason + place.why,
                "Choose a folder made for this, such as /srv/labhub/NAME.",
                place.involves,
            )


def _nfs_rights(settings: Settings) -> Iterator[Finding]:
    """Keep files on a server from giving rights."""
    places: list[tuple[Key, Home | AnyShare]] = [(("home",), settings.home)]
    places += [(("share", index), share) for index, share in enumerate(settings.share)]
    for key, place in places:
        if isinstance(place, NfsExport) and place.mount_type != "none":
            missing = {"nosuid", "nodev"} - set(place.options.split(","))
            if missing:
                yield Finding(
                    (*key, "options"),
                    f"lacks {' and '.join(sorted(missing))}, so files on the server could give "
                    "rights",
                    f"Add {','.join(sorted(missing))}.",
                    ((*key, "mount_type"),),
                )
