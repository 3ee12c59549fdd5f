"""A real hub process without an engine, and a stand-in GitHub."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from hub_config.loading import load_settings
from hub_config.state import State
from tests.support.github import CLIENT_ID, CLIENT_SECRET, StandInGitHub
from tests.support.hub import Visitor, free_ports

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("jupyterhub_config.py")
START_TIMEOUT_S = 60
REQUEST_DEADLINE_S = 1.0


class HubProcess:
    """`python -m jupyterhub` on free ports, with its data in a folder of its own.

    Args:
        folder: Where hub.toml and the data lie.
        toml: What hub.toml says about the login.
    """

    def __init__(self, folder: Path, toml: str = "") -> None:
        port, hub_port, api_port = free_ports(3)
        self.config = folder / "hub.toml"
        self.config.write_text(
            f"[hub]\nport = {port}\nhub_port = {hub_port}\nproxy_api_port = {api_port}\n"
            f'title = "Course 2026"\ncontact = "Grace in room 12"\n{toml}'
        )
        self.config.chmod(0o600)
        self.settings = load_settings(self.config)
        self.state = State(self.settings.hub.data_folder)
        self.url = self.settings.hub.url
        self._log_file = folder / "hub.log"
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {
            "LABHUB_CONFIG": str(self.config),
            "TEST_REQUEST_DEADLINE_S": str(REQUEST_DEADLINE_S),
        }
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)],
                cwd=ROOT,
                env=environment | {"PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        """Return when the hub answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            assert self._process.poll() is None, f"the hub ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"the hub does not answer:\n{self.log()}"
            try:
                if requests.get(f"{self.url}hub/health", timeout=5).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)

    def stop(self) -> None:
        """Stop the hub, and with it the servers it started."""
        self._process.terminate()
        self._process.wait(30)

    def log(self) -> str:
        """Return all that the hub has logged."""
        return self._log_file.read_text(errors="replace")

    def visitor(self) -> Visitor:
        """Return a browser that has not been here before."""
        return Visitor(self.url, "")


def run_hub(folder: Path, toml: str = "") -> Iterator[HubProcess]:
    """Run a hub; afterwards, insist that no setting was misspelt and nothing failed unseen."""
    hub = HubProcess(folder, toml)
    try:
        hub.wait_until_ready()
        yield hub
    finally:
        hub.stop()
    log = hub.log()
    for trouble in ("not recognized by", "Traceback", "Uncaught exception"):
        assert trouble not in log, log


def github_toml(github: StandInGitHub) -> str:
    """Return what hub.toml says about the sign-in with a stand-in GitHub."""
    return (
        f'[login.github]\nclient_id = "{CLIENT_ID}"\nclient_secret = "{CLIENT_SECRET}"\n'
        f'organization = "{github.organization}"\nurl = "{github.url}"\n'
        '[login.github.teams]\nstudents = ["participants"]\n'
        'tas = ["Teaching Assistants"]\nadmins = ["admins"]\n'
    )
