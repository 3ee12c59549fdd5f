"""One `up` or `down` at a time for a data folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cli.errors import CommandError
from cli.steps import Steps
from hub_config.state import State

LOCK_TIMEOUT_S = 1800


@contextmanager
def start_lock(steps: Steps, state: State) -> Iterator[None]:
    """Wait for other commands that start or stop this hub, then keep them waiting.

    Raises:
        CommandError: another command did not end in time.
    """
    path = state.run_folder / "lock"
    with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "w") as lock:
        if not _taken(lock.fileno()):
            steps.say("Another labhub command starts or stops this hub; waiting for its end")
            deadline = time.monotonic() + LOCK_TIMEOUT_S
            while not _taken(lock.fileno()):
                if time.monotonic() > deadline:
                    raise CommandError(
                        "Another labhub command has been at work for 30 minutes",
                        f"see which: fuser -v {path}",
                    )
                time.sleep(0.2)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
