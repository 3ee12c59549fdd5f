"""The hubs that are measured: labhub as `./labhub up` runs it, and a stock one beside it.

Each has a folder, ports, a network and a proxy of its own, and removes all of it, with containers,
volumes and mounts, when the measurement ends, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests

from bench.course import HookKind, make_course, use_hooks
from cli import PROJECT_FOLDER
from cli.errors import CommandError
from cli.processes import Process, start_hub, start_proxy, stop, wait_until_hub_answers
from hub_config.loading import load_settings
from hub_config.settings import LOCAL_IMAGE, Settings
from hub_config.state import State
from spawner.engine import ensure_network
from spawner.naming import LABEL_HUB, labels, network

HUB_TIMEOUT_S = 90
NETWORK_TRIES = 5
MEMORY_GIB = 1
"""Of each server, ours and stock: sixty fit into the memory of a common machine."""

STANDBY_BUDGET_GIB = 8
ROLE = {
    "name": "bench",
    "services": ["bench"],
    "scopes": ["admin:users", "admin:servers", "read:hub"],
}


class MeasuredHub:
    """A hub and a proxy, on this machine's engine.

    Args:
        client: The engine.
        toml: More of hub.toml, beside the `[hub]` table that is made here.
        config: JupyterHub's configuration, a file of this folder.
    """

    def __init__(self, client: docker.APIClient, toml: str, config: str) -> None:
        self.client = client
        # on a disk, where /tmp may be memory
        self.folder = Path(tempfile.mkdtemp(prefix="labhub-bench-", dir="/var/tmp"))
        public, hub_port, proxy_api = _free_ports(3)
        self._toml = self.folder / "hub.toml"
        self._toml.write_text(
            f"[hub]\nport = {public}\nhub_port = {hub_port}\nproxy_api_port = {proxy_api}\n"
            f'data_folder = "data"\nruntime_folder = "runtime"\n{toml}'
        )
        self._config = PROJECT_FOLDER / "bench" / config
        self.settings: Settings = load_settings(self._toml)
        self.state = State(self.settings.hub.data_folder).prepare()
        self.url = self.settings.hub.url
        self.token, self._password = secrets.token_hex(32), secrets.token_hex(16)

    @property
    def volume_prefix(self) -> str:
        """Return how the names of this hub's volumes begin."""
        return f"labhub-bench-{self.state.hub_id}-"

    def start(self, names: Iterable[str], facts: dict[str, Any]) -> None:
        """Start proxy and hub, and sign people in, so that the hub knows them.

        Args:
            names: The people.
            facts: What the configuration reads beside the token and the password.

        Raises:
            CommandError: the hub does not answer, or somebody cannot sign in.
        """
        known = {"token": self.token, "password": self._password, "role": ROLE}
        path = self.folder / "bench.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(known | facts))
        proxy = start_proxy(self.settings, self.state)
        hub = start_hub(self.settings, self.state, self._toml, self._config)
        wait_until_hub_answers(self.settings, HUB_TIMEOUT_S, [proxy, hub])
        for name in names:
            _sign_in(self.url, name, self._password)

    def remove(self) -> None:
        """Remove all of it; each part also when removing another one fails."""
        try:
            self._remove()
        except KeyboardInterrupt:  # an impatient Ctrl-C: what is left is still ours to remove
            self._remove()
            raise

    def _remove(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove_folder)
            stack.callback(self._remove_engine_objects)
            stack.callback(stop, [Process("hub", self.state), Process("proxy", self.state)])

    def _remove_engine_objects(self) -> None:
        mine = {"label": f"{LABEL_HUB}={self.state.hub_id}"}
        for container in self.client.containers(all=True, filters=mine):
            with contextlib.suppress(docker.errors.NotFound):
                self.client.remove_container(container["Id"], force=True, v=True)
        for found in (mine, {"name": self.volume_prefix}):
            for volume in self.client.volumes(filters=found)["Volumes"] or ():
                self.client.remove_volume(volume["Name"], force=True)
        for each in self.client.networks(filters=mine):
            remove_network(self.client, each["Id"])

    def _remove_folder(self) -> None:
        # Not a step into a folder over which something is mounted: it may be somebody's files.
        for point in mounts_below(self.folder):
            subprocess.run(["umount", "--lazy", point], check=True, capture_output=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)


