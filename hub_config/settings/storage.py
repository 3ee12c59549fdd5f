"""Where files live: homes, one for each person, and shares, one for many."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from .base import Flag, FolderPath, GroupName, Host, Id, Section, ShortName, shaped, wrong
from .paths import free_target, mountable

NFS_OPTIONS = "nfsvers=4.2,hard,timeo=600,retrans=2,noatime,nosuid,nodev"
"""Wait for a server that is away rather than lose data; nothing on it can give rights."""

_FORBIDDEN_OPTIONS = {
    "suid": "would let files on the server give rights",
    "dev": "would let files on the server be devices",
    "addr": "is made from server",
}
_VOLUME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"


def _options(text: str) -> str:
    options = text.split(",")
    names = [option.partition("=")[0] for option in options]
    if not all(re.fullmatch(r"[a-z][a-z0-9_]*(=[^\s,=]+)?", option) for option in options):
        raise wrong("must be mount options: NAME or NAME=VALUE, with commas and without spaces")
    for name in names:
        if name in _FORBIDDEN_OPTIONS:
            raise wrong(f"has {name}, which {_FORBIDDEN_OPTIONS[name]}", f"Remove {name}.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise wrong(f"has {twice} twice", "Keep one of them.")
    if {"hard", "soft"} <= set(names):
        raise wrong("has both hard and soft", "Keep hard: with soft, files break in silence.")
    return text


def _export(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/") or not text.isprintable():
        raise wrong("must be the absolute path of an export, without ..")
    return "/" + text.strip("/")


def _volume(text: str) -> str:
    if not re.fullmatch(_VOLUME, text):
        raise wrong("must be the name of a volume: letters, digits, dots, dashes, underscores")
    if re.match(r"labhub-[0-9a-f]{8}-", text):
        raise wrong("is a volume that a hub made for one person", "Make a volume for the share.")
    return text


MountFolder = Annotated[FolderPath, AfterValidator(mountable)]
_MountType = Literal["nfs", "nfs4", "none"]


class NfsExport(Section):
    """An export of an NFS server, mounted by the engine."""

    server: Host = Field(
        description="Name or address of the NFS server.", examples=["nfs.example.org"]
    )
    export: Annotated[str, AfterValidator(_export)] = Field(
        description="Exported path; of homes, one directory per person is beneath it.",
        examples=["/export/labhub"],
    )
    options: Annotated[str, AfterValidator(_options)] = Field(
        NFS_OPTIONS, description="Mount options."
    )
    mount_type: _MountType = Field(
        "nfs", description='File system type that the engine mounts; "none" with option bind is '
        "a directory of the engine's host."
    )  # fmt: skip


class DirectoryHome(Section):
    """Homes in a directory of this host."""

    kind: Literal["directory"] = Field("directory", description="A directory of this host.")
    folder: MountFolder = Field(
        Path("data/homes"), description="Folder of the homes; one directory per person beneath."
    )
    require_mount: Flag = Field(
        False,
        description="Refuse to start anyone unless a file system is mounted at this very folder "
        "(for an EBS volume).",
    )


class NfsHome(NfsExport):
    """Homes on an NFS server, mounted by the engine."""

    kind: Literal["nfs"] = Field(description="An export of an NFS server.", examples=["nfs"])


class VolumeHome(Section):
    """Homes as one engine volume per person."""

    kind: Literal["volume"] = Field(
        description="One volume of the engine per person.", examples=["volume"]
    )
    driver: Annotated[
        str,
        shaped(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*", "the name of a volume driver"),
    ] = Field("local", description="Volume driver.")


def _kind(value: Any) -> str:
    """Return the kind of a home or share; of what is neither, one whose validation refuses it."""
    if isinstance(value, dict):
        return str(value.get("kind", "directory"))
    return str(getattr(value, "kind", "directory"))


Home = Annotated[
    Annotated[DirectoryHome, Tag("directory")]
    | Annotated[NfsHome, Tag("nfs")]
    | Annotated[VolumeHome, Tag("volume")],
    Discriminator(_kind),
]


class Share(Section):
    """A directory for many: read-only but for the groups that may write."""

    name: ShortName = Field(max_length=30, description="Short name, unique.", examples=["nfs"])
    target: Annotated[str, AfterValidator(free_target)] = Field(
        description="Where the servers see it.", examples=["/nfs"]
    )
    groups: tuple[GroupName, ...] = Field(
        (), description="Groups that see it. Empty: everyone.", examples=[("students", "tas")]
    )
    read_write: tuple[GroupName, ...] = Field(
        (), description="Groups that may write to it.", examples=[("tas",)]
    )
    gid: Id | None = Field(
        None, description="Group id that those who may write get in addition.", examples=[995]
    )


class DirectoryShare(Share):
    """A share that is a directory of this host."""

    kind: Literal["directory"] = Field("directory", description="A directory of this host.")
    folder: MountFolder = Field(
        description="The directory on this host.", examples=["/srv/labhub/nfs"]
    )


class NfsShare(NfsExport, Share):
    """A share on an NFS server, mounted by the engine."""

    kind: Literal["nfs"] = Field(description="An export of an NFS server.", examples=["nfs"])


class VolumeShare(Share):
    """A share that is a volume of the engine."""

    kind: Literal["volume"] = Field(description="A volume of the engine.", examples=["volume"])
    volume: Annotated[str, AfterValidator(_volume)] = Field(
        description="Name of the volume.", examples=["course-data"]
    )


AnyShare = Annotated[
    Annotated[DirectoryShare, Tag("directory")]
    | Annotated[NfsShare, Tag("nfs")]
    | Annotated[VolumeShare, Tag("volume")],
    Discriminator(_kind),
]
