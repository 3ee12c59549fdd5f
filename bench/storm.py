"""`./labhub bench storm`: many people ask for their servers at the same moment.

In turn, each with a hub of its own: 20 cold starts of labhub with both sample hooks; 20 of stock
DockerSpawner; 20 of labhub from as many standbys, with hooks that do nothing and with the samples.
At last 60 cold starts of labhub alone: do all succeed, and does everyone who waits see their place?
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import docker

from bench.client import HubClient, Start
from bench.course import HookKind
from bench.figures import ratio, row, spread
from bench.report import Report, Table
from bench.running import MeasuredHub, our_hub, stock_hub
from bench.standby import count_claimed, wait_for_standbys
from cli.engine_process import connect
from hub_config.settings import Settings

ROUNDS = 1
MANY, ALL = 20, 60
NOTICED_S = 1.0
"""Whoever waits longer than this between two stages should have been told a place."""

TOO_MANY = 429


@dataclass(frozen=True)
class Storm:
    """Many starts at the same moment.

    Attributes:
        starts: All of them.
        claimed: How many got a standby.
    """

    starts: Sequence[Start]
    claimed: int = 0

    @property
    def seconds(self) -> float:
        """Return the time from the first request to the last server that answers or failed."""
        begin = min(start.began for start in self.starts)
        return max(start.began + start.seconds for start in self.starts) - begin

    @property
    def failed(self) -> list[str]:
        """Return why starts failed, one text for each."""
        return [start.failure for start in self.starts if start.failure]

    @property
    def refused(self) -> int:
        """Return how many got JupyterHub's "too many"."""
        return sum(start.status == TOO_MANY for start in self.starts)

    @property
    def saw_place(self) -> int:
        """Return how many were told a place in the queue."""
        return sum(start.saw_place for start in self.starts)

    @property
    def waited_untold(self) -> int:
        """Return how many waited where the queue is and were told no place."""
        waited = (start for start in self.starts if start.waited_s > NOTICED_S)
        return sum(not start.saw_place for start in waited)


@dataclass(frozen=True)
class Weather:
    """Where storms happen, and what they found so far.

    Attributes:
        report: Shows what is done.
        client: The engine.
        found: The storms by name.
    """

    report: Report
    client: docker.APIClient
    found: dict[str, list[Storm]]

    def ours(self, key: str, count: int, hooks: HookKind, standbys: int = 0) -> None:
        """Let `count` people start at once in labhub."""
        names = _names(count)
        with our_hub(self.client, [*names, FIRST], hooks, standbys) as hub:
            self._storm(key, hub, names, standbys)

    def stock(self, key: str, count: int) -> None:
        """Let `count` people start at once in the stock hub."""
        names = _names(count)
        with stock_hub(self.client, [*names, FIRST], self.report.stock_image) as hub:
            self._storm(key, hub, names, 0)

    def _storm(self, key: str, hub: MeasuredHub, names: Sequence[str], standbys: int) -> None:
        with self.report.steps.step(f"{key}: {len(names)} starts at once", long=True) as step:
            storm = asyncio.run(_storm(hub, names, standbys))
            self.found[key].append(storm)
            step.text = (
                f"{key}: {len(names)} starts at once took {storm.seconds:.1f} s, "
                f"{len(storm.failed)} failed"
            )
        for failure in sorted(set(storm.failed)):
            self.report.steps.say(f"        {failure}")


FIRST = "student-00"
"""Starts alone before the storm, as the first start of a hub fills its caches."""


def run(report: Report) -> dict[str, Any]:
    """Measure many starts at once.

    Args:
        report: Shows what is done and what was found.

    Returns:
        The figures of `storm`, `storm_standby` and `storm_60`.
    """
    settings, rounds = Settings(), report.rounds or ROUNDS
    with connect(settings.engine) as client:
        weather = Weather(report, client, defaultdict(list))
        for _ in range(rounds):
            weather.ours("cold", MANY, "sample")
            weather.stock("stock", MANY)
            weather.ours("standby", MANY, "no-op", standbys=MANY)
            weather.ours("standby, sample hooks", MANY, "sample", standbys=MANY)
        weather.ours("sixty", ALL, "sample")
    figures = _figures(weather.found)
    report.show("storm", _table(figures), _table_of_sixty(figures["storm_60"]))
    return figures


