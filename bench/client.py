"""Start and stop servers through a hub's API, many at once, and take the time.

The clock runs from the request until the server itself answers through the proxy. Whoever starts
also watches the events of the start, as the page does, which is how a place in a queue is seen.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.simple_httpclient import HTTPTimeoutError

from cli.errors import CommandError

START_LIMIT_S = 420.0
STOP_LIMIT_S = 300.0
LOOK_S = 0.02
WATCH_AGAIN_S = 0.1
STREAM_ENDS_S = 1.0
ALREADY_RUNS = 400
QUEUE = "queue"
BEFORE_QUEUE = ("home", "image")


@dataclass(frozen=True)
class Event:
    """An event of a start, and when it was seen, seconds after the request."""

    at_s: float
    fields: dict[str, Any]


@dataclass
class Start:
    """One start of a server.

    Attributes:
        name: Its owner.
        began: When it was asked for, by the monotonic clock.
        seconds: From the request to the server's first answer; to the failure if it failed.
        failure: Why it failed; empty when it did not.
        status: HTTP status of the answer to the request.
        events: What was told meanwhile.
    """

    name: str
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    failure: str = ""
    status: int = 0
    events: list[Event] = field(default_factory=list)

    @property
    def saw_place(self) -> bool:
        """Tell whether a place in the queue was told."""
        return any(event.fields.get("stage") == QUEUE for event in self.events)

    @property
    def waited_s(self) -> float:
        """Return the time that passed between the stages around the queue, seconds.

        It is taken from when the events were seen, so who came late to watch waited for nothing.
        """
        staged = [(e.at_s, e.fields["stage"]) for e in self.events if "stage" in e.fields]
        before = [at_s for at_s, stage in staged if stage in BEFORE_QUEUE]
        after = [at_s for at_s, stage in staged if stage not in (*BEFORE_QUEUE, QUEUE)]
        return (after[0] if after else self.seconds) - before[-1] if before else 0.0


class HubClient:
    """A client of a hub's API; make and use it within one event loop.

    Args:
        url: Address of the hub, through its proxy.
        token: Of a service that may start and stop everyone's server.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url, self._headers = url, {"Authorization": f"token {token}"}
        self._http = AsyncHTTPClient(force_instance=True, max_clients=1000)

    async def start(self, name: str) -> Start:
        """Start somebody's server and wait until it answers or the start failed."""
        start = Start(name)
        await self.follow(start)
        return start

    async def follow(self, start: Start, options: dict[str, str] | None = None) -> None:
        """Start a server; what happens can be read from `start` meanwhile.

        Args:
            start: Whose server; it is filled in.
            options: What the person chose.
        """
        name = start.name
        watching = asyncio.create_task(self._watch(start))
        try:
            async with asyncio.timeout(START_LIMIT_S):
                body = json.dumps(options) if options else ""
                answer = await self._ask("POST", f"users/{name}/server", body=body)
                start.status = answer.code
                if answer.code == 202:  # it takes long: the events tell how it ends
                    start.failure = await watching
                elif answer.code != 201:
                    start.failure = f"{answer.code}: {_message(answer)}"
                if not start.failure:
                    await self._until_answering(name)
        except TimeoutError:
            start.failure = f"not ready within {START_LIMIT_S:.0f} s"
        finally:
            start.seconds = time.monotonic() - start.began
            if start.failure:  # the stream ends by itself; to break it off leaves an error behind
                await asyncio.wait([watching], timeout=STREAM_ENDS_S)
            watching.cancel()

    async def start_all(self, names: Sequence[str]) -> list[Start]:
        """Start many servers at the same moment."""
        return list(await asyncio.gather(*(self.start(name) for name in names)))

    async def stop_all(self, names: Sequence[str]) -> None:
        """Stop servers; return when the hub knows of none of them.

        Raises:
            TimeoutError: they were not stopped in time.
        """
        async with asyncio.timeout(STOP_LIMIT_S):
            await asyncio.gather(*(self._stop(name) for name in names))

    async def poll(self, name: str, limit_s: float = START_LIMIT_S) -> float:
        """Make the hub look whether a server runs; return the seconds until it answered.

        Raises:
            TimeoutError: the hub did not answer in time.
            CommandError: the server does not run.
        """
        began = time.monotonic()
        # asked to start a server that is there already, the hub looks after it first
        try:
            answer = await self._ask("POST", f"users/{name}/server", limit_s=limit_s)
        except HTTPTimeoutError as error:
            raise TimeoutError(str(error)) from error
        if answer.code != ALREADY_RUNS:
            raise CommandError(f"A server that should run was not polled: {answer.code}")
        return time.monotonic() - began

    async def _stop(self, name: str) -> None:
        while True:
            await self._ask("DELETE", f"users/{name}/server")
            for _ in range(50):
                user = json.loads((await self._ask("GET", f"users/{name}")).body)
                if not user["servers"]:
                    return
                await asyncio.sleep(0.2)

    async def _until_answering(self, name: str) -> None:
        while True:
            answer = await self._http.fetch(f"{self._url}user/{name}/api", raise_error=False)
            if answer.code == 200:
                return
            await asyncio.sleep(LOOK_S)

    async def _watch(self, start: Start) -> str:
        """Keep the events of a start.

        Returns:
            Why it failed; empty when it is ready.
        """
        rest = b""

        def take(chunk: bytes) -> None:
            nonlocal rest
            *lines, rest = (rest + chunk).split(b"\n")
            for fields in filter(None, map(read_event, lines)):
                start.events.append(Event(time.monotonic() - start.began, fields))

        while True:
            await asyncio.sleep(WATCH_AGAIN_S)  # before the start begins there is nothing to watch
            path = f"users/{start.name}/server/progress"
            rest = b""
            await self._ask("GET", path, streaming_callback=take)
            last = start.events[-1].fields if start.events else {}
            if last.get("failed"):
                return str(last.get("message", "failed"))
            if last.get("ready"):
                return ""

    async def _ask(
        self,
        method: str,
        path: str,
        body: str = "",
        limit_s: float = START_LIMIT_S,
        **options: Any,
    ) -> HTTPResponse:
        return await self._http.fetch(
            f"{self._url}hub/api/{path}",
            method=method,
            headers=self._headers,
            body=body if method == "POST" else None,
            connect_timeout=limit_s,
            request_timeout=limit_s,
            raise_error=False,
            **options,
        )


def read_event(line: bytes) -> dict[str, Any] | None:
    """Return the event in a line of a server-sent stream; None when the line is none."""
    if not line.startswith(b"data:"):
        return None
    found = json.loads(line[5:])
    return found if isinstance(found, dict) else None


def _message(answer: HTTPResponse) -> str:
    try:
        return str(json.loads(answer.body)["message"])
    except (ValueError, KeyError, TypeError):
        return str(answer.reason)
