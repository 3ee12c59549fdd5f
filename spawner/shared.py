"""What all spawners of a hub share: the settings, and the parts that hold state for everyone."""

from __future__ import annotations

from dataclasses import dataclass

from hub_config.people import People
from hub_config.settings import Settings
from hub_config.state import State
from spawner.channels import Channels
from spawner.engine import Engine
from spawner.records import Records
from spawner.registry import Registry


@dataclass(frozen=True)
class Shared:
    """What all spawners of a hub share; made once, by the wiring."""

    settings: Settings
    state: State
    people: People
    engine: Engine
    channels: Channels
    records: Records

    @classmethod
    def make(cls, settings: Settings, state: State) -> Shared:
        """Make the shared parts from the settings; touches neither engine nor registry."""
        engine = Engine(settings.engine, state.hub_id)
        registry = Registry.of(settings.registry, settings.start.digest_timeout_s)
        return cls(
            settings=settings,
            state=state,
            people=People(state.people_file, settings.start.first_uid),
            engine=engine,
            channels=Channels(engine, registry, settings.start.digest_shared_s),
            records=Records(state.servers_folder, settings.hub.runtime_folder / state.hub_id),
        )
