"""Whether servers can wait for an owner on this machine, and why not."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.checks import Check
from hub_config.settings import DirectoryShare, Settings
from spawner.mounting import Mounter
from spawner.standby import TYPICAL_KIB, wanted_standbys

NAME = "standbys"


def check_standbys(settings: Settings, info: dict[str, Any] | None) -> Iterator[Check]:
    """Tell how many standbys there are to be, or why every start is a cold one.

    Cold starts are no fault: everything works, a start takes a second longer.

    Args:
        settings: All settings.
        info: The engine's own description, None when it does not answer.
    """
    wanted = sum(wanted_standbys(settings).values())
    if settings.home.kind != "directory":
        reason = f"homes of kind {settings.home.kind} are mounted when a container is made"
    elif not wanted or not settings.standby.memory_gib:
        reason = "standbys are switched off in hub.toml"
    elif info is None:
        reason = "the engine does not answer"
    else:
        mounter = Mounter()
        place = Path(tempfile.gettempdir())
        asyncio.run(mounter.try_out(place, info, settings.engine.socket))
        reason = mounter.why_not
    if reason:
        yield Check(NAME, f"none, every start is a cold one: {reason}")
        return
    needed = wanted * TYPICAL_KIB / 2**20
    if needed > settings.standby.memory_gib:
        message = f"{wanted} standbys may need {needed:.1f} GiB, more than standby.memory_gib"
        yield Check(NAME, message, f"set memory_gib = {math.ceil(needed)} in [standby]")
    else:
        yield Check(NAME, f"{wanted} servers wait for their owners")
    for share in settings.share:
        differs = share.groups or share.read_write
        if differs and not isinstance(share, DirectoryShare):
            groups = ", ".join(dict.fromkeys((*share.groups, *share.read_write)))
            message = f"share {share.name} is no directory of this host: {groups} start cold"
            yield Check(NAME, message)
