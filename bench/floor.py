"""The floor of a start: a bare `docker run` of our image, until its server answers.

No hub, no start chain, no hooks, no privileges to drop: the image's own server command as an
ordinary user, with the environment that a hub gave to a real server, so that the server starts as
it does under a hub. What is left is the engine and Python.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass

import docker
import docker.errors
import requests

from bench.running import MEMORY_GIB, MeasuredHub
from cli.errors import CommandError
from hub_config.settings import LOCAL_IMAGE
from spawner.naming import labels, network

PORT = 8888
ANSWER_LIMIT_S = 120
LOOK_S = 0.02
USER = "1000:100"
FROM_THE_HUB = ("JUPYTERHUB_", "JPY_", "MEM_LIMIT", "CPU_LIMIT", "JUPYTER_IMAGE")
NOT_HERE = ("JUPYTERHUB_ROOT_DIR", "JUPYTERHUB_NOTEBOOK_DIR")
"""Of the stock hub's `notebook_dir`, a folder of the stock image."""


@dataclass(frozen=True)
class Floor:
    """A bare container that can be run again and again.

    Attributes:
        client: The engine.
        socket: Address of the engine, for the `docker` program.
        hub: The stock hub that the environment came from; the container is on its network.
        environment: What the hub gives to a server.
        command: The server's command in our image.
        path: The server's own address, below `/`.
    """

    client: docker.APIClient
    socket: str
    hub: MeasuredHub
    environment: dict[str, str]
    command: list[str]
    path: str

    @classmethod
    def like(cls, hub: MeasuredHub, socket: str, owner: str) -> Floor:
        """Take the environment from a running server of the stock hub.

        Args:
            hub: The hub.
            socket: Address of the engine.
            owner: Whose server runs.
        """
        client = hub.client
        mine = {
            "label": [f"{key}={value}" for key, value in labels(hub.state.hub_id, "server").items()]
        }
        [container] = client.containers(filters=mine)
        config = client.inspect_container(container["Id"])["Config"]
        pairs = (line.partition("=") for line in config["Env"])
        given = {
            key: value
            for key, _, value in pairs
            if key.startswith(FROM_THE_HUB) and key not in NOT_HERE
        }
        command = list(client.inspect_image(LOCAL_IMAGE)["Config"]["Cmd"])
        return cls(client, socket, hub, given, command, f"user/{owner}/api")

    def run(self) -> float:
        """Run the container once and remove it.

        Returns:
            Seconds from the command to the server's first answer.

        Raises:
            CommandError: it does not answer, or there is no `docker` program.
        """
        name = f"labhub-bench-{self.hub.state.hub_id}--bare"
        began = time.monotonic()
        try:
            done = subprocess.run(self._words(name), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise CommandError("The floor could not be run", "", done.stderr.splitlines())
            self._wait(name, began + ANSWER_LIMIT_S)
            return time.monotonic() - began
        except FileNotFoundError as error:
            raise CommandError(
                "There is no docker program", "apt-get install docker-cli"
            ) from error
        finally:
            with contextlib.suppress(docker.errors.NotFound):
                self.client.remove_container(name, force=True, v=True)

    def _words(self, name: str) -> list[str]:
        """Return the command line."""
        hub_id = self.hub.state.hub_id
        options = [f"--name={name}", f"--network={network(hub_id)}", f"--user={USER}"]
        options += [f"--memory={MEMORY_GIB}g", f"--entrypoint={self.command[0]}"]
        options += [f"--label={key}={value}" for key, value in labels(hub_id, "floor").items()]
        options += [f"--env={key}={value}" for key, value in self.environment.items()]
        return [
            *("docker", f"--host={self.socket}", "run", "--detach"),
            *options,
            LOCAL_IMAGE,
            *self.command[1:],
        ]

    def _wait(self, name: str, deadline: float) -> None:
        networks = self.client.inspect_container(name)["NetworkSettings"]["Networks"]
        url = f"http://{networks[network(self.hub.state.hub_id)]['IPAddress']}:{PORT}/{self.path}"
        with requests.Session() as session:
            session.trust_env = False  # no HTTP proxy
            while time.monotonic() < deadline:
                with contextlib.suppress(requests.RequestException):
                    if session.get(url, timeout=5).status_code == 200:
                        return
                time.sleep(LOOK_S)
        log = self.client.logs(name, tail=20).decode(errors="replace")
        raise CommandError("The floor's server does not answer", "", log.splitlines())
