"""`./labhub bench start`: one cold start on a warm image.

In turn: labhub with its start chain and both sample hooks, which fetch a course; stock
DockerSpawner, which runs no hooks; and the floor. The first start of each is not counted: it fills
caches, and clones the course, which the measured ones pull.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bench.client import HubClient, Start
from bench.figures import ratio, row, spread
from bench.floor import Floor
from bench.report import Report, Table
from bench.running import MeasuredHub, our_hub, stock_hub
from cli.engine_process import connect
from cli.errors import CommandError
from hub_config.settings import Settings

ROUNDS = 5
OWNER = "student-01"
FLOOR_OWNER = "floor"
REST_S = 1.5
"""Before each start: the kernel takes a while to undo the network of the container before it."""


def run(report: Report) -> dict[str, Any]:
    """Measure cold starts.

    Args:
        report: Shows what is done and what was found.

    Returns:
        `{"start": {...}}` with ratios and seconds.
    """
    settings, rounds = Settings(), report.rounds or ROUNDS
    with (
        connect(settings.engine) as client,
        stock_hub(client, [OWNER, FLOOR_OWNER], report.stock_image) as stock,
        our_hub(client, [OWNER], "sample") as ours,
    ):
        found = asyncio.run(_rounds(report, ours, stock, rounds, settings.engine.socket))
    figures = _figures(found)
    report.show("start", _table(figures))
    return {"start": figures}


async def start_once(client: HubClient, name: str) -> Start:
    """Rest, start one server, which must succeed, and stop it again.

    Raises:
        CommandError: the start failed.
    """
    await asyncio.sleep(REST_S)
    start = await client.start(name)
    if start.failure:
        raise CommandError(f"A measured start failed: {start.failure}")
    await client.stop_all([name])
    return start


async def _rounds(
    report: Report, ours: MeasuredHub, stock: MeasuredHub, rounds: int, socket: str
) -> dict[str, list[float]]:
    """Return the seconds of each round: `ours`, `stock` and `floor`."""
    our_client, stock_client = (HubClient(hub.url, hub.token) for hub in (ours, stock))
    found: dict[str, list[float]] = {"ours": [], "stock": [], "floor": []}
    with report.steps.step("First starts, not counted", long=True):
        await start_once(our_client, OWNER)
        await start_once(stock_client, OWNER)
        # a server of the stock hub, from which the floor takes its environment and its token
        await stock_client.start(FLOOR_OWNER)
        floor = Floor.like(stock, socket, FLOOR_OWNER)
        await asyncio.to_thread(floor.run)
    for number in range(1, rounds + 1):
        with report.steps.step(f"Round {number} of {rounds}", long=True) as step:
            found["ours"].append((await start_once(our_client, OWNER)).seconds)
            found["stock"].append((await start_once(stock_client, OWNER)).seconds)
            await asyncio.sleep(REST_S)
            found["floor"].append(await asyncio.to_thread(floor.run))
            last = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in found.items())
            step.text = f"Round {number} of {rounds}: {last}"
    return found


def _figures(found: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "ratio_to_stock": ratio(found["ours"], found["stock"]),
        "ratio_to_floor": ratio(found["ours"], found["floor"]),
        "rounds": len(found["ours"]),
        "hooks": "sample",
        **{f"{name}_s": spread(values) for name, values in found.items()},
    }


def _table(figures: dict[str, Any]) -> Table:
    return Table(
        f"One cold start on a warm image, request to ready, {figures['rounds']} rounds in turn",
        ("what", "median", "least to most", "labhub is"),
        (
            [*row("labhub, sample hooks", figures["ours_s"]), ""],
            [
                *row("stock DockerSpawner, no hooks", figures["stock_s"]),
                f"{figures['ratio_to_stock']:.2f} of it",
            ],
            [
                *row("floor: bare docker run", figures["floor_s"]),
                f"{figures['ratio_to_floor']:.2f} of it",
            ],
        ),
    )
