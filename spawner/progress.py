"""What a start tells the page: its stages, and an engine's pull events as a percentage. Pure.

An event is what JupyterHub sends to the browser: `progress` (0 to 100) and `message`, and for our
page also `stage` and `state`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

STAGES: dict[str, tuple[int, int]] = {
    "home": (2, 10),
    "image": (10, 45),
    "queue": (45, 52),
    "container": (52, 60),
    "hooks": (60, 80),
    "server": (80, 98),
}
"""Stage -> the part of the bar that it fills, in percent."""

STATES = frozenset({"running", "done", "warning", "failed"})


@dataclass
class Progress:
    """The events of one start, in order; late listeners get them all.

    Args:
        listener: Called after each new event.
    """

    listener: Callable[[], None] = lambda: None
    events: list[dict[str, Any]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    percent: float = 0

    @property
    def stage(self) -> str:
        """Return the stage of the last event; the first stage when there is none yet."""
        return str(self.events[-1]["stage"]) if self.events else next(iter(STAGES))

    def tell(self, stage: str, state: str, message: str, share: float | None = None) -> None:
        """Add an event.

        Args:
            stage: One of STAGES.
            state: One of STATES; a warning is also kept as a notice for later pages.
            message: Plain text, one sentence.
            share: How much of the stage is done, 0 to 1; by its state when None.
        """
        begin, end = STAGES[stage]
        if share is None:
            share = 1.0 if state == "done" else 0.0
        self.percent = max(self.percent, begin + (end - begin) * min(max(share, 0.0), 1.0))
        if state == "warning" and message not in self.notices:
            self.notices.append(message)
        event = {
            "progress": round(self.percent),
            "message": message,
            "stage": stage,
            "state": state,
        }
        if not self.events or self.events[-1] != event:
            self.events.append(event)
            self.listener()


_DOWNLOADED = {"Verifying Checksum", "Download complete", "Extracting", "Pull complete"}


@dataclass
class PullProgress:
    """Percent and megabytes of one pull, from the events of the engine's stream.

    The engine reports each layer on its own (Docker Engine API, `POST /images/create`):
    `{"id", "status", "progressDetail": {"current", "total"}}`, in bytes. Layers that are here
    already do not count.
    """

    share: float = 0.0
    done: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)
    complete: set[str] = field(default_factory=set)

    def feed(self, event: dict[str, Any]) -> None:
        """Take in one event of the stream; what is no layer's event changes nothing."""
        layer, status = event.get("id"), event.get("status", "")
        if not isinstance(layer, str) or status.startswith(("Pulling from", "Already exists")):
            return
        self.layers.add(layer)
        detail = event.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self.done[layer] = detail["current"]
            self.total[layer] = detail["total"]
        if status in _DOWNLOADED and layer in self.total:
            self.done[layer] = self.total[layer]
        if status == "Pull complete":
            self.complete.add(layer)
        self.share = max(self.share, self._share())

    def _share(self) -> float:
        """Return how much is done, 0 to 1: three quarters for the download, one for unpacking."""
        whole = sum(self.total.values())
        downloaded = sum(self.done.values()) / whole if whole else 0.0
        unpacked = len(self.complete) / len(self.layers)
        return 0.75 * max(downloaded, unpacked) + 0.25 * unpacked

    @property
    def message(self) -> str:
        """Return one sentence with percent and megabytes (10^6 bytes)."""
        done, whole = (sum(sizes.values()) / 1e6 for sizes in (self.done, self.total))
        if not whole:
            return "Downloading the new environment."
        return f"Downloading the new environment: {self.share:.0%}, {done:.0f} of {whole:.0f} MB."
