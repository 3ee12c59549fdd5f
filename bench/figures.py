"""Figures from measured times: medians, their spread, ratios. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return `median`, `min`, `max` and all `values` of measured seconds, to the millisecond.

    Args:
        values: At least one.
    """
    return {
        "median": round(median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "values": [round(value, 3) for value in values],
    }


def ratio(ours: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of ours as a part of the other's median."""
    return round(median(ours) / median(other), 3)


def row(name: str, seconds: dict[str, Any]) -> list[str]:
    """Return a table's row: the name, the median and the spread of measured seconds."""
    spread_text = f"{seconds['min']:.2f} to {seconds['max']:.2f}"
    return [name, f"{seconds['median']:.2f} s", spread_text]
