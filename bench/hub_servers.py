"""Stub servers: containers of a 2 MB image that answer HTTP and do nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import ImageNotFound, NotFound

from bench.hub_people import PORT, Server
from cli.errors import CommandError
from hub_config.people import Person
from hub_config.settings import Engine
from spawner.engine import ensure_network
from spawner.naming import LABEL_HUB, labels, network, server_names

BUSYBOX = Path("/bin/busybox")
AT_ONCE = 8
MEMORY_BYTES = 16 * 2**20
PROCESSES = 16
T = TypeVar("T")
R = TypeVar("R")


class StubServers:
    """The stub servers of one hub, with their image and network.

    Args:
        engine: `[engine]` of the settings.
        hub_id: The hub's id; everything made here carries its label.
    """

    def __init__(self, engine: Engine, hub_id: str) -> None:
        self.image = f"labhub-bench/stub:{os.getpid()}"
        self._hub_id = hub_id
        self._client = docker.APIClient(
            base_url=engine.socket, version="auto", timeout=120, max_pool_size=AT_ONCE
        )

    @property
    def gateway(self) -> str:
        """Return the address at which the hub listens; makes the network when it is missing."""
        return ensure_network(self._client, self._hub_id)

    def make_image(self) -> str:
        """Make the image; return the engine's id of it.

        Raises:
            CommandError: there is no busybox to make it of.
        """
        if not BUSYBOX.exists():
            raise CommandError(
                "There is no busybox for the stub servers", "apt-get install busybox-static"
            )
        repository, tag = self.image.split(":")
        changes = [f"CMD {json.dumps(_command())}"]
        self._client.import_image_from_data(_archive(), repository, tag, changes=changes)
        return str(self._client.inspect_image(self.image)["Id"])

    def run(
        self, owners: Sequence[Person], limit_s: float, say: Callable[[str], None]
    ) -> list[Server]:
        """Start a server for each owner; fewer when the time is over.

        Args:
            owners: One server each.
            limit_s: No server is begun later than this, seconds.
            say: Told from time to time how many run.

        Returns:
            The servers that run.
        """
        deadline = time.monotonic() + limit_s
        servers: list[Server] = []

        def run_in_time(owner: Person) -> Server | None:
            return self._run_one(owner) if time.monotonic() < deadline else None

        for server in _each(run_in_time, owners):
            if server:
                servers.append(server)
                if len(servers) % 50 == 0:
                    say(f"{len(servers)} stub servers run")
        return servers

    def _run_one(self, owner: Person) -> Server:
        name, net = server_names(self._hub_id, owner).container, network(self._hub_id)
        host_config = self._client.create_host_config(
            network_mode=net,
            mem_limit=MEMORY_BYTES,
            memswap_limit=MEMORY_BYTES,
            pids_limit=PROCESSES,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
        )
        made = self._client.create_container(
            self.image,
            name=name,
            user=f"{owner.uid}:{owner.gid}",
            labels=labels(self._hub_id, "server"),
            host_config=host_config,
        )
        self._client.start(made["Id"])
        networks = self._client.inspect_container(made["Id"])["NetworkSettings"]["Networks"]
        return Server(owner, name, made["Id"], networks[net]["IPAddress"])

    def remove(self) -> None:
        """Remove all containers of the hub, its network and the image; may be called again."""
        mine: dict[str, Any] = {"label": f"{LABEL_HUB}={self._hub_id}"}

        def remove_one(container: dict[str, Any]) -> None:
            with contextlib.suppress(NotFound):
                self._client.remove_container(container["Id"], force=True, v=True)

        for _ in _each(remove_one, self._client.containers(all=True, filters=mine)):
            pass
        for found in self._client.networks(filters=mine):
            self._client.remove_network(found["Id"])
        with contextlib.suppress(ImageNotFound):
            self._client.remove_image(self.image, force=True)
        self._client.close()  # a later call would open it again


def _each(job: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Do a job for all items, AT_ONCE at a time; what is not begun is dropped on an error."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield from pool.map(job, items)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _command() -> list[str]:
    serve = f"busybox httpd -p {PORT} -h /"
    wait = "trap exit TERM; while :; do busybox sleep 9 & wait; done"
    return ["/bin/sh", "-c", f"{serve}; {wait}"]


def _archive() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    return archive.getvalue()
