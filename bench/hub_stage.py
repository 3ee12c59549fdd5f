"""The hub that is measured: all its own, and all gone afterwards.

Own data folder, own ports, own network; hub and proxy run as `./labhub up` runs them.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jupyterhub import orm
from sqlalchemy.orm import Session

from bench.hub_servers import StubServers
from cli.processes import Process, start_hub, start_proxy, stop
from hub_config.loading import load_settings
from hub_config.settings import Settings
from hub_config.state import State
from spawner.runtimes import prepare_runtime

FOLDERS = "/var/tmp"  # noqa: S108 (mkdtemp makes a folder of its own there, 0700)
"""On a disk, as a real hub's data; /tmp may be memory."""
NO_IMAGE = "labhub-bench/none:none"
"""What the profiles name; nothing is ever started from it."""


class Stage:
    """A hub on this machine, and its servers; a context manager that leaves nothing behind."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="labhub-bench-", dir=FOLDERS))
        try:
            self.config = self.folder / "hub.toml"
            self.config.write_text(_settings_file())
            self.settings: Settings = load_settings(self.config)
            self.state = State(self.settings.hub.data_folder).prepare()
            self.servers = StubServers(self.settings.engine, self.state.hub_id)
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    def __enter__(self) -> Stage:
        prepare_runtime(self.settings.hub.runtime_folder)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.remove()
        except KeyboardInterrupt:  # an impatient Ctrl-C: what is left is still ours to remove
            self.remove()
            raise

    @property
    def hub_url(self) -> str:
        """Return the hub's own address, behind the proxy."""
        return f"http://{self.servers.gateway}:{self.settings.hub.hub_port}/"

    def start(self) -> Process:
        """Start a new proxy and then the hub; return the hub without waiting for it."""
        start_proxy(self.settings, self.state)
        return start_hub(self.settings, self.state, self.config)

    def stop(self) -> None:
        """Stop hub and proxy; the servers go on."""
        stop([Process("hub", self.state), Process("proxy", self.state)])

    @contextlib.contextmanager
    def database(self) -> Iterator[Session]:
        """Open the hub's database, while the hub does not run."""
        session = orm.new_session_factory(f"sqlite:///{self.state.database_file}")()
        try:
            yield session
        finally:
            session.close()
            session.get_bind().dispose()

    def read_rows(self) -> float:
        """Return how long SQLite alone takes to give all that JupyterHub reads of people, s."""
        with contextlib.closing(sqlite3.connect(self.state.database_file)) as db:
            begin = time.perf_counter()
            for name in ("users", "user_role_map", "user_group_map"):
                db.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 (names from here)
            return time.perf_counter() - begin

    def remove(self) -> None:
        """Remove processes, containers, network, image, mounts and folder; may be called again."""
        with contextlib.ExitStack() as stack:  # each is removed, also when removing another fails
            stack.callback(self._remove_folder)
            stack.callback(self.servers.remove)
            stack.callback(self.stop)

    def _remove_folder(self) -> None:
        points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for point in sorted((p for p in points if p.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", point], check=True, capture_output=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)


def _settings_file() -> str:
    """Return a hub.toml: two profiles, so that the spawn page is a form and starts nothing."""
    public, hub_port, proxy_api = _free_ports(3)
    profiles = "".join(
        f'[[profile]]\nname = "{name}"\nimage = "{NO_IMAGE}"\nstandbys = 0\n' for name in ("a", "b")
    )
    return (
        f"[hub]\nport = {public}\nhub_port = {hub_port}\nproxy_api_port = {proxy_api}\n"
        f'data_folder = "data"\nruntime_folder = "runtime"\n{profiles}'
    )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
