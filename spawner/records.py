"""What a server is and whose it is, beside the hub: a record and a runtime directory per server.

The record (`data/servers/ID.json`, 0600) is written before the container gets a home, so that a
container can always be led back to its owner, whatever became of the database. The runtime
directory lies on a tmpfs of the host, 0700, and is `/run/labhub` inside the container: through it
the environment goes in and the start chain's report comes out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORT = "report.jsonl"
MOUNT_POINTS = ("hooks", "logs")
"""Empty folders in a runtime directory over which the container gets mounts."""


@dataclass(frozen=True)
class Record:
    """One server.

    Attributes:
        server_id: Names the record and the runtime directory.
        identity: The owner, as in `hub_config.people`.
        user: The owner's name in JupyterHub.
        server_name: JupyterHub's name of a named server; empty for the default one.
        container: Name of the container.
        image_id: The engine's id of the image.
        digest: Digest of the image in its registry, or "".
        profile: Name of the chosen profile.
        mounts: The mounts, as the engine's API has them.
        token: The server's API token.
        container_id: Id of the container; empty until the engine made it.
    """

    server_id: str
    identity: str
    user: str
    server_name: str
    container: str
    image_id: str
    digest: str
    profile: str
    mounts: list[dict[str, Any]]
    token: str = field(repr=False)
    container_id: str = ""


class Records:
    """The records and runtime directories of a hub's servers.

    Args:
        folder: `data/servers`.
        runtime: Folder of this hub's runtime directories, on a tmpfs.
    """

    def __init__(self, folder: Path, runtime: Path) -> None:
        self._folder, self._runtime = folder, runtime

    def path(self, server_id: str) -> Path:
        """Return where a server's record lies."""
        return self._folder / f"{server_id}.json"

    def runtime(self, server_id: str) -> Path:
        """Return a server's runtime directory."""
        return self._runtime / server_id

    def write(self, record: Record) -> None:
        """Write a record, complete or not at all."""
        path = self.path(record.server_id)
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(vars(record), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)

    def read(self, server_id: str) -> Record | None:
        """Return a server's record; None when there is none or it cannot be read."""
        try:
            return Record(**json.loads(self.path(server_id).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def open_runtime(self, server_id: str) -> Path:
        """Make a server's runtime directory, empty."""
        self.close_runtime(server_id)
        path = self.runtime(server_id)
        path.mkdir(mode=0o700, parents=True)
        for name in MOUNT_POINTS:
            (path / name).mkdir(mode=0o700)
        return path

    def take_over(self, standby_id: str, record: Record) -> None:
        """Make a standby somebody's: its record is written, its runtime directory becomes theirs.

        Raises:
            OSError: one of the two failed.
        """
        self.write(record)
        self.close_runtime(record.server_id)
        self.runtime(standby_id).rename(self.runtime(record.server_id))

    def all(self) -> Iterator[Record]:
        """Return all records.

        Raises:
            ValueError: one cannot be read.
        """
        for path in self._folder.glob("*.json"):
            record = self.read(path.stem)
            if record is None and path.exists():
                raise ValueError(f"{path} cannot be read")
            if record:
                yield record

    def runtimes(self) -> list[str]:
        """Return the ids of all runtime directories."""
        return [path.name for path in self._runtime.iterdir()] if self._runtime.is_dir() else []

    def close_runtime(self, server_id: str) -> None:
        """Remove a server's runtime directory, whatever root in the container left there.

        Raises:
            OSError: something is mounted there; then nothing is removed.
        """
        path = self.runtime(server_id)
        if not path.is_dir():
            return
        points = Path("/proc/self/mountinfo").read_text()
        if f" {path}/" in points or f" {path} " in points:
            raise OSError(f"something is mounted in {path}: unmount it, then try again")
        shutil.rmtree(path)  # follows no link

    def forget(self, server_id: str) -> None:
        """Remove the record and the runtime directory of a server that is gone."""
        self.close_runtime(server_id)
        self.path(server_id).unlink(missing_ok=True)


def prepare_runtime(folder: Path) -> str:
    """Make the folder of all runtime directories, on a tmpfs where we may mount one.

    Returns:
        A sentence for the log when it is not on a tmpfs, else "".
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if on_tmpfs(folder):
        return ""
    options = "size=64m,mode=0700,nosuid,nodev,noexec"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "labhub", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    return f"{folder} is not on a tmpfs and none could be mounted: {done.stderr.strip()}"


def on_tmpfs(folder: Path) -> bool:
    """Tell whether a folder lies on a tmpfs, by the mount that is nearest above it."""
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4]
        inside = point == "/" or f"{folder.resolve()}/".startswith(f"{point}/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind == "tmpfs"
