"""The hub's side of the hand-over, against a real socket: what is sent, and what never is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spawner.claim import READY, SOCKET, ClaimFailed, NotWaiting, hand_over, is_waiting, read_ready

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


@asynccontextmanager
async def listening(runtime: Path, handler: Handler) -> AsyncIterator[None]:
    """Listen at the socket of a runtime directory, whose path may be of any length."""
    short = Path("/tmp") / f"labhub-claim-{id(handler)}"
    handled: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handled.append(asyncio.ensure_future(handler(reader, writer)))

    server = await asyncio.start_unix_server(handle, path=short)
    short.rename(runtime / SOCKET)
    try:
        yield
    finally:
        server.close()
        await asyncio.gather(*handled)
        await asyncio.sleep(0)  # the last connection closes


def answering(answer: bytes, got: list[bytes]) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readline())
        writer.write(answer)
        await writer.drain()
        writer.close()

    return handle


async def test_environment_is_handed_over(tmp_path: Path) -> None:
    """One line of JSON goes in; it works however long the path is."""
    runtime = tmp_path / ("x" * 120)
    runtime.mkdir()
    got: list[bytes] = []
    async with listening(runtime, answering(b'{"taken": true}\n', got)):
        await hand_over(runtime, {"NAME": "a\nb"})
    assert json.loads(got[0]) == {"version": 1, "environment": {"NAME": "a\nb"}}
    assert got[0].count(b"\n") == 1


@pytest.mark.parametrize(
    "answer", [b"", b"{}\n", b"x\n", b"[]\n", b'{"taken": 1}\n', b'{"error": "no"}\n', b"1" * 9999]
)
async def test_only_a_clear_yes_counts(tmp_path: Path, answer: bytes) -> None:
    """Whatever else is answered means that the container is not taken."""
    async with listening(tmp_path, answering(answer, [])):
        with pytest.raises(ClaimFailed):
            await hand_over(tmp_path, {})


async def test_a_frozen_one_is_given_up(tmp_path: Path) -> None:
    """One that never answers costs a bounded time."""
    asked = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()
        writer.close()

    async with listening(tmp_path, handle):
        with pytest.raises(ClaimFailed, match="no answer"):
            await hand_over(tmp_path, {}, timeout_s=0.2)
    assert asked.is_set()


async def test_one_that_waits_says_so(tmp_path: Path) -> None:
    """A container that waits refuses nonsense; that is how it is known to live."""
    assert not await is_waiting(tmp_path)
    got: list[bytes] = []
    async with listening(tmp_path, answering(b'{"error": "not of version 1"}\n', got)):
        assert await is_waiting(tmp_path)
    assert got == [b"{}\n"]


async def test_nobody_waits(tmp_path: Path) -> None:
    """No socket, or one at which nobody listens, is told apart: nothing was sent."""
    with pytest.raises(NotWaiting):
        await hand_over(tmp_path, {})
    async with listening(tmp_path, answering(b"", [])):
        pass
    with pytest.raises(NotWaiting):
        await hand_over(tmp_path, {})


async def test_a_link_leads_nowhere(tmp_path: Path) -> None:
    """Root in a container cannot make the hub talk to another socket of the host, or to a file."""
    other, runtime = tmp_path / "other", tmp_path / "runtime"
    for folder in (other, runtime):
        folder.mkdir()
    got: list[bytes] = []
    async with listening(other, answering(b'{"taken": true}\n', got)):
        (runtime / SOCKET).symlink_to(other / SOCKET)
        with pytest.raises((NotWaiting, ClaimFailed)):
            await hand_over(runtime, {"TOKEN": "secret"})
    (runtime / SOCKET).unlink()
    (runtime / SOCKET).write_text("no socket")
    with pytest.raises(ClaimFailed):
        await hand_over(runtime, {})
    assert got == []


@pytest.mark.parametrize(
    ("content", "memory"),
    [
        (b'{"version": 1, "memory_kib": 112000}', 112000),
        (b'{"version": 2, "memory_kib": 112000}', None),
        (b'{"version": 1, "memory_kib": "x"}', None),
        (b'{"version": 1, "memory_kib": -1}', None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_readiness(tmp_path: Path, content: bytes, memory: int | None) -> None:
    """A standby is ready when it says so properly, in a file of its own."""
    assert read_ready(tmp_path) is None
    (tmp_path / "elsewhere").write_bytes(content)
    (tmp_path / READY).symlink_to(tmp_path / "elsewhere")
    assert read_ready(tmp_path) is None
    (tmp_path / READY).unlink()
    (tmp_path / READY).write_bytes(content)
    assert read_ready(tmp_path) == memory
