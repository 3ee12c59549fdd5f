"""A real registry on loopback: Debian's docker-registry, as a process of the test."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import docker
import requests

from tests.support.hub import free_ports

CONFIG = """version: 0.1
log: {{accesslog: {{disabled: false}}, level: info, formatter: json}}
storage: {{filesystem: {{rootdirectory: {folder}/store}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}"""
HTPASSWD = "auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"


class LocalRegistry:
    """A registry that can be stopped and started again.

    Args:
        folder: Holds its store and its log.
        password_line: A line of an htpasswd file (bcrypt); empty: open to everyone.
    """

    def __init__(self, folder: Path, password_line: str = "") -> None:
        (self.port,) = free_ports(1)
        self.host = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        if password_line:
            (folder / "htpasswd").write_text(password_line + "\n")
        auth = HTPASSWD.format(folder=folder) if password_line else ""
        (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=self.port, auth=auth))

    def start(self) -> None:
        """Start the registry; return when it answers."""
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self._folder / "config.yml")], stdout=log, stderr=log
        )
        log.close()
        deadline = time.monotonic() + 20
        while True:
            try:
                requests.get(f"http://{self.host}/v2/", timeout=2)
                return
            except requests.ConnectionError:
                assert time.monotonic() < deadline, "the registry does not answer"
                time.sleep(0.05)

    def stop(self) -> None:
        """End the registry's process; its store stays."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def requests_seen(self) -> list[str]:
        """Return method and path of every request so far, oldest first."""
        lines = (self._folder / "log").read_text().splitlines()
        requests_seen = []
        for line in lines:
            if '"HEAD ' in line or '"GET ' in line:
                method, path = line.split('"', 2)[1].split()[:2]
                requests_seen.append(f"{method} {path}")
        return requests_seen


def push_variant(
    client: docker.APIClient,
    base: str,
    name: str,
    version: str,
    auth: dict[str, Any] | None = None,
    *,
    extra_bytes: int = 0,
) -> str:
    """Push `base` with one more environment variable; return the image's id.

    The local tag is removed, so that a hub has to pull it.

    Args:
        client: The engine.
        base: Image to start from.
        name: Repository and tag to push to.
        version: Value of LABHUB_TEST_VERSION in the image.
        auth: Credentials of the registry.
        extra_bytes: Size of a layer that nobody has yet, so that there is something to download.
    """
    made = client.create_container(base)
    repository, _, tag = name.rpartition(":")
    try:
        if extra_bytes:
            assert client.put_archive(made["Id"], "/", _archive(extra_bytes))
        image = client.commit(
            made["Id"], repository, tag, changes=[f"ENV LABHUB_TEST_VERSION={version}"]
        )
    finally:
        client.remove_container(made["Id"])
    for event in client.push(repository, tag, auth_config=auth, stream=True, decode=True):
        assert "error" not in event, event
    client.remove_image(name, noprune=True)
    return str(image["Id"])


def _archive(size: int) -> bytes:
    """Return a tar archive of one file of random bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("extra-bytes")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    return buffer.getvalue()
