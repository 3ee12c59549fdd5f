"""Make one standby: a container of nobody's, whose program has done its imports.

A standby is a container like that of a cold start before it is claimed; it runs only our waiting
code and holds no secret.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass

from docker.types import Mount

from hub_config.settings import Profile, Settings
from spawner.chain import runtime_mounts
from spawner.channels import Image
from spawner.claim import is_waiting, read_ready
from spawner.containers import CPU_SHARES_OF_STANDBY, Container, Containers, describe
from spawner.engine import Engine, EngineError
from spawner.mounting import split_mounts
from spawner.naming import LABEL_HUB, LABEL_KIND, network, standby_name
from spawner.records import Records
from spawner.runtimes import Runtimes
from spawner.shares import share_mount, visible_shares

READY_TIMEOUT_S = 120.0
READY_POLL_S = 0.1
PREFIX = "standby_"
"""Begins the id of each standby; no server's id has a `_`."""


_log = logging.getLogger("labhub")


class StandbyFailed(Exception):
    """A standby could not be made; str() is for the log."""


@dataclass
class Standby:
    """A server that waits.

    Attributes:
        id: Names its runtime directory, and with the hub's id its container.
        container: Its container.
        profile: Name of its profile.
        image_id: The engine's id of its image.
        given: What the engine mounted; the rest is bound when it is claimed.
        made_at: When, on the monotonic clock.
        memory_kib: What it needs, KiB.
    """

    id: str
    container: Container
    profile: str
    image_id: str
    given: list[Mount]
    made_at: float
    memory_kib: int = 0


@dataclass(frozen=True)
class Warming:
    """Makes and removes standbys.

    Attributes:
        settings: All settings.
        engine: The engine.
        containers: Makes containers on it.
        records: Say whose a container is.
        runtimes: Makes their runtime directories.
    """

    settings: Settings
    engine: Engine
    containers: Containers
    records: Records
    runtimes: Runtimes

    async def make(self, profile: Profile, image: Image) -> Standby:
        """Make a standby; return it when its imports are done.

        Raises:
            EngineError: the engine refused, or could not be asked.
            StandbyFailed: it ended, or was not ready in time.
        """
        standby_id = PREFIX + secrets.token_hex(4)
        name = standby_name(self.engine.hub_id, standby_id)
        try:
            return await self._make(profile, image, standby_id, name)
        except BaseException:
            await asyncio.shield(self.remove(standby_id, name))
            raise

    async def _make(self, profile: Profile, image: Image, standby_id: str, name: str) -> Standby:
        given, began = self._given_mounts(), time.monotonic()
        runtime = await asyncio.to_thread(self.runtimes.open, standby_id)
        mounts = [*given, *runtime_mounts(str(runtime), image.chain)]
        hub_network = network(self.engine.hub_id)
        arguments = describe(image, self.settings.limits, profile, hub_network, mounts)
        arguments["host_config"]["CpuShares"] = CPU_SHARES_OF_STANDBY
        container_id = await self.containers.create(name, "standby", arguments)
        standby = Standby(
            standby_id,
            await self.containers.start(container_id),
            profile.name,
            image.id,
            given,
            began,
        )
        while (memory := read_ready(runtime)) is None:
            if time.monotonic() - began > READY_TIMEOUT_S:
                raise StandbyFailed(f"{name} was not ready after {READY_TIMEOUT_S:g} s")
            if not await self.is_alive(standby):
                raise StandbyFailed(f"{name} has ended; its log is in data/logs/servers")
            await asyncio.sleep(READY_POLL_S)
        standby.memory_kib = memory
        await self.containers.give_full_share(standby.container.id)  # idle from here on
        return standby

    def _given_mounts(self) -> list[Mount]:
        """Return what the engine mounts for a person without any group."""
        shares = visible_shares(self.settings.share, ())
        given, _ = split_mounts(share_mount(self.engine.hub_id, each, ()) for each in shares)
        return given

    async def is_alive(self, standby: Standby) -> bool:
        """Tell whether a standby runs, and whether it could be claimed once it is ready.

        Raises:
            EngineError: the engine could not be asked.
        """
        found = await self.engine.find("inspect_container", standby.container.id)
        if not (found and found["State"]["Running"] and not found["State"]["Paused"]):
            return False
        return not standby.memory_kib or await is_waiting(self.runtimes.path(standby.id))

    async def remove(self, standby_id: str, container: str) -> None:
        """Remove a standby; what cannot be removed is removed when the next hub starts."""
        try:
            await self.containers.remove(container)
            await asyncio.to_thread(self.runtimes.close, standby_id)
        except (EngineError, OSError) as error:
            _log.warning("%s could not be removed: %s", standby_id, error)

    async def remove_left_over(self, since: float) -> None:
        """Remove what a hub that was killed left: its standbys, and claims that it had not ended.

        Args:
            since: When this hub began, seconds since 1970; what is newer is its own.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        try:
            records = list(self.records.all())
        except ValueError as error:  # whose server it is cannot be told: leave all
            _log.error("What an earlier hub left is left alone: %s", error)
            return
        for record in records:
            if not record.is_claimed and self.records.written_at(record.server_id) < since:
                await self.containers.remove(record.container_id or record.container)
                await asyncio.to_thread(self.runtimes.close, record.runtime or record.server_id)
                self.records.forget(record.server_id)
        containers = {record.container_id for record in records}
        mine = [f"{LABEL_HUB}={self.engine.hub_id}", f"{LABEL_KIND}=standby"]
        found = await self.engine.call("containers", all=True, filters={"label": mine})
        for container in found:
            if container["Id"] not in containers:
                await self.containers.remove(container["Id"])
        owned = {record.runtime for record in records}
        for runtime_id in await asyncio.to_thread(self.runtimes.ids):
            if runtime_id.startswith(PREFIX) and runtime_id not in owned:
                await asyncio.to_thread(self.runtimes.close, runtime_id)
