"""What `up` does while it stays attached: watch the hub and the proxy, and stop both at its end."""

from __future__ import annotations

import signal
import time

from cli.processes import Process, stop
from cli.start_lock import start_lock
from cli.steps import Steps
from hub_config.state import State

LOOK_EVERY_S = 0.5


def watch(steps: Steps, state: State) -> None:
    """Watch until Ctrl-C, which is left to the caller.

    Raises:
        ProcessFailed: the hub or the proxy ended by itself; the other one is stopped.
    """
    hub, proxy = Process("hub", state), Process("proxy", state)
    steps.say("\nCtrl-C stops the hub and the proxy; running servers go on.")
    ended = _first_to_end(hub, proxy)
    with start_lock(steps, state):  # a `down` that runs now removes the pid file at its end
        if not ended.pid_file.exists():
            steps.say("labhub was stopped by another command")
            return
        failure = ended.failure()
        stop([hub, proxy])
        raise failure


def stop_both(steps: Steps, state: State) -> None:
    """Stop the hub and the proxy; users' servers go on."""
    _ignore_signals()
    with start_lock(steps, state), steps.step("Stopping the hub and the proxy") as step:
        stop([Process("hub", state), Process("proxy", state)])
        step.text = "Stopped the hub and the proxy; running servers go on"


def _first_to_end(*processes: Process) -> Process:
    while True:
        for process in processes:
            if process.identity() is None:
                return process
        time.sleep(LOOK_EVERY_S)


def _ignore_signals() -> None:
    """Let nothing interrupt the stop: it has a deadline of its own."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
