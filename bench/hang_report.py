"""The figures of `labhub bench hang` and their table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.figures import ratio, spread
from bench.report import Table

NO_HANG = "none"
STAGES = ("image", "create", "hook", "port")
"""What a start hangs in."""

OPERATIONS = ("start", "poll", "stop")
"""Of others."""

Times = dict[str, dict[str, list[float]]]
"""Seconds by what a start hangs in (one of STAGES, or NO_HANG) and by operation."""


@dataclass(frozen=True)
class StockPolls:
    """Polls of the stock hub.

    Attributes:
        without: Seconds of polls while nothing hangs.
        hung_s: Seconds of one poll while a start hangs in `create`.
        answered: Whether it was answered; else it was given up after `hung_s`.
    """

    without: list[float]
    hung_s: float
    answered: bool


def figures_of(found: Times, stock: StockPolls) -> dict[str, Any]:
    """Return ratios and seconds of each stage and operation.

    Args:
        found: What was measured of labhub.
        stock: What was measured of stock.
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
        "stock": {
            "create": {"poll": round(stock.hung_s / median(stock.without))},
            "poll_without_s": spread(stock.without),
            "poll_create_s": round(stock.hung_s, 3),
            "answered": stock.answered,
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
    stock = figures["stock"]
    count, polls = (len(figures["image_s"][name]["values"]) for name in ("start", "poll"))
    return Table(
        "Starts, polls and stops of others while one start hangs: median, and its ratio",
        ("it hangs in", *OPERATIONS),
        rows,
        (
            f"Worst ratio {figures['worst_ratio']:.2f}. At each stage {count} starts and stops and "
            f"{polls} polls; without a hang {len(without['start']['values'])}.",
            f"Stock DockerSpawner: a poll takes {_time('poll', stock['poll_without_s'])}; while "
            f"a start hangs in create {'' if stock['answered'] else 'over '}"
            f"{stock['poll_create_s']:.1f} s.",
        ),
    )


def _time(operation: str, seconds: dict[str, Any]) -> str:
    median_s = seconds["median"]
    return f"{median_s * 1000:.0f} ms" if operation == "poll" else f"{median_s:.2f} s"