def remove_network(client: docker.APIClient, network_id: str) -> None:
    """Remove a network, when the engine lets go of it.

    Engines forget now and then that a container has left (Docker 20.10, under load); they keep its
    network until they are restarted. That is no reason to lose the figures.
    """
    for _ in range(NETWORK_TRIES):
        try:
            client.remove_network(network_id)
            return
        except docker.errors.APIError as error:
            left = error
        time.sleep(1)
    print(f"The engine keeps the network {network_id[:12]} until it is restarted: {left}")


@contextlib.contextmanager
def our_hub(
    client: docker.APIClient,
    names: Iterable[str],
    hooks: HookKind,
    standbys: int = 0,
    more_toml: str = "",
) -> Iterator[MeasuredHub]:
    """Run labhub as `./labhub up` does.

    Args:
        client: The engine.
        names: The people.
        hooks: The operators' hooks.
        standbys: How many servers wait without an owner.
        more_toml: Other tables of hub.toml.
    """
    toml = (
        f"[limits]\nmemory_gib = {MEMORY_GIB}\n"
        f"[standby]\nmemory_gib = {STANDBY_BUDGET_GIB}\n"
        f'[[profile]]\nname = "notebook"\nimage = "{LOCAL_IMAGE}"\nstandbys = {standbys}\n'
        f"{more_toml}"
    )
    hub = MeasuredHub(client, toml, "our_config.py")
    try:
        make_course(hub.settings)
        use_hooks(hub.settings, hooks)
        hub.start(names, {})
        yield hub
    finally:
        hub.remove()


@contextlib.contextmanager
def stock_hub(
    client: docker.APIClient, names: Iterable[str], image: str, engine: str = ""
) -> Iterator[MeasuredHub]:
    """Run JupyterHub with DockerSpawner, as bench/stock_config.py says.

    Args:
        client: The engine.
        names: The people.
        image: The stock image.
        engine: Address at which the hub finds the engine; empty for the standard one.
    """
    hub = MeasuredHub(client, "", "stock_config.py")
    try:
        settings, hub_id = hub.settings.hub, hub.state.hub_id
        gateway = ensure_network(client, hub_id)
        facts = {
            "image": image,
            "engine": engine,
            "network": network(hub_id),
            "volume": hub.volume_prefix + "{username}",
            "prefix": f"labhub-bench-{hub_id}",
            "labels": labels(hub_id, "server"),
            "memory": f"{MEMORY_GIB}G",
            "bind_url": hub.url,
            "hub_bind_url": f"http://{gateway}:{settings.hub_port}",
            "proxy_api_url": f"http://127.0.0.1:{settings.proxy_api_port}",
            "proxy_token": hub.state.proxy_token,
            "cookie_secret_file": str(hub.state.cookie_secret_file),
            "db_url": f"sqlite:///{hub.state.database_file}",
        }
        hub.start(names, facts)
        yield hub
    finally:
        hub.remove()


def mounts_below(folder: Path) -> list[str]:
    """Return what is mounted below a folder, the last mount first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in reversed(points) if point.startswith(f"{folder}/")]


def _sign_in(url: str, name: str, password: str) -> None:
    """Fill in the login form, as a browser does.

    Raises:
        CommandError: the hub did not let them in.
    """
    with requests.Session() as session:
        session.trust_env = False
        address = f"{url}hub/login"
        page = session.get(address, timeout=30)
        token = re.search(r'name="_xsrf"\s+value="([^"]+)"', page.text)
        fields = {"username": name, "password": password, "_xsrf": token[1] if token else ""}
        headers = {"Referer": address}
        answer = session.post(
            address, data=fields, headers=headers, timeout=30, allow_redirects=False
        )
    if answer.status_code != 302:
        raise CommandError(f"{name} could not sign in to the measured hub: {answer.status_code}")


def _free_ports(count: int) -> list[int]:
    """Return TCP ports of this machine that nobody uses just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
