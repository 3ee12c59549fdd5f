"""Run containers of our images the way the hub runs servers, and look at what they did.

Every container carries the label of the test run and is removed with it.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests.exceptions

RUN_LABEL = "org.labhub.test"
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "SETPCAP", "KILL")
ADMIN = (999, 996)
STUDENT = {"NB_USER": "alice", "NB_UID": "20001", "NB_GID": "20001"}


@dataclass(frozen=True)
class Ended:
    """A container that has ended.

    Attributes:
        exit_code: Of its first process.
        output: What the command wrote to stdout.
        log: What the start chain and the command wrote to stderr.
        report: The steps that the chain reported, as the hub reads them.
    """

    container: str
    exit_code: int
    output: str
    log: str
    report: list[dict[str, Any]]

    def step(self, name: str) -> dict[str, Any]:
        """Return the last report of a step."""
        return next(line for line in reversed(self.report) if line["step"] == name)


class Containers:
    """Starts containers and removes them at the end.

    Args:
        client: The engine.
        run_id: Value of the label.
    """

    def __init__(self, client: docker.APIClient, run_id: str) -> None:
        self.client = client
        self.labels = {RUN_LABEL: run_id}

    def run(
        self,
        image: str,
        command: list[str] | None = None,
        environment: dict[str, str] | None = None,
        mounts: dict[str, str] | None = None,
        **options: Any,
    ) -> Ended:
        """Run a container to its end, without a network and with the hub's capabilities.

        Args:
            image: Image reference.
            command: The command; None for the image's own.
            environment: Its variables.
            mounts: Container path -> host path, with `:ro` at the end for read-only.
            options: More for the engine: `cap_add`, `user`, `entrypoint`, `timeout`.
        """
        timeout = options.pop("timeout", 60)
        user, entrypoint = options.pop("user", "root"), options.pop("entrypoint", None)
        host = {"cap_drop": ["ALL"], "cap_add": list(CAPABILITIES), "network_mode": "none"}
        binds = [_bind(target, source) for target, source in (mounts or {}).items()]
        made = self.client.create_container(
            image,
            command,
            user=user,
            entrypoint=entrypoint,
            environment=environment,
            labels=self.labels,
            host_config=self.client.create_host_config(binds=binds, **{**host, **options}),
        )["Id"]
        self.client.start(made)
        try:
            code = self.client.wait(made, timeout=timeout)["StatusCode"]
        except requests.exceptions.RequestException as error:
            self.client.kill(made)
            raise AssertionError(f"still running after {timeout} s: {self._log(made)}") from error
        return Ended(made, code, self._log(made, stderr=False), self._log(made, stdout=False), [])

    def read(self, container: str, path: str) -> bytes:
        """Return a file's content from a container, also from one that has ended."""
        stream, _ = self.client.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            assert member
            return member.read()

    def remove_all(self) -> None:
        """Remove every container of this test run."""
        label = f"{RUN_LABEL}={self.labels[RUN_LABEL]}"
        for found in self.client.containers(all=True, filters={"label": label}):
            self.client.remove_container(found["Id"], force=True, v=True)

    def _log(self, container: str, **streams: bool) -> str:
        return str(self.client.logs(container, **streams).decode(errors="replace"))


@dataclass
class Host:
    """The folders that a hub mounts into one server, made as the hub makes them.

    Attributes:
        folder: Where they lie.
        user: NB_USER.
        uid: NB_UID and NB_GID.
    """

    containers: Containers
    image: str
    folder: Path
    user: str = "alice"
    uid: int = 20001
    mounts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the folders."""
        for path, mode, owner in (
            (self.home, 0o700, (self.uid, self.uid)),
            (self.start, 0o2775, ADMIN),
            (self.logs, 0o750, ADMIN),
            (self.runtime, 0o700, (0, 0)),
            (self.victims, 0o700, (0, 0)),
        ):
            path.mkdir(parents=True)
            os.chown(path, *owner)
            path.chmod(mode)
        self.victim.write_text("#!/bin/sh\ntouch /victims/was-run\n")
        self.victim.chmod(0o600)
        self.mounts |= {
            "/run/labhub": str(self.runtime),
            "/run/labhub/hooks": f"{self.start}:ro",
            "/run/labhub/logs": str(self.logs),
            f"/home/{self.user}": str(self.home),
            "/victims": str(self.victims),
        }

    @property
    def home(self) -> Path:
        """Return the user's home."""
        return self.folder / "home"

    @property
    def start(self) -> Path:
        """Return the folder of the hooks."""
        return self.folder / "admin" / "start"

    @property
    def logs(self) -> Path:
        """Return the folder of the hooks' logs."""
        return self.folder / "admin" / "logs"

    @property
    def runtime(self) -> Path:
        """Return what is `/run/labhub` in the container."""
        return self.folder / "runtime"

    @property
    def victims(self) -> Path:
        """Return a folder of root's with a file that nothing may change or run."""
        return self.folder / "victims"

    @property
    def victim(self) -> Path:
        """Return that file; links to it point to /victims/victim."""
        return self.victims / "victim"

    def victim_is_untouched(self) -> bool:
        """Tell whether the victim's bytes, owner and mode are as they were, and nothing is new."""
        found = self.victim.stat()
        return (
            self.victim.read_text() == "#!/bin/sh\ntouch /victims/was-run\n"
            and (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (0, 0, 0o600)
            and [path.name for path in self.victims.iterdir()] == ["victim"]
        )

    def hook(self, name: str, content: str | bytes, mode: int = 0o775) -> Path:
        """Write a hook as an admin would."""
        path = self.start / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.chown(path, *ADMIN)
        path.chmod(mode)
        return path

    def log(self, step: str) -> str:
        """Return the log of a hook."""
        return (self.logs / f"{self.user}-{step}.log").read_text()

    def run(self, *command: str, environment: dict[str, str] | None = None, **more: Any) -> Ended:
        """Start a server whose command is a shell line (default: none), and wait for its end."""
        variables = {
            "NB_USER": self.user,
            "NB_UID": str(self.uid),
            "NB_GID": str(self.uid),
            "NB_UMASK": "0022",
            "HOME": f"/home/{self.user}",
            "LABHUB_HOOK_FOLDER": "/run/labhub/hooks",
            "LABHUB_LOG_FOLDER": "/run/labhub/logs",
            "LABHUB_HOOK_TIME_LIMIT_S": "20",
            "LABHUB_ADMIN_UID": str(ADMIN[0]),
            "LABHUB_ADMIN_GID": str(ADMIN[1]),
            **(environment or {}),
        }
        words = list(command) if len(command) > 1 else ["bash", "-c", "".join(command) or ":"]
        ended = self.containers.run(self.image, words, variables, self.mounts, **more)
        report = self.runtime / "report.jsonl"
        lines = report.read_text().splitlines() if report.exists() else []
        return Ended(
            ended.container,
            ended.exit_code,
            ended.output,
            ended.log,
            [json.loads(line) for line in lines],
        )


def _bind(target: str, source: str) -> str:
    path, _, mode = source.partition(":")
    return f"{path}:{target}:{mode or 'rw'}"
