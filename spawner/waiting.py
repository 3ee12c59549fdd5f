"""Wait for a server that was started: its port, its start chain's steps, its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from spawner import diagnosis
from spawner.diagnosis import StartFailed
from spawner.engine import Engine
from spawner.hooks import HookReport
from spawner.progress import Progress

POLL_S = 0.025
STATE_POLL_S = 0.5
_SHARE_OF_STEP = {"running": 0.3, "done": 0.8, "skipped": 0.8, "warning": 0.8, "failed": 0.8}


@dataclass(frozen=True)
class ServerWait:
    """One wait for one server.

    Attributes:
        engine: Runs the container.
        container_id: The engine's id of it.
        report: What its start chain writes.
        progress: Told each step.
        memory_gib: Its memory limit, for the diagnosis.
    """

    engine: Engine
    container_id: str
    report: HookReport
    progress: Progress
    memory_gib: float

    async def until_open(self, ip: str, port: int, limit_s: int) -> None:
        """Return as soon as the port is open.

        Args:
            ip: The container's address; empty when it ended before it could be asked for.
            port: The port.
            limit_s: Deadline, seconds.

        Raises:
            StartFailed: the container ended, or the port stayed closed.
            EngineError: the engine could not be asked.
        """
        if not ip:
            await self.fail_if_ended()
        await self.until(lambda: _is_open(ip, port), limit_s)
        self._tell_steps()
        self.progress.tell("server", "done", "Your server answers.")

    async def until(self, is_done: Callable[[], Awaitable[bool]], limit_s: int) -> None:
        """Return as soon as something of the server is done; tell its steps meanwhile.

        Raises:
            StartFailed: the container ended, or the deadline passed.
            EngineError: the engine could not be asked.
        """
        deadline = time.monotonic() + limit_s
        next_look = time.monotonic() + STATE_POLL_S
        while not await is_done():
            self._tell_steps()
            if time.monotonic() > deadline:
                raise StartFailed(diagnosis.of_closed_port(limit_s))
            if time.monotonic() > next_look:
                await self.fail_if_ended()
                next_look = time.monotonic() + STATE_POLL_S
            await asyncio.sleep(POLL_S)

    def _tell_steps(self) -> None:
        for step in self.report.read_new():
            state = "done" if step.state == "skipped" else step.state
            stage = "server" if step.name == "server" else "hooks"
            share = 0.5 if stage == "server" else _SHARE_OF_STEP[step.state]
            self.progress.tell(stage, state, step.message, share)

    async def fail_if_ended(self) -> None:
        """Raise StartFailed, with why, when the container does not run any more."""
        found = await self.engine.find("inspect_container", self.container_id)
        state = found["State"] if found else {"Running": False, "ExitCode": None}
        if state["Running"]:
            return
        self._tell_steps()
        cause = diagnosis.of_ended_container(state, self.report.refusal(), self.memory_gib)
        raise StartFailed(cause)


async def _is_open(ip: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(ip, port)
    except OSError:  # refused, unreachable, or the second is over
        return False
    writer.close()
    return True
