"""Hand a waiting container to its owner, through the socket in its runtime directory.

The container's side, and the words on the wire, are in startup_scripts/README.md ("Waiting for an
owner"). One line of JSON goes in and one comes back; the environment, and with it the server's API
token, is never written to a disk and is in no `docker inspect`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

VERSION = 1
SOCKET = "claim.sock"
READY = "ready.json"
ANSWER_TIMEOUT_S = 2.0
_LARGEST_ANSWER = 4096


class NotWaiting(Exception):
    """Nobody waits at the socket, yet or any more."""


class ClaimFailed(Exception):
    """A container that waits could not be handed to its owner; str() is for the log."""


async def hand_over(
    runtime: Path, environment: dict[str, str], timeout_s: float = ANSWER_TIMEOUT_S
) -> None:
    """Make a waiting container somebody's.

    Args:
        runtime: Its runtime directory.
        environment: The variables of its server.
        timeout_s: How long it may take to answer, seconds; a frozen one never does.

    Raises:
        NotWaiting: it does not listen, so nothing of the environment was sent.
        ClaimFailed: it refused, or it does not answer.
    """
    with contextlib.closing(_connect(runtime)) as connection:
        request = {"version": VERSION, "environment": environment}
        answer = await _ask(connection, request, timeout_s)
    if not isinstance(answer, dict) or answer.get("taken") is not True:
        raise ClaimFailed(f"refused: {answer!r:.200}")


async def is_waiting(runtime: Path) -> bool:
    """Tell whether a container waits and is not frozen: to nonsense it answers with an error."""
    try:
        with contextlib.closing(_connect(runtime)) as connection:
            answer = await _ask(connection, {}, ANSWER_TIMEOUT_S)
    except (NotWaiting, ClaimFailed):
        return False
    return isinstance(answer, dict) and "error" in answer


async def _ask(connection: socket.socket, request: dict[str, Any], timeout_s: float) -> Any:
    """Send one line and return what is answered to it."""
    loop, answer = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(timeout_s):
            await loop.sock_sendall(connection, json.dumps(request).encode() + b"\n")
            while not answer.endswith(b"\n") and len(answer) < _LARGEST_ANSWER:
                if not (more := await loop.sock_recv(connection, _LARGEST_ANSWER)):
                    break
                answer += more
            return json.loads(answer)
    except TimeoutError as error:
        raise ClaimFailed(f"no answer within {timeout_s:g} s") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ClaimFailed(f"no proper answer: {error}") from error


def _connect(runtime: Path) -> socket.socket:
    """Connect to the socket itself; a link that a container put there leads nowhere."""
    try:
        place = os.open(runtime / SOCKET, os.O_PATH | os.O_NOFOLLOW)
    except OSError as error:
        raise NotWaiting(error.strerror) from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        if not stat.S_ISSOCK(os.fstat(place).st_mode):
            raise ClaimFailed(f"{SOCKET} is no socket")
        # by its descriptor: the path may be longer than the 107 bytes that an address holds
        connection.connect(f"/proc/self/fd/{place}")
    except OSError as error:
        connection.close()
        raise NotWaiting(error.strerror) from error
    except ClaimFailed:
        connection.close()
        raise
    finally:
        os.close(place)
    return connection


def read_ready(runtime: Path) -> int | None:
    """Return the memory of a container that has done its imports, KiB; None before.

    What the file holds is checked: root in the container wrote it.
    """
    try:
        descriptor = os.open(runtime / READY, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fields = json.loads(os.pread(descriptor, _LARGEST_ANSWER, 0))
        memory = fields["memory_kib"] if fields["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    finally:
        os.close(descriptor)
    return memory if isinstance(memory, int) and memory >= 0 else None
