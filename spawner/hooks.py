"""Read the report that a server's start chain writes, `/run/labhub/report.jsonl`.

The file is written by root in the container, where a user with sudo is root too: so nothing in it
is trusted beyond being shown as text, and it is read with bounds and without following links.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 64 * 1024
MOST_STEPS = 200
STEP_STATES = frozenset({"running", "done", "failed", "skipped", "warning"})


@dataclass(frozen=True)
class Step:
    """One line of the report: a step of the start chain and how it went."""

    name: str
    state: str
    message: str


class HookReport:
    """The report of one start, read as it grows.

    Args:
        path: The file on the host; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self.steps: list[Step] = []

    def read_new(self) -> list[Step]:
        """Return the steps that were added since the last call."""
        self._rest += self._read()
        *lines, self._rest = self._rest.split(b"\n")
        new = [step for line in lines if (step := _step(line))]
        new = new[: MOST_STEPS - len(self.steps)]
        self.steps += new
        return new

    def refusal(self) -> str:
        """Return why the start chain refused to go on, or "" when it did not."""
        return next((step.message for step in self.steps if step.state == "failed"), "")

    def _read(self) -> bytes:
        if self._offset >= MOST_BYTES:
            return b""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            new = os.pread(descriptor, MOST_BYTES - self._offset, self._offset)
        except OSError:
            return b""
        finally:
            os.close(descriptor)
        self._offset += len(new)
        return new


def _step(line: bytes) -> Step | None:
    """Return the step in a line; None when the line is none."""
    try:
        fields = json.loads(line)
        name, state, message = fields["step"], fields["state"], fields["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if state not in STEP_STATES or not isinstance(name, str) or not isinstance(message, str):
        return None
    text = "".join(character if character.isprintable() else " " for character in message)
    return Step(name[:40], state, text[:300])
