"""`./labhub bench hang`: one person's start hangs; what do the others notice?

One start is brought to a halt at each stage in turn: the image's registry is silent in the middle
of a pull, the engine does not answer the making of the container, a hook sleeps, the server never
opens its port. Meanwhile somebody else's server is started and stopped, and a third one is polled.
The same is measured without any hang, in turn within each round.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors

from bench.client import HubClient, Start
from bench.figures import ratio, spread
from bench.obstacles import EngineGate, SilentRegistry
from bench.report import Report, Table
from bench.running import MeasuredHub, our_hub
from cli.engine_process import connect
from cli.errors import CommandError
from hub_config.settings import Settings

ROUNDS = 3
STARTS, POLLS = 2, 30
"""Of each block, that is, of each stage in each round."""

REST_S = 1.5
"""Before each block: a server that hangs at its port imports its program until then."""

HANG_LIMIT_S = 60.0
LOOK_S = 0.05
STARTED, POLLED = "student-01", "student-02"
NO_HANG = "none"
STAGES = {"image": "image", "create": "container", "hook": "hooks", "port": "server"}
"""What hangs, and the stage that the person's page then shows."""

BLOCKS = (NO_HANG, "image", "create", NO_HANG, "hook", "port")
OPERATIONS = ("start", "poll", "stop")
SLEEP_S = 3600
AS_ROOT = f"""#!/bin/bash
if [ "$NB_USER" = hunghook ]; then sleep {SLEEP_S}; fi
"""
AS_USER = f"""#!/bin/bash
if [ "$NB_USER" = hungport ]; then
    mkdir -p ~/.jupyter
    echo 'import time; time.sleep({SLEEP_S})' > ~/.jupyter/jupyter_server_config.py
fi
"""
Times = dict[str, dict[str, list[float]]]
"""Seconds by what hangs (a stage, or `none`) and by operation."""


def run(report: Report) -> dict[str, Any]:
    """Measure what a start that hangs does to others.

    Args:
        report: Shows what is done and what was found.

    Returns:
        `{"hang": {...}}` with ratios and seconds.
    """
    settings, rounds = Settings(), report.rounds or ROUNDS
    names = [STARTED, POLLED, *map(_hung, STAGES)]
    with (
        connect(settings.engine) as client,
        tempfile.TemporaryDirectory(prefix="labhub-bench-", dir="/var/tmp") as folder,
        EngineGate(Path(folder, "engine.sock"), _engine_path(settings)) as gate,
        SilentRegistry() as registry,
        our_hub(client, names, "no-op", more_toml=_toml(gate, registry)) as hub,
    ):
        for name, text in (("as-root.sh", AS_ROOT), ("as-user.sh", AS_USER)):
            (hub.settings.hooks.folder / name).write_text(text)
        gate.container = _container(hub, "create")
        found = asyncio.run(_rounds(report, hub, gate, registry, rounds))
    figures = figures_of(found)
    report.show("hang", table(figures))
    return {"hang": figures}


@dataclass(frozen=True)
class Scene:
    """A hub in which starts can hang.

    Attributes:
        hub: The hub.
        client: Asks it.
        gate: Stands between it and the engine.
        registry: Holds the image of its second profile.
    """

    hub: MeasuredHub
    client: HubClient
    gate: EngineGate
    registry: SilentRegistry

    @contextlib.asynccontextmanager
    async def hanging(self, stage: str) -> AsyncIterator[None]:
        """Let one person's start hang at a stage as long as the block lasts, then give it up.

        Raises:
            CommandError: it does not hang, or not until the end.
        """
        if stage == NO_HANG:
            yield
            return
        start = Start(_hung(stage))
        options = {"profile": "silent"} if stage == "image" else None
        task = asyncio.create_task(self.client.follow(start, options))
        try:
            deadline = time.monotonic() + HANG_LIMIT_S
            while not self._hangs(stage, start):
                if task.done() or time.monotonic() > deadline:
                    raise CommandError(f"A start does not hang: {stage}", "", [start.failure])
                await asyncio.sleep(LOOK_S)
            yield
            if task.done() or not self._hangs(stage, start):
                raise CommandError(f"A start did not hang until the end: {stage}")
        finally:
            await asyncio.to_thread(self._let_go, stage)
            await task
            if not start.failure:
                await self.client.stop_all([start.name])

    def _hangs(self, stage: str, start: Start) -> bool:
        told = [event.fields["stage"] for event in start.events if "stage" in event.fields]
        if told[-1:] != [STAGES[stage]]:
            return False
        holds = {"image": self.registry.hold, "create": self.gate.hold}
        return stage not in holds or holds[stage].count > 0

    def _let_go(self, stage: str) -> None:
        """Make the start that hangs fail."""
        self.registry.hold.let_go()
        self.gate.hold.let_go()
        with contextlib.suppress(docker.errors.NotFound):
            self.hub.client.kill(_container(self.hub, stage))


