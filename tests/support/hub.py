"""A real hub for tests: own data folder, own ports, own network on the engine; gone afterwards."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import requests

from cli.processes import (
    Process,
    start_hub,
    start_proxy,
    stop,
    wait_until_hub_answers,
)
from hub_config.loading import load_settings
from hub_config.settings import Settings
from hub_config.state import State
from spawner.naming import LABEL_HUB

HUB_TIMEOUT_S = 90
START_TIMEOUT_S = 120
NO_STANDBYS = "\n[standby]\nmemory_gib = 0\n"


def free_ports(count: int) -> list[int]:
    """Return TCP ports of this machine that nobody uses just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class RunningHub:
    """A hub and a proxy that run as `./labhub up` runs them.

    Args:
        folder: Holds hub.toml and the data folder.
        toml: More of hub.toml, beside the `[hub]` table that is made here. Without a table
            `[standby]` there are no standbys.
    """

    def __init__(self, folder: Path, toml: str = "") -> None:
        public, hub_port, proxy_api = free_ports(3)
        toml = toml if "[standby]" in toml else toml + NO_STANDBYS
        self.folder = folder
        self.config = folder / "hub.toml"
        self.config.write_text(
            f"[hub]\nport = {public}\nhub_port = {hub_port}\nproxy_api_port = {proxy_api}\n"
            f'data_folder = "data"\nruntime_folder = "runtime"\n{toml}'
        )
        self.settings: Settings = load_settings(self.config)
        self.state = State(self.settings.hub.data_folder).prepare()
        self.url = self.settings.hub.url

    # --- processes ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start proxy and hub; return when the hub answers."""
        start_proxy(self.settings, self.state)
        self.start_hub()

    def start_hub(self) -> None:
        """Start the hub alone; return when it answers."""
        process = start_hub(self.settings, self.state, self.config)
        wait_until_hub_answers(self.settings, HUB_TIMEOUT_S, [process])

    def stop_hub(self) -> None:
        """Stop the hub alone; servers and proxy go on."""
        stop([Process("hub", self.state)])

    def stop(self) -> None:
        """Stop all, and remove what this hub made on the engine and mounted.

        Raises:
            AssertionError: a trait was misspelt, which traitlets only logs.
        """
        stop([Process("hub", self.state), Process("proxy", self.state)])
        client = docker.APIClient(version="auto")
        mine = {"label": f"{LABEL_HUB}={self.state.hub_id}"}
        for container in client.containers(all=True, filters=mine):
            client.remove_container(container["Id"], force=True, v=True)
        for volume in client.volumes(filters=mine)["Volumes"] or ():
            client.remove_volume(volume["Name"], force=True)
        for network in client.networks(filters=mine):
            client.remove_network(network["Id"])
        client.close()
        subprocess.run(
            ["umount", "--recursive", "--lazy", str(self.settings.hub.runtime_folder)],
            check=False,
            capture_output=True,
        )
        if Process("hub", self.state).log_file.exists():  # not where it was never started
            unknown = [line for line in self.log().splitlines() if "not recognized by" in line]
            assert unknown == []

    def log(self) -> str:
        """Return the hub's log."""
        return Process("hub", self.state).log_file.read_text(errors="replace")

    # --- people ---------------------------------------------------------------------------------

    def demo_login(self, role: str) -> tuple[str, str]:
        """Return name and password of a demo login."""
        login = json.loads(self.state.demo_logins_file.read_text())[role]
        return login["username"], login["password"]

    def sign_in(self, role: str) -> Visitor:
        """Return a visitor who signed in with a demo login."""
        name, password = self.demo_login(role)
        visitor = Visitor(self.url, name)
        visitor.sign_in(password)
        return visitor


class Visitor:
    """What a browser does, without one: cookies, XSRF tokens, redirects.

    Args:
        url: Address of the hub.
        name: User name.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET a path below the hub's address."""
        return self.session.get(self.url + path.lstrip("/"), timeout=30, **options)

    def post_form(self, path: str, **fields: str) -> requests.Response:
        """POST a form with the XSRF token of the page it stands on."""
        page = self.get(path)
        token = re.search(r'name="_xsrf"\s+value="([^"]+)"', page.text)
        found = token.group(1) if token else self.session.cookies.get("_xsrf", path="/hub/")
        url = f"{self.url}{path.lstrip('/')}"
        return self.session.post(
            url, data=fields, params={"_xsrf": found or ""}, timeout=30, headers={"Referer": url}
        )

    def sign_in(self, password: str) -> requests.Response:
        """Fill in the login form."""
        answer = self.post_form(
            "hub/login?next=%2Fhub%2Fhome", username=self.name, password=password
        )
        answer.raise_for_status()
        return answer

    def open_server(self, name: str) -> requests.Response:
        """Open somebody's server, agreeing where the hub asks whether that is wanted."""
        page = self.get(f"user/{name}/lab")
        if "oauth2/authorize" not in page.url:
            return page
        fields = dict(re.findall(r'type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"', page.text))
        return self.session.post(page.url, data=fields, timeout=30, headers={"Referer": page.url})

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        """Call the hub's API as the page's scripts do."""
        token = self.session.cookies.get("_xsrf", path="/hub/") or ""
        url = f"{self.url}hub/api/{path.lstrip('/')}"
        headers = {"Referer": f"{self.url}hub/home", "X-XSRFToken": token}
        return self.session.request(method, url, headers=headers, timeout=60, **options)

    def start_server(self, **user_options: Any) -> list[dict[str, Any]]:
        """Start the own server; return the events of the start when it is ready or failed."""
        with ThreadPoolExecutor(1) as thread:
            path = f"users/{self.name}/server"
            asked = thread.submit(self.api, "POST", path, json=user_options or None)
            while not asked.done():
                servers = self.api("GET", f"users/{self.name}").json()["servers"]
                if servers.get("", {}).get("pending") == "spawn":
                    stream = self.api("GET", f"{path}/progress", stream=True)
                    if stream.status_code == 200:  # JupyterHub may not have begun yet
                        return list(_events(stream))
                time.sleep(0.02)
            answer = asked.result()
            if answer.status_code == 201:
                return [{"ready": True, "message": ""}]
            return [{"failed": True, "message": answer.json().get("message", answer.text)}]

    def stop_server(self) -> None:
        """Stop the own server; return when it is gone."""
        answer = self.api("DELETE", f"users/{self.name}/server")
        assert answer.status_code in (202, 204) or "not running" in answer.text, answer.text
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.api("GET", f"users/{self.name}").json()["servers"]:
            assert time.monotonic() < deadline, "the server was not stopped"
            time.sleep(0.2)


def _events(stream: requests.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of a start's stream, up to its end."""
    with stream:
        for line in stream.iter_lines():
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                yield event
                if event.get("ready") or event.get("failed"):
                    return
