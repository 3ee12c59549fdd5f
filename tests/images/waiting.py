"""Containers that wait for their owner, claimed as the hub claims them."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from tests.support.containers import ADMIN, CAPABILITIES, Ended, Host

# Of the server's own Python, where it reads its settings: what it is, and then it ends.
PROBE = """
import json, os, re, sys
from pathlib import Path
descriptors = {}
for name in os.listdir("/proc/self/fd"):
    try:
        descriptors[name] = re.sub("[0-9]+", "N", os.readlink(f"/proc/self/fd/{name}"))
    except OSError:
        pass
mask = os.umask(0)
os.umask(mask)
Path.home().joinpath("seen.json").write_text(json.dumps({
    "environment": dict(os.environ),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "folder": os.getcwd(),
    "umask": mask,
    "path": sys.path,
    "flags": [sys.flags.no_user_site, sys.flags.dont_write_bytecode, sys.flags.isolated],
    "command": Path("/proc/self/cmdline").read_text().split("\\0")[:-1],
    "descriptors": descriptors,
    "tasks": [task.read_text() for task in Path("/proc/self/task").glob("*/status")],
    "processes": [p.read_text() for p in Path("/proc").glob("[0-9]*/cmdline")],
    "ignored": re.search("SigIgn.*", Path("/proc/self/status").read_text())[0],
}))
os._exit(0)
"""
HUB = {
    "JUPYTERHUB_API_TOKEN": "canary-token",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
    "JUPYTERHUB_BASE_URL": "/",
    "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
    "JUPYTERHUB_HOST": "",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:8888/user/alice/",
    "JUPYTERHUB_USER": "alice",
}
PATIENCE_S = 60


class Waiting:
    """A container without an owner.

    Args:
        host: Its folders; the home gets the probe.
        options: More for the engine: `cap_add`, `command`, `user`.
    """

    def __init__(self, host: Host, **options: Any) -> None:
        self.host, self.client = host, host.containers.client
        config = host.home / ".jupyter"
        config.mkdir()
        (config / "jupyter_server_config.py").write_text(PROBE)
        for path in (config, *config.iterdir()):
            os.chown(path, host.uid, host.uid)
        binds = [f"{s.partition(':')[0]}:{t}" for t, s in host.mounts.items()]
        self.container = self.client.create_container(
            host.image,
            options.pop("command", ["labhub-wait"]),
            user=options.pop("user", "0:0"),
            hostname="labhub",
            labels=host.containers.labels,
            host_config=self.client.create_host_config(
                binds=binds,
                cap_drop=["ALL"],
                network_mode="none",
                **{"cap_add": list(CAPABILITIES), **options},
            ),
        )["Id"]
        self.client.start(self.container)

    def await_file(self, name: str) -> Path:
        """Wait until there is a file of the runtime directory; return it."""
        path = self.host.runtime / name
        deadline = time.monotonic() + PATIENCE_S
        while not path.exists():
            if time.monotonic() > deadline or not self.processes():
                raise AssertionError(f"no {name}: {self.client.logs(self.container).decode()}")
            time.sleep(0.01)
        return path

    def processes(self) -> list[int]:
        """Return the processes on this machine, in the order in which they were started."""
        if not self.client.inspect_container(self.container)["State"]["Running"]:
            return []
        rows = self.client.top(self.container, "-o pid")["Processes"]
        return sorted(int(row[0]) for row in rows)

    def connect(self) -> socket.socket:
        """Connect as the hub does."""
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(PATIENCE_S)
        folder = os.open(self.host.runtime, os.O_RDONLY)  # a socket's path is short
        try:
            made.connect(f"/proc/self/fd/{folder}/claim.sock")
        except OSError:
            made.close()
            raise
        finally:
            os.close(folder)
        return made

    def send(self, request: bytes) -> dict[str, Any]:
        """Send a request; return the answer, nothing where there was none."""
        with self.connect() as hub:
            hub.sendall(request)
            hub.shutdown(socket.SHUT_WR)
            with hub.makefile("rb") as answers:
                line = answers.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        return answer

    def request(self, **environment: str) -> bytes:
        """Return a claim for the host's user."""
        variables = {
            **HUB,
            "NB_USER": self.host.user,
            "NB_UID": str(self.host.uid),
            "NB_GID": str(self.host.uid),
            "NB_UMASK": "0022",
            "HOME": f"/home/{self.host.user}",
            "LABHUB_HOOK_FOLDER": "/run/labhub/hooks",
            "LABHUB_LOG_FOLDER": "/run/labhub/logs",
            "LABHUB_ADMIN_UID": str(ADMIN[0]),
            "LABHUB_ADMIN_GID": str(ADMIN[1]),
            **environment,
        }
        return json.dumps({"version": 1, "environment": variables}).encode() + b"\n"

    def ended(self) -> Ended:
        """Wait for its end."""
        code = self.client.wait(self.container, timeout=PATIENCE_S)["StatusCode"]
        report = self.host.runtime / "report.jsonl"
        lines = report.read_text().splitlines() if report.exists() else []
        return Ended(
            self.container,
            code,
            self.client.logs(self.container, stderr=False).decode(),
            self.client.logs(self.container, stdout=False).decode(),
            [json.loads(line) for line in lines],
        )

    def claim(self, **environment: str) -> Ended:
        """Claim it, and wait for the end of the server, which is the probe's."""
        self.await_file("claim.sock")
        assert self.send(self.request(**environment)) == {"taken": True}
        return self.ended()

    def seen(self) -> dict[str, Any]:
        """Return what the probe saw in the server."""
        seen: dict[str, Any] = json.loads((self.host.home / "seen.json").read_text())
        return seen
