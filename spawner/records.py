"""What a server is and whose it is, beside the hub: a record per server.

The record (`data/servers/ID.json`, 0600) is written before the container gets a home, so that a
container can always be led back to its owner, whatever became of the database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORT = "report.jsonl"


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
        runtime: Id of the runtime directory: the server's, or that of the standby it was.
        is_claimed: Whether the container got all that makes it the owner's. One that did not when
            the hub was killed is nobody's server, whatever it has mounted.

    The last two have defaults for records that an earlier version wrote.
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
    runtime: str = ""
    is_claimed: bool = True


class Records:
    """The records of a hub's servers.

    Args:
        folder: `data/servers`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, server_id: str) -> Path:
        """Return where a server's record lies."""
        return self._folder / f"{server_id}.json"

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

    def written_at(self, server_id: str) -> float:
        """Return when a record was written, seconds since 1970; 0 when there is none."""
        try:
            return self.path(server_id).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def forget(self, server_id: str) -> None:
        """Remove the record of a server that is gone."""
        self.path(server_id).unlink(missing_ok=True)
