"""One person's server: what may be chosen, its limits, its hooks and its start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .base import (
    Flag,
    GroupName,
    Id,
    Image,
    Number,
    Section,
    ShortName,
    Whole,
    shaped,
    wrong,
)
from .storage import MountFolder

LOCAL_IMAGE = "labhub/notebook:local"
"""What `labhub images build notebook` makes; it has no registry and its id is its identity."""

ADMIN_GID = 996
"""Group of the admins' folder, as in the image that the seed describes."""


def _open_to_its_owner(umask: str) -> str:
    if int(umask, 8) & 0o700:
        raise wrong("would close new files to their own owner", 'Begin with 0: "0022" or "0077".')
    return umask


class Profile(Section):
    """One environment that a user may choose at start."""

    name: ShortName = Field(max_length=40, description="Short name, unique.", examples=["notebook"])
    title: str = Field(
        "", max_length=80, description="What the form shows. Empty: the name.", examples=["Python"]
    )
    description: str = Field(
        "",
        max_length=400,
        description="One sentence for the form.",
        examples=["For the first course."],
    )
    image: Image = Field(LOCAL_IMAGE, description="Image reference, with its tag.")
    cpu: Number | None = Field(
        None, ge=0.01, le=1024, description="Processors. Not set: as in [limits].", examples=[4]
    )
    memory_gib: Number | None = Field(
        None, gt=0.1, le=65536, description="Memory, GiB. Not set: as in [limits].", examples=[8]
    )
    groups: tuple[GroupName, ...] = Field(
        (), description="Groups that may choose this profile. Empty: everyone.", examples=[("tas",)]
    )
    standbys: Whole | None = Field(
        None,
        ge=0,
        le=500,
        description="Servers that wait without an owner, so that a start takes a moment. Not set: "
        "2 for the first profile, none for others.",
        examples=[5],
    )
    sudo: Flag = Field(
        False, description="Grant sudo inside the server (GRANT_SUDO). Weakens the isolation."
    )


class Limits(Section):
    """Limits of every server; a profile may set its own cpu and memory."""

    cpu: Number = Field(2, ge=0.01, le=1024, description="Processors that one server may use.")
    memory_gib: Number = Field(
        2, gt=0.1, le=65536, description="Memory that one server may use, GiB."
    )
    processes: Whole = Field(
        1024, ge=64, le=4194304, description="Processes and threads in one server."
    )
    open_files: Whole = Field(16384, ge=256, le=1048576, description="Open files of one process.")
    log_mib: Whole = Field(
        10, ge=1, le=1024, description="Size of a server's log in the engine, MiB."
    )


class Hooks(Section):
    """The operators' start scripts, run in every server before it answers."""

    folder: MountFolder = Field(
        Path("data/admin/start"), description="Folder that holds as-root.sh and as-user.sh."
    )
    log_folder: MountFolder = Field(
        Path("data/admin/logs"),
        description="Folder of the logs NAME-as-root.log and NAME-as-user.log.",
    )
    as_root: Literal["optional", "required"] = Field(
        "optional", description="Whether a start is refused when as-root.sh fails."
    )
    as_user: Literal["optional", "required"] = Field(
        "optional", description="Whether a start is refused when as-user.sh fails."
    )
    time_limit_s: Whole = Field(
        60, ge=1, le=3600, description="Time that one hook may take, seconds."
    )
    output_limit_kib: Whole = Field(
        1024, ge=1, le=1048576, description="Size of one hook's log, KiB."
    )
    admin_uid: Id = Field(999, description="Owner of the logs and the hooks.")
    admin_gid: Id = Field(ADMIN_GID, description="Group of the logs.")


class Standby(Section):
    """Servers that wait for an owner, their program already loaded, so that a start is quick.

    Only where the hub runs as root beside the engine and homes are directories of this host.
    """

    memory_gib: Number = Field(
        1,
        ge=0,
        le=65536,
        description="Memory that all standbys together may use, GiB; one needs about 0.06. "
        "0: no standbys.",
    )
    max_age_s: Whole = Field(
        21600, ge=60, le=2592000, description="Age at which a standby is replaced, seconds."
    )


class Start(Section):
    """How a server is started."""

    timeout_s: Whole = Field(600, ge=10, le=7200, description="Deadline of a whole start, seconds.")
    concurrent_starts: Whole | None = Field(
        None,
        ge=1,
        le=256,
        description="Servers that start at once; who comes then waits in line and sees the place. "
        "Not set: 2 for each processor of this host.",
        examples=[8],
    )
    queue_timeout_s: Whole = Field(
        900, ge=10, le=86400, description="Deadline of the wait in line, seconds."
    )
    port_timeout_s: Whole = Field(
        120, ge=5, le=3600, description="Time from the container's start to an open port, seconds."
    )
    first_uid: Whole = Field(
        20000, ge=1001, le=2000000000, description="First user id that is given to a person."
    )
    umask: Annotated[
        str,
        shaped(r"0?[0-7]{3}", 'an octal number in quotes, such as "0022"'),
        AfterValidator(_open_to_its_owner),
    ] = Field("0022", description="NB_UMASK of every server.")
    digest_timeout_s: Number = Field(
        3, gt=0, le=60, description="Deadline of the question for a tag's digest, seconds."
    )
    digest_shared_s: Number = Field(
        30, ge=0, le=3600, description="How long one answer serves all starts, seconds."
    )
