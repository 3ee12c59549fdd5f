"""Shares: directories for many, read-only but for the groups that may write. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from docker.types import DriverConfig, Mount

from hub_config.settings import AnyShare, DirectoryShare, NfsShare
from spawner.homes import nfs_options
from spawner.naming import labels, share_volume


def visible_shares(shares: Iterable[AnyShare], groups: Collection[str]) -> list[AnyShare]:
    """Return the shares that a member of `groups` sees."""
    return [share for share in shares if not share.groups or set(share.groups) & set(groups)]


def may_write(share: AnyShare, groups: Collection[str]) -> bool:
    """Tell whether a member of `groups` may write to a share."""
    return bool(set(share.read_write) & set(groups))


def share_mount(hub_id: str, share: AnyShare, groups: Collection[str]) -> Mount:
    """Return the mount of a share for a member of `groups`."""
    read_only = not may_write(share, groups)
    if isinstance(share, DirectoryShare):
        return Mount(share.target, str(share.folder), type="bind", read_only=read_only)
    if not isinstance(share, NfsShare):
        return Mount(share.target, share.volume, type="volume", read_only=read_only, no_copy=True)
    return Mount(
        share.target,
        share_volume(hub_id, share.name),
        type="volume",
        read_only=read_only,
        no_copy=True,
        labels=labels(hub_id, "share"),
        driver_config=DriverConfig("local", nfs_options(share)),
    )


def extra_groups(shares: Iterable[AnyShare], groups: Collection[str]) -> dict[str, int]:
    """Return name -> gid of the Unix groups through which a person may write to shares."""
    return {
        share.name: share.gid
        for share in shares
        if share.gid is not None and may_write(share, groups)
    }
