"""The hub and the proxy as processes of this machine.

A process is known by its pid together with the time it started and the boot it belongs to, kept in
`data/run/NAME.pid`. A pid that another program has got since then is therefore never taken for
ours, and signals go through a pidfd, so that nothing can take the pid between look and signal.

Both processes have a session of their own: Ctrl-C in a terminal reaches only the command.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cli import PROJECT_FOLDER
from cli.errors import CommandError, ProcessFailed
from cli.hub_api import HubAPI
from cli.node import install_proxy, proxy_command
from hub_config.settings import Settings
from hub_config.state import State

STOP_TIMEOUT_S = 20
PROXY_TIMEOUT_S = 20
LOG_LIMIT_BYTES = 20 * 1024 * 1024
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Processes that this very command started: a child must be reaped when it has ended."""


@dataclass(frozen=True)
class Identity:
    """What tells one process from any other that ever has the same pid.

    Attributes:
        pid: The process id.
        started: Clock ticks from the boot to the start of the process.
        boot: The kernel's id of the boot.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Return the identity of a living process, None when there is none with that pid."""
        if pid in _children:
            _children[pid].poll()
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = text.rpartition(")")[2].split()  # the name in parentheses may hold anything
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]), BOOT_ID.read_text().strip())

    @property
    def age_s(self) -> float:
        """Return for how long the process has been running, seconds."""
        ticks = os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / ticks)


class Process:
    """One long-lived process of labhub: `hub` or `proxy`.

    Args:
        name: Name of the process; names its pid file and its log.
        state: The state folder that holds both.
    """

    def __init__(self, name: str, state: State) -> None:
        self.name = name
        self.pid_file = state.run_folder / f"{name}.pid"
        self.log_file = state.logs_folder / f"{name}.log"

    def identity(self) -> Identity | None:
        """Return the process when it is running, None when it is not."""
        try:
            recorded = Identity(**json.loads(self.pid_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return recorded if Identity.of(recorded.pid) == recorded else None

    def start(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start the process in a session of its own, with its output in its log.

        Args:
            command: The program and its arguments.
            environment: Variables in addition to those of this command.
            folder: Where it runs.

        Raises:
            ProcessFailed: it runs already, or the program cannot be started.
        """
        if self.identity():
            raise ProcessFailed(f"The {self.name} is running already", "./labhub status")
        self._rotate_log()
        log = os.open(self.log_file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            child = subprocess.Popen(  # waited for by its identity, and by stop()
                list(command),
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"The {self.name} cannot be started: {error}") from error
        finally:
            os.close(log)
        _children[child.pid] = child
        identity = Identity.of(child.pid)
        if identity is None:
            raise self.failure()
        _write_private(self.pid_file, json.dumps(asdict(identity)) + "\n")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the process, kindly and after `timeout_s` by force.

        Returns:
            Whether there was a process to end.
        """
        identity = self.identity()
        if identity is None:
            self.pid_file.unlink(missing_ok=True)
            return False
        try:
            handle = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            self.pid_file.unlink(missing_ok=True)
            return False
        try:
            # The handle keeps the pid ours from here on, if it is still ours now.
            if Identity.of(identity.pid) == identity:
                _end(handle, timeout_s)
        finally:
            os.close(handle)
        if child := _children.pop(identity.pid, None):
            child.wait()
        self.pid_file.unlink(missing_ok=True)
        return True

    def log_tail(self, count: int = 20) -> list[str]:
        """Return the last lines of the log."""
        try:
            with self.log_file.open(errors="replace") as file:
                return [line.rstrip("\n") for line in deque(file, maxlen=count)]
        except FileNotFoundError:
            return []

    def failure(self) -> ProcessFailed:
        """Make the error that says that the process ended by itself, with the end of its log."""
        return ProcessFailed(
            f"The {self.name} has stopped by itself",
            f"The whole log is in {self.log_file}",
            self.log_tail(),
        )

    def _rotate_log(self) -> None:
        # Only between two runs: a process keeps the file that it opened.
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))


def start_proxy(settings: Settings, state: State) -> Process:
    """Start the proxy; its packages are installed on the first call.

    Raises:
        CommandError: the proxy cannot be installed or started.
    """
    state.prepare()
    process = Process("proxy", state)
    install_proxy()
    environment = {"CONFIGPROXY_AUTH_TOKEN": state.proxy_token}
    process.start(proxy_command(settings), environment, PROJECT_FOLDER)
    _wait_until_listening(process, settings.hub.proxy_api_port)
    return process


def start_hub(
    settings: Settings,
    state: State,
    config_path: Path | None,
    hub_file: Path = PROJECT_FOLDER / "jupyterhub_config.py",
) -> Process:
    """Start the hub.

    Args:
        settings: The settings that the hub will load.
        state: The state folder.
        config_path: The settings' file, None when there is none.
        hub_file: JupyterHub's configuration.

    Raises:
        ProcessFailed: the hub cannot be started.
    """
    state.prepare()
    process = Process("hub", state)
    command = [sys.executable, "-m", "jupyterhub", "-f", str(hub_file)]
    environment = {"LABHUB_CONFIG": str(config_path.resolve())} if config_path else {}
    process.start(command, environment, PROJECT_FOLDER)
    return process


def wait_until_hub_answers(
    settings: Settings, timeout_s: float, watched: Sequence[Process] = ()
) -> None:
    """Wait until the hub answers through the proxy.

    Args:
        settings: Where the hub is.
        timeout_s: How long to wait.
        watched: Processes that must stay alive meanwhile.

    Raises:
        ProcessFailed: one of `watched` ended.
        CommandError: the hub does not answer in time.
    """
    api = HubAPI(settings)
    deadline = time.monotonic() + timeout_s
    pause_s = 0.1
    while not api.version():
        for process in watched:
            if process.identity() is None:
                raise process.failure()
        if time.monotonic() > deadline:
            lines = watched[-1].log_tail() if watched else []
            raise CommandError(
                f"The hub did not answer within {timeout_s:.0f} s", "./labhub doctor", lines
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 1)  # the proxy logs every question that it cannot pass on


def stop(processes: Iterable[Process], timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
    """End processes in the given order; return the names of those that were running."""
    return [process.name for process in processes if process.stop(timeout_s)]


def _wait_until_listening(process: Process, port: int) -> None:
    deadline = time.monotonic() + PROXY_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.identity() is None:
                raise process.failure() from None
            if time.monotonic() > deadline:
                raise process.failure() from None
            time.sleep(0.05)
        else:
            return


def _end(handle: int, timeout_s: float) -> None:
    """Ask the process behind a pidfd to end, wait, then kill it and wait."""
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            signal.pidfd_send_signal(handle, signal_number)
        except ProcessLookupError:
            return
        if waiting.poll(timeout_s * 1000):
            return


def _write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, complete or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
