"""What all spawners of a hub share: the settings, and the parts that hold state for everyone."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hub_config.people import People
from hub_config.settings import Settings
from hub_config.state import State
from spawner.channels import Channels
from spawner.containers import Containers
from spawner.engine import Engine
from spawner.mounting import Mounter
from spawner.queue import StartQueue
from spawner.records import Records
from spawner.registry import Registry
from spawner.runtimes import Runtimes
from spawner.standby import Standbys
from spawner.warming import Warming

STARTS_PER_PROCESSOR = 2
RUNTIME_KIB = 4096
"""Room in a runtime directory beside the logs of both hooks."""


@dataclass(frozen=True)
class Shared:
    """What all spawners of a hub share; made once, by the wiring."""

    settings: Settings
    state: State
    people: People
    engine: Engine
    channels: Channels
    records: Records
    runtimes: Runtimes
    containers: Containers
    mounter: Mounter
    queue: StartQueue
    standbys: Standbys

    @classmethod
    def make(cls, settings: Settings, state: State) -> Shared:
        """Make the shared parts from the settings; touches neither engine nor registry."""
        engine = Engine(settings.engine, state.hub_id)
        registry = Registry.of(settings.registry, settings.start.digest_timeout_s)
        channels = Channels(engine, registry, settings.start.digest_shared_s)
        records = Records(state.servers_folder)
        runtimes = Runtimes(
            settings.hub.runtime_folder / state.hub_id,
            RUNTIME_KIB + 2 * settings.hooks.output_limit_kib,
        )
        containers = Containers(engine, state.logs_folder / "servers")
        warming = Warming(settings, engine, containers, records, runtimes)
        mounter = Mounter()
        queue = StartQueue(settings.start.concurrent_starts or default_starts())
        return cls(
            settings=settings,
            state=state,
            people=People(state.people_file, settings.start.first_uid),
            engine=engine,
            channels=channels,
            records=records,
            runtimes=runtimes,
            containers=containers,
            mounter=mounter,
            queue=queue,
            standbys=Standbys(settings, warming, channels, mounter, queue),
        )


def default_starts() -> int:
    """Return how many servers this host starts well at once."""
    return STARTS_PER_PROCESSOR * (os.cpu_count() or 1)
