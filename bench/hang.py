"""`./labhub bench hang`: one person's start hangs; what do the others notice?

One start is brought to a halt at each stage in turn: the image's registry is silent in the middle
of a pull, the engine does not answer the making of the container, a hook sleeps, the server never
opens its port. Meanwhile somebody else's server is started and stopped, and a third one is polled.
The same is measured without any hang, in turn within each round. Of stock DockerSpawner one poll is
enough: all its calls of the engine share one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

from bench.client import HubClient, Start
from bench.hang_report import NO_HANG, OPERATIONS, STAGES, StockPolls, Times, figures_of, table
from bench.obstacles import EngineGate, SilentRegistry
from bench.report import Report
from bench.running import MeasuredHub, our_hub, stock_hub
from cli.engine_process import connect
from cli.errors import CommandError
from hub_config.settings import Settings

ROUNDS = 3
STARTS, POLLS = 2, 30
"""Of each block, that is, of each stage in each round."""

REST_S = 1.0
"""Before each block: a server that hangs at its port imports its program until then."""

HANG_LIMIT_S = 60.0
STOCK_LIMIT_S = 5.0
"""So long a poll of the stock hub is waited for while a start hangs."""

LOOK_S = 0.05
STARTED, POLLED = "student-01", "student-02"
SHOWN = {"image": "image", "create": "container", "hook": "hooks", "port": "server"}
"""The stage that the page of the person shows whose start hangs."""

BLOCKS = (NO_HANG, "image", "create", NO_HANG, "hook", "port")
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


def run(report: Report) -> dict[str, Any]:
    """Measure what a start that hangs does to others.

    Args:
        report: Shows what is done and what was found.

    Returns:
        `{"hang": {...}}` with ratios and seconds.
    """
    settings = Settings()
    with (
        connect(settings.engine) as client,
        tempfile.TemporaryDirectory(prefix="labhub-bench-", dir="/var/tmp") as folder,
        EngineGate(Path(folder, "engine.sock"), _engine_path(settings)) as gate,
    ):
        found = _ours(report, client, gate)
        stock = _stock(report, client, gate)
    figures = figures_of(found, stock)
    report.show("hang", table(figures))
    return {"hang": figures}


def _ours(report: Report, client: docker.APIClient, gate: EngineGate) -> Times:
    names = [STARTED, POLLED, *map(_hung, STAGES)]
    with (
        SilentRegistry() as registry,
        our_hub(client, names, "no-op", more_toml=_toml(gate, registry)) as hub,
    ):
        for name, text in (("as-root.sh", AS_ROOT), ("as-user.sh", AS_USER)):
            (hub.settings.hooks.folder / name).write_text(text)
        gate.container = _container(hub, "create")
        return asyncio.run(_rounds(report, hub, gate, registry))


def _stock(report: Report, client: docker.APIClient, gate: EngineGate) -> StockPolls:
    names = [POLLED, _hung("create")]
    with stock_hub(client, names, report.stock_image, engine=gate.url) as hub:
        gate.container = f"labhub-bench-{hub.state.hub_id}-{_hung('create')}"
        with report.steps.step("A poll of stock, while a start hangs in create", long=True):
            return asyncio.run(_poll_stock(HubClient(hub.url, hub.token), gate))


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
            await _until(lambda: self._hangs(stage, start), task)
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
        if told[-1:] != [SHOWN[stage]]:
            return False
        holds = {"image": self.registry.hold, "create": self.gate.hold}
        return stage not in holds or holds[stage].count > 0

    def _let_go(self, stage: str) -> None:
        """Make the start that hangs fail."""
        self.registry.hold.let_go()
        self.gate.hold.let_go()
        with contextlib.suppress(docker.errors.APIError):  # there is none, or it ended
            self.hub.client.kill(_container(self.hub, stage))


async def _rounds(
    report: Report, hub: MeasuredHub, gate: EngineGate, registry: SilentRegistry
) -> Times:
    rounds = report.rounds or ROUNDS
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


async def _poll_stock(client: HubClient, gate: EngineGate) -> StockPolls:
    """Poll a server of the stock hub, and once more while another start hangs."""
    await _start(client, POLLED)
    without = [await client.poll(POLLED) for _ in range(POLLS)]
    task = asyncio.create_task(client.follow(Start(_hung("create"))))
    try:
        await _until(lambda: gate.hold.count > 0, task)
        try:
            hung_s = await client.poll(POLLED, STOCK_LIMIT_S)
        except TimeoutError:
            return StockPolls(without, STOCK_LIMIT_S, answered=False)
        return StockPolls(without, hung_s, answered=True)
    finally:
        gate.hold.let_go()
        await task


async def _until(hangs: Callable[[], bool], task: asyncio.Task[None]) -> None:
    """Wait until a start hangs.

    Raises:
        CommandError: it ended, or takes too long to get there.
    """
    deadline = time.monotonic() + HANG_LIMIT_S
    while not hangs():
        if task.done() or time.monotonic() > deadline:
            raise CommandError("A start that should hang does not")
        await asyncio.sleep(LOOK_S)


async def _start(client: HubClient, name: str) -> float:
    start = await client.start(name)
    if start.failure:
        raise CommandError(f"A measured start failed: {start.failure}")
    return start.seconds


def turned(blocks: Sequence[str], by: int) -> list[str]:
    """Return the blocks in the same order from another one on, so that none is always first."""
    by %= len(blocks)
    return [*blocks[by:], *blocks[:by]]


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
