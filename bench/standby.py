"""`./labhub bench standby`: a start that is claimed from servers which wait, imported already.

In turn: labhub with hooks that do nothing, labhub with both sample hooks, and stock DockerSpawner.
Before each start of ours enough standbys are ready, and before each of stock the claimed one has
been replaced: so nothing of ours works while stock is measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.client import HubClient
from bench.course import HookKind, use_hooks
from bench.figures import ratio, row, spread
from bench.report import Report, Table
from bench.running import MeasuredHub, our_hub, stock_hub
from bench.start import OWNER, REST_S, start_once
from cli.engine_process import connect
from cli.errors import CommandError
from hub_config.settings import Settings
from spawner.naming import LABEL_HUB, LABEL_KIND
from spawner.records import REPORT
from spawner.warming import PREFIX

ROUNDS = 5
STANDBYS = 2
READY_LIMIT_S = 180.0
SEEN_AFTER_S = 0.5
"""A hub sees a little later that a standby is ready."""

HOOK_STEPS = ("as-root", "as-user")
KINDS: tuple[HookKind, ...] = ("no-op", "sample")


def run(report: Report) -> dict[str, Any]:
    """Measure starts from standbys.

    Args:
        report: Shows what is done and what was found.

    Returns:
        `{"standby": {...}}` with ratios and seconds.
    """
    settings, rounds = Settings(), report.rounds or ROUNDS
    with (
        connect(settings.engine) as client,
        stock_hub(client, [OWNER], report.stock_image) as stock,
        our_hub(client, [OWNER], "sample", standbys=STANDBYS) as ours,
    ):
        found = asyncio.run(_rounds(report, ours, stock, rounds))
    figures = _figures(found)
    report.show("standby", _table(figures))
    return {"standby": figures}


async def wait_for_standbys(hub: MeasuredHub, count: int) -> list[int]:
    """Wait until so many servers wait for an owner.

    Returns:
        The memory of each, KiB, as it says itself.

    Raises:
        CommandError: they are not ready in time.
    """
    folder = hub.settings.hub.runtime_folder / hub.state.hub_id
    deadline = time.monotonic() + READY_LIMIT_S
    while len(memory := ready_standbys(folder)) < count:
        if time.monotonic() > deadline:
            raise CommandError(f"{len(memory)} of {count} standbys are ready, and no more come")
        await asyncio.sleep(0.2)
    await asyncio.sleep(SEEN_AFTER_S)
    return memory


def count_claimed(hub: MeasuredHub) -> int:
    """Return how many of a hub's servers were standbys: what is made for one keeps its label."""
    mine = {LABEL_HUB: hub.state.hub_id, LABEL_KIND: "standby"}
    found = hub.client.containers(filters={"label": [f"{k}={v}" for k, v in mine.items()]})
    return sum(PREFIX not in container["Names"][0] for container in found)


def ready_standbys(folder: Path) -> list[int]:
    """Return the memory, KiB, of each server that waits below a hub's runtime folder."""
    found = []
    for path in folder.glob(f"{PREFIX}*/ready.json"):
        try:
            memory = int(json.loads(path.read_text())["memory_kib"])
        except (OSError, ValueError, KeyError):  # removed or written just now
            continue
        if not path.with_name("claimed").exists():
            found.append(memory)
    return found


def hook_seconds(lines: Iterable[str]) -> float:
    """Return the time that the hooks of a start took themselves, from its report."""
    steps = [json.loads(line) for line in lines]
    return float(sum(step["seconds"] for step in steps if step["step"] in HOOK_STEPS))


async def _rounds(
    report: Report, ours: MeasuredHub, stock: MeasuredHub, rounds: int
) -> dict[str, list[float]]:
    """Return the figures of each round: seconds by kind of hooks, the hooks' own, and stock's."""
    our_client, stock_client = (HubClient(hub.url, hub.token) for hub in (ours, stock))
    found: dict[str, list[float]] = {"no-op": [], "sample": [], "hooks": [], "stock": []}
    with report.steps.step("First starts, not counted", long=True):
        memory = await wait_for_standbys(ours, STANDBYS)
        await _claim(ours, our_client, "sample")
        await start_once(stock_client, OWNER)
    found["memory_mib"] = [kib / 1024 for kib in memory]
    for number in range(1, rounds + 1):
        with report.steps.step(f"Round {number} of {rounds}", long=True) as step:
            found["no-op"].append((await _claim(ours, our_client, "no-op"))[0])
            seconds, hooks = await _claim(ours, our_client, "sample")
            found["sample"].append(seconds)
            found["hooks"].append(hooks)
            found["stock"].append((await start_once(stock_client, OWNER)).seconds)
            last = ", ".join(f"{name} {found[name][-1]:.2f} s" for name in (*KINDS, "stock"))
            step.text = f"Round {number} of {rounds}: {last}"
    return found


async def _claim(hub: MeasuredHub, client: HubClient, kind: HookKind) -> tuple[float, float]:
    """Start one server from a standby, and wait until another one has taken the standby's place.

    Returns:
        Seconds of the start, and of the hooks in it.
    """
    use_hooks(hub.settings, kind)
    await wait_for_standbys(hub, STANDBYS)
    await asyncio.sleep(REST_S)
    start = await client.start(OWNER)
    if start.failure:
        raise CommandError(f"A measured start failed: {start.failure}")
    if count_claimed(hub) != 1:
        raise CommandError("A start that should have had a standby was a cold one")
    hooks_s = hook_seconds(_last_report(hub.settings.hub.runtime_folder / hub.state.hub_id))
    await client.stop_all([OWNER])
    await wait_for_standbys(hub, STANDBYS)
    return start.seconds, hooks_s


def _last_report(folder: Path) -> list[str]:
    """Return the lines of the newest start chain's report below a hub's runtime folder."""
    newest = max(folder.glob(f"*/{REPORT}"), key=lambda path: path.stat().st_mtime_ns)
    return newest.read_text().splitlines()


def _figures(found: dict[str, list[float]]) -> dict[str, Any]:
    pairs = zip(found["sample"], found["hooks"], strict=True)
    rest = [seconds - hooks for seconds, hooks in pairs]
    return {
        "ratio_to_stock": ratio(found["no-op"], found["stock"]),
        "ratio_without_hooks": ratio(rest, found["stock"]),
        "rounds": len(found["stock"]),
        "standbys": STANDBYS,
        "ours_s": spread(found["no-op"]),
        "sample_hooks_s": spread(found["sample"]),
        "hooks_s": spread(found["hooks"]),
        "seconds_without_hooks": spread(rest),
        "stock_s": spread(found["stock"]),
        "memory_of_one_mib": round(max(found["memory_mib"])),
    }


def _table(figures: dict[str, Any]) -> Table:
    of_stock, rest = figures["ratio_to_stock"], figures["ratio_without_hooks"]
    return Table(
        f"One start from {STANDBYS} standbys, request to ready, {figures['rounds']} rounds in turn",
        ("what", "median", "least to most", "part of stock"),
        (
            [*row("labhub, no-op hooks", figures["ours_s"]), f"{of_stock:.2f}"],
            [*row("labhub, sample hooks", figures["sample_hooks_s"]), ""],
            [*row("of it the hooks themselves", figures["hooks_s"]), ""],
            [*row("of it all the rest", figures["seconds_without_hooks"]), f"{rest:.2f}"],
            [*row("stock DockerSpawner, no hooks", figures["stock_s"]), "1.00"],
        ),
        (f"A standby takes {figures['memory_of_one_mib']} MiB while it waits.",),
    )
