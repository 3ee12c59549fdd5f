"""The Docker client: thread pools, deadlines, and one place where API errors become ours.

docker-py blocks, so every call runs in a thread. Two lanes keep the slow from the quick: pulls have
their own threads, and whoever asks whether a server lives never waits behind one. Calls share one
client per lane; `requests` keeps a pool of connections as large as the lane.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import docker
import docker.errors
import requests.exceptions

from hub_config.settings import Engine as EngineSettings
from spawner.naming import labels, network

T = TypeVar("T")

PULLS_AT_ONCE = 4
PULL_SILENCE_S = 120.0
"""A pull that brings nothing for so long is given up."""


class EngineError(Exception):
    """The engine refused a call or could not be asked.

    str() is a text for the log. `status` is the engine's HTTP status, or None when the engine could
    not be asked at all: then nothing is known about what it holds.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_missing(self) -> bool:
        """Tell whether the engine said for certain that there is no such object."""
        return self.status == 404


class Lane:
    """Some threads and the client they share; the client is made by the first call."""

    def __init__(self, name: str, url: str, threads: int, timeout_s: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"engine-{name}")
        self._url, self._threads, self._timeout_s = url, threads, timeout_s
        self._client: docker.APIClient | None = None
        self._lock = threading.Lock()  # two threads must not both make the client

    @property
    def client(self) -> docker.APIClient:
        """Return the client; connects on first use, so call it in one of the lane's threads."""
        with self._lock:
            if self._client is None:
                self._client = docker.APIClient(
                    base_url=self._url,
                    version="auto",
                    timeout=int(self._timeout_s),
                    max_pool_size=self._threads,
                )
            return self._client

    async def run(self, job: Callable[[docker.APIClient], T]) -> T:
        """Run a job in one of the lane's threads.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        return await asyncio.wrap_future(self._pool.submit(self._translated, job))

    def _translated(self, job: Callable[[docker.APIClient], T]) -> T:
        try:
            return job(self.client)
        except docker.errors.APIError as error:
            raise EngineError(error.explanation or str(error), error.status_code) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise EngineError(f"the engine at {self._url} does not answer: {error}") from error


class Engine:
    """One Docker Engine, asked by many starts at once.

    Args:
        settings: `[engine]` of the settings.
        hub_id: Names what this hub makes on the engine.
    """

    def __init__(self, settings: EngineSettings, hub_id: str) -> None:
        url = settings.socket
        self.hub_id = hub_id
        self._pull_timeout_s = settings.pull_timeout_s
        self._calls = Lane("call", url, settings.calls_at_once, settings.call_timeout_s)
        silence_s = min(PULL_SILENCE_S, settings.pull_timeout_s)
        self._pulls = Lane("pull", url, PULLS_AT_ONCE, silence_s)

    @property
    def client(self) -> docker.APIClient:
        """Return the client of quick calls, for what needs no answer from the engine."""
        return self._calls.client

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of docker-py's low-level client.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        return await self._calls.run(lambda client: getattr(client, method)(*args, **kwargs))

    async def find(self, method: str, *args: Any) -> Any | None:
        """Call an inspecting method; None when the engine knows no such object."""
        try:
            return await self.call(method, *args)
        except EngineError as error:
            if error.is_missing:
                return None
            raise

    async def pull(
        self,
        repository: str,
        tag: str,
        auth: dict[str, str] | None,
        on_event: Callable[[dict[str, Any]], None],
    ) -> None:
        """Pull an image; hand each event of the stream to `on_event` on the event loop.

        Raises:
            EngineError: the pull failed, also when the engine said so within the stream.
        """
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + self._pull_timeout_s

        def job(client: docker.APIClient) -> None:
            stream: Iterator[dict[str, Any]] = client.pull(
                repository, tag=tag, stream=True, decode=True, auth_config=auth
            )
            for event in stream:
                if "error" in event:
                    raise EngineError(f"pull of {repository}:{tag}: {event['error']}", 500)
                if time.monotonic() > deadline:
                    raise EngineError(f"pull of {repository}:{tag} passed its deadline")
                loop.call_soon_threadsafe(on_event, event)

        await self._pulls.run(job)

    async def run_helper(self, image: str, command: list[str], mounts: list[Any]) -> None:
        """Run a short-lived container as root without a network, and wait for its end.

        Args:
            image: Image id; any image with a POSIX shell.
            command: Program and arguments; replaces the image's entry point.
            mounts: `docker.types.Mount` objects.

        Raises:
            EngineError: it could not run, or ended with another status than 0.
        """
        client_call = self.call
        host_config = self.client.create_host_config(
            mounts=mounts,
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=["CHOWN", "DAC_OVERRIDE", "FOWNER"],
            pids_limit=64,
        )
        made = await client_call(
            "create_container",
            image,
            command=command[1:],
            entrypoint=command[:1],
            user="0:0",
            labels=labels(self.hub_id, "helper"),
            host_config=host_config,
        )
        try:
            await client_call("start", made["Id"])
            status = (await client_call("wait", made["Id"], timeout=30))["StatusCode"]
            if status != 0:
                output = await client_call("logs", made["Id"], tail=20)
                raise EngineError(f"helper ended with {status}: {output.decode(errors='replace')}")
        finally:
            await client_call("remove_container", made["Id"], force=True, v=True)


def ensure_network(client: docker.APIClient, hub_id: str) -> str:
    """Return the gateway address of the hub's network; make the network when it is missing.

    Servers on it reach the hub at the gateway, and not each other.

    Raises:
        docker.errors.APIError: the engine refused.
    """
    name = network(hub_id)
    try:
        found = client.inspect_network(name)
    except docker.errors.NotFound:
        client.create_network(
            name,
            driver="bridge",
            check_duplicate=True,
            labels=labels(hub_id, "network"),
            options={
                "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.name": f"lh-{hub_id}",
            },
        )
        found = client.inspect_network(name)
    return str(found["IPAM"]["Config"][0]["Gateway"])