async def _rounds(
    report: Report, hub: MeasuredHub, gate: EngineGate, registry: SilentRegistry, rounds: int
) -> Times:
    client = HubClient(hub.url, hub.token)
    scene = Scene(hub, client, gate, registry)
    found: Times = {block: {name: [] for name in OPERATIONS} for block in BLOCKS}
    with report.steps.step("First starts, not counted", long=True):
        for name in (STARTED, POLLED):
            await _start(client, name)
        await client.stop_all([STARTED])
    for number in range(1, rounds + 1):
        with report.steps.step(f"Round {number} of {rounds}", long=True):
            for block in turned(BLOCKS, number - 1):
                async with scene.hanging(block):
                    await _measure(client, found[block])
    return found


async def _measure(client: HubClient, found: dict[str, list[float]]) -> None:
    """Start, poll and stop servers of people who have nothing to do with a hang."""
    await asyncio.sleep(REST_S)
    for _ in range(STARTS):
        found["poll"] += [await client.poll(POLLED) for _ in range(POLLS // STARTS)]
        found["start"].append(await _start(client, STARTED))
        began = time.monotonic()
        await client.stop_all([STARTED])
        found["stop"].append(time.monotonic() - began)


async def _start(client: HubClient, name: str) -> float:
    start = await client.start(name)
    if start.failure:
        raise CommandError(f"A measured start failed: {start.failure}")
    return start.seconds


def turned(blocks: Sequence[str], by: int) -> list[str]:
    """Return the blocks in the same order from another one on, so that none is always first."""
    by %= len(blocks)
    return [*blocks[by:], *blocks[:by]]


def figures_of(found: Times) -> dict[str, Any]:
    """Return ratios and seconds of each stage and operation.

    Args:
        found: What was measured.
    """
    without = found[NO_HANG]
    stages = {
        stage: {name: ratio(found[stage][name], without[name]) for name in OPERATIONS}
        for stage in STAGES
    }
    return {
        "worst_ratio": max(value for ratios in stages.values() for value in ratios.values()),
        "stages": stages,
        "without_s": {name: spread(without[name]) for name in OPERATIONS},
        **{
            f"{stage}_s": {name: spread(found[stage][name]) for name in OPERATIONS}
            for stage in STAGES
        },
    }


def table(figures: dict[str, Any]) -> Table:
    """Return the figures as a table: medians, and what part of those without a hang they are."""
    without = figures["without_s"]
    rows = [["nowhere", *(_time(name, without[name]) for name in OPERATIONS)]]
    for stage, ratios in figures["stages"].items():
        seconds = figures[f"{stage}_s"]
        cells = (f"{_time(name, seconds[name])}, {ratios[name]:.2f}" for name in OPERATIONS)
        rows.append([stage, *cells])
    counts = {name: len(seconds["values"]) for name, seconds in figures["image_s"].items()}
    return Table(
        "Starts, polls and stops of others while one start hangs: median, and its ratio",
        ("it hangs in", *OPERATIONS),
        rows,
        (
            f"Worst ratio {figures['worst_ratio']:.2f}. At each stage {counts['start']} starts and "
            f"stops, {counts['poll']} polls; twice as many without a hang.",
        ),
    )


def _time(operation: str, seconds: dict[str, Any]) -> str:
    median_s = seconds["median"]
    return f"{median_s * 1000:.0f} ms" if operation == "poll" else f"{median_s:.2f} s"


def _hung(stage: str) -> str:
    """Return the name of the person whose start hangs at a stage.

    It is their slug, too, as letters alone need no hash.
    """
    return f"hung{stage}"


def _container(hub: MeasuredHub, stage: str) -> str:
    return f"labhub-{hub.state.hub_id}-{_hung(stage)}"


def _toml(gate: EngineGate, registry: SilentRegistry) -> str:
    """Return the hub's settings: the engine behind the gate, and a profile that hangs.

    A digest is asked for at each start, as the hang of one round must not answer the next one.
    """
    return (
        f'[engine]\nsocket = "{gate.url}"\n'
        "[start]\ndigest_shared_s = 0\n"
        f'[[profile]]\nname = "silent"\nimage = "{registry.host}/bench/silent:deploy"\n'
        "standbys = 0\n"
    )


def _engine_path(settings: Settings) -> Path:
    """Return the engine's socket.

    Raises:
        CommandError: it is not on this machine.
    """
    scheme, _, path = settings.engine.socket.partition("://")
    if scheme != "unix":
        raise CommandError("A hang is measured with an engine at a socket of this machine")
    return Path(path)
