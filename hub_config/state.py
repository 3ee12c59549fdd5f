"""What lies in `data/`: the hub's own state and secrets.

Everything here belongs to the hub alone: folders 0700, files 0600. Secrets are made once, on the
first start, and never printed. A second hub on the same engine has its own data folder and so its
own id, by which it knows its containers, networks and volumes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


class State:
    """Paths and secrets below the data folder.

    Args:
        folder: The data folder (`hub.data_folder`); made by `prepare()`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.people_file = folder / "people.sqlite"
        self.demo_logins_file = folder / "demo-logins.json"
        self.database_file = folder / "jupyterhub.sqlite"
        self.cookie_secret_file = folder / "cookie-secret"
        self.servers_folder = folder / "servers"
        self.logs_folder = folder / "logs"
        self.run_folder = folder / "run"

    def prepare(self) -> State:
        """Make the folders and secrets that are missing, and mend their modes.

        Raises:
            OSError: the folder cannot be made or is not ours.
        """
        for folder in (self.folder, self.servers_folder, self.logs_folder, self.run_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        self.database_file.touch(mode=0o600)
        self.database_file.chmod(0o600)
        _kept(self.cookie_secret_file, lambda: secrets.token_hex(32))
        for secret in ("hub_id", "crypt_key", "proxy_token", "cli_token"):
            getattr(self, secret)
        return self

    @property
    def hub_id(self) -> str:
        """Return the 8 hex digits that name this hub on its engine."""
        return _kept(self.folder / "hub-id", lambda: secrets.token_hex(4))

    @property
    def crypt_key(self) -> str:
        """Return the key that encrypts auth_state in the database, 64 hex digits."""
        return _kept(self.folder / "crypt-key", lambda: secrets.token_hex(32))

    @property
    def proxy_token(self) -> str:
        """Return the token of the proxy's API."""
        return _kept(self.folder / "proxy-token", lambda: secrets.token_hex(32))

    @property
    def cli_token(self) -> str:
        """Return the token with which the commands ask the running hub."""
        return _kept(self.folder / "cli-token", lambda: secrets.token_hex(32))


def _kept(path: Path, make: Callable[[], str]) -> str:
    """Return a secret's text; make it on the first call, complete or not at all."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(make() + "\n")
    try:
        os.link(draft, path)  # fails when another process was first; its secret counts
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