def _names(count: int) -> list[str]:
    return [f"student-{number:02}" for number in range(1, count + 1)]


async def _storm(hub: MeasuredHub, names: Sequence[str], standbys: int) -> Storm:
    client = HubClient(hub.url, hub.token)
    await client.start(FIRST)
    await client.stop_all([FIRST])
    if standbys:
        await wait_for_standbys(hub, standbys)
    starts = await client.start_all(names)
    storm = Storm(starts, count_claimed(hub))
    await client.stop_all(names)
    return storm


def _figures(found: dict[str, list[Storm]]) -> dict[str, Any]:
    seconds = {key: [storm.seconds for storm in storms] for key, storms in found.items()}
    failed = {key: sum(len(storm.failed) for storm in storms) for key, storms in found.items()}
    stock = {"stock_s": spread(seconds["stock"]), "stock_failed": failed["stock"]}
    sample = "standby, sample hooks"
    [sixty] = found["sixty"]
    return {
        "storm": {
            "ratio_to_stock": ratio(seconds["cold"], seconds["stock"]),
            "failed": failed["cold"],
            "starts": MANY,
            "hooks": "sample",
            "ours_s": spread(seconds["cold"]),
            **stock,
        },
        "storm_standby": {
            "ratio_to_stock": ratio(seconds["standby"], seconds["stock"]),
            "ratio_with_sample_hooks": ratio(seconds[sample], seconds["stock"]),
            "failed": failed["standby"] + failed[sample],
            "claimed": min(storm.claimed for storm in found["standby"] + found[sample]),
            "starts": MANY,
            "hooks": "no-op",
            "ours_s": spread(seconds["standby"]),
            "sample_hooks_s": spread(seconds[sample]),
            **stock,
        },
        "storm_60": {
            "failed": len(sixty.failed),
            "refused": sixty.refused,
            "saw_place": sixty.saw_place,
            "waited_untold": sixty.waited_untold,
            "starts": ALL,
            "hooks": "sample",
            "ours_s": spread([sixty.seconds]),
            "start_s": spread([start.seconds for start in sixty.starts]),
        },
    }


def _table(figures: dict[str, Any]) -> Table:
    cold, warm = figures["storm"], figures["storm_standby"]
    with_hooks = warm["ratio_with_sample_hooks"]
    return Table(
        f"{MANY} starts at once, from the first request to the last server ready",
        ("what", "median", "least to most", "part of stock"),
        (
            [*row("labhub, cold, sample hooks", cold["ours_s"]), _part(cold)],
            [*row("labhub, standbys, no-op hooks", warm["ours_s"]), _part(warm)],
            [
                *row("labhub, standbys, sample hooks", warm["sample_hooks_s"]),
                f"{with_hooks:.2f}",
            ],
            [*row("stock DockerSpawner, no hooks", cold["stock_s"]), "1.00"],
        ),
        (
            f"Failed: labhub {cold['failed']} cold and {warm['failed']} from standbys, "
            f"stock {cold['stock_failed']}. Standbys claimed: {warm['claimed']} of {MANY}.",
        ),
    )


def _part(figures: dict[str, Any]) -> str:
    return f"{figures['ratio_to_stock']:.2f}"


def _table_of_sixty(figures: dict[str, Any]) -> Table:
    return Table(
        f"{ALL} cold starts of labhub at once, sample hooks",
        ("what", "figure"),
        (
            ["all ready after", f"{figures['ours_s']['median']:.1f} s"],
            ["half of them ready after", f"{figures['start_s']['median']:.1f} s"],
            ["failed", str(figures["failed"])],
            ["refused with 429", str(figures["refused"])],
            ["told a place in the queue", str(figures["saw_place"])],
            ["waited and were told none", str(figures["waited_untold"])],
        ),
    )
