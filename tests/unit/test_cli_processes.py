"""Processes of the command line: real ones, with real pid files, ports and locks."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli.errors import CommandError, ProcessFailed
from cli.ports import Claim, check_port, describe_listener
from cli.processes import Identity, Process, wait_until_hub_answers
from cli.start_lock import start_lock
from cli.steps import Steps
from hub_config.settings import Settings
from hub_config.state import State

SLEEP = [sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('awake', flush=True); time.sleep(60)",
]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "data").prepare()


@pytest.fixture
def process(state: State) -> Iterator[Process]:
    made = Process("hub", state)
    yield made
    made.stop(1)


def wait_for(text: str, process: Process) -> None:
    deadline = time.monotonic() + 10
    while text not in "\n".join(process.log_tail()):
        assert time.monotonic() < deadline, process.log_tail()
        time.sleep(0.02)


def test_started_process_is_known_by_another_command_and_stopped(
    state: State, process: Process, tmp_path: Path
) -> None:
    """A second command finds the process by its pid file alone, and ends it."""
    process.start(SLEEP, {}, tmp_path)
    other = Process("hub", state)
    assert other.identity() is not None
    assert other.stop()
    assert process.identity() is None
    assert not process.pid_file.exists()


def test_pid_file_and_log_are_private(process: Process, tmp_path: Path) -> None:
    process.start(SLEEP, {}, tmp_path)
    assert process.pid_file.stat().st_mode & 0o777 == 0o600
    assert process.log_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another boot"}])
def test_reused_pid_is_never_stopped(
    process: Process, change: dict[str, object], tmp_path: Path
) -> None:
    """A pid that another program has got meanwhile is not ours: it goes on running."""
    with subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL) as stranger:
        try:
            identity = Identity.of(stranger.pid)
            assert identity is not None
            record = {"pid": identity.pid, "started": identity.started, "boot": identity.boot}
            process.pid_file.write_text(json.dumps(record | change))
            assert process.identity() is None
            assert process.stop() is False
            assert stranger.poll() is None
            assert not process.pid_file.exists()
        finally:
            stranger.kill()


@pytest.mark.parametrize("content", ["", "12345", "{}", '{"pid": "x"}', "[1, 2, 3]", "\x00\x01"])
def test_broken_pid_file_means_not_running(process: Process, content: str) -> None:
    process.pid_file.write_text(content)
    assert process.identity() is None
    assert process.stop() is False


def test_ended_child_is_not_running_although_nobody_waited_for_it(
    process: Process, tmp_path: Path
) -> None:
    """A zombie counts as ended."""
    dying = "import time; time.sleep(0.5); print('last words')"
    process.start([sys.executable, "-c", dying], {}, tmp_path)
    deadline = time.monotonic() + 10
    while process.identity() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.failure().lines == ("last words",)


def test_process_that_ignores_the_request_is_ended_by_force(
    process: Process, tmp_path: Path
) -> None:
    process.start(STUBBORN, {}, tmp_path)
    wait_for("awake", process)
    began = time.monotonic()
    assert process.stop(timeout_s=0.5)
    assert time.monotonic() - began < 5
    assert process.identity() is None


def test_process_is_not_started_twice(process: Process, tmp_path: Path) -> None:
    process.start(SLEEP, {}, tmp_path)
    with pytest.raises(ProcessFailed, match="running already"):
        process.start(SLEEP, {}, tmp_path)


def test_program_that_is_missing_is_named(process: Process, tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="/no/such/program"):
        process.start(["/no/such/program"], {}, tmp_path)


def test_ctrl_c_of_the_terminal_does_not_reach_the_process(
    process: Process, tmp_path: Path
) -> None:
    """The process has a session of its own."""
    process.start(SLEEP, {}, tmp_path)
    identity = process.identity()
    assert identity is not None
    assert os.getsid(identity.pid) == identity.pid


def test_waiting_ends_at_once_when_the_hub_ended(
    state: State, process: Process, tmp_path: Path
) -> None:
    """A hub that dies at its start is reported with its last lines, not after a time-out."""
    settings = Settings.model_validate({"hub": {"port": free_port()}})
    dying = "import time; time.sleep(0.5); print('no such setting')"
    process.start([sys.executable, "-c", dying], {}, tmp_path)
    began = time.monotonic()
    with pytest.raises(ProcessFailed) as caught:
        wait_until_hub_answers(settings, 60, [process])
    assert time.monotonic() - began < 10
    assert caught.value.lines == ("no such setting",)


def test_long_log_is_put_aside_before_a_start(process: Process, tmp_path: Path) -> None:
    with process.log_file.open("wb") as log:
        log.truncate(21 * 1024 * 1024)
    process.start(SLEEP, {}, tmp_path)
    wait_for("awake", process)
    assert process.log_file.stat().st_size < 100
    assert process.log_file.with_suffix(".log.1").exists()


def test_port_in_use_is_told_with_its_program_and_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CommandError) as caught:
            check_port(Claim("127.0.0.1", port, "hub.port", "the hub's address"))
    assert f"process {os.getpid()}" in caught.value.message
    assert "hub.port" in caught.value.fix


def test_listener_on_all_addresses_is_found_as_well() -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CommandError, match=str(port)):
            check_port(Claim("127.0.0.1", port, "hub.port", "the hub's address"))
        assert str(os.getpid()) in describe_listener(port)


def test_free_port_passes_and_is_left_free() -> None:
    port = free_port()
    check_port(Claim("127.0.0.1", port, "hub.port", "the hub's address"))
    socket.create_server(("127.0.0.1", port)).close()


def test_address_of_another_machine_is_told() -> None:
    with pytest.raises(CommandError, match=r"no address 192\.0\.2\.1") as caught:
        check_port(Claim("192.0.2.1", free_port(), "hub.port", "the hub's address"))
    assert "hub.bind" in caught.value.fix


def test_second_command_waits_for_the_first(state: State) -> None:
    """Two `up` at once: the second starts when the first is done, and says that it waits."""
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    first = multiprocessing.Process(target=hold_lock, args=(state.folder, ready, done))
    first.start()
    try:
        assert ready.wait(10)
        console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        with start_lock(Steps(console), state):
            assert done.is_set()
        console.file.close()
        assert "waiting" in console.export_text()
    finally:
        first.join(10)


def hold_lock(folder: Path, ready: object, done: object) -> None:
    with start_lock(Steps(Console(quiet=True)), State(folder)):
        ready.set()  # type: ignore[attr-defined]
        time.sleep(0.5)
        done.set()  # type: ignore[attr-defined]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
