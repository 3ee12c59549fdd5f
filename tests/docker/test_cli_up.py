"""`up`, `status`, `doctor` and `down` as programs, with a real engine, hub, proxy and server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from cli import PROJECT_FOLDER
from cli.processes import Process
from spawner.engine import ensure_network
from tests.support.hub import RunningHub
from tests.support.servers import container_of

RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from cli.__main__ import main; main()"


class Commands:
    """The commands of one hub, run as programs."""

    def __init__(self, hub: RunningHub) -> None:
        self.hub = hub

    def words(self, *words: str) -> list[str]:
        command = [sys.executable, "-P", "-c", RUN, str(PROJECT_FOLDER)]
        return [*command, *words, "--config", str(self.hub.config)]

    def run(self, *words: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*words), capture_output=True, text=True, check=False, timeout=timeout_s
        )

    @contextmanager
    def foreground(self) -> Iterator[subprocess.Popen[str]]:
        """Run `up` attached, as a shell's foreground job; it is gone afterwards."""
        running = subprocess.Popen(
            # a background job inherits that SIGINT is ignored
            ["env", "--default-signal=INT,TERM,HUP", *self.words("up")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with running:
            try:
                yield running
            finally:
                running.kill()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found

    def pid(self, name: str) -> int:
        identity = Process(name, self.hub.state).identity()
        assert identity is not None, f"the {name} is not running"
        return identity.pid

    def wait_until_ready(self, timeout_s: float = 90) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.status()["ready"]:
            assert time.monotonic() < deadline, self.hub.log()[-2000:]
            time.sleep(0.3)


@pytest.fixture(scope="module")
def hub(engine: docker.APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """The settings and folders of a hub; the tests start it."""
    made = RunningHub(tmp_path_factory.mktemp("up"))
    yield made
    made.stop()


@pytest.fixture
def commands(hub: RunningHub) -> Iterator[Commands]:
    """Each test begins and ends with nothing running."""
    made = Commands(hub)
    yield made
    made.run("down")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/fd").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)


def test_up_detached_ends_with_a_hub_that_answers(commands: Commands) -> None:
    """Address and logins are printed, status says ready, the second `up` says that all runs."""
    first = commands.run("up", "--detach")
    assert first.returncode == 0, first.stderr
    assert f"labhub is ready: {commands.hub.url}" in first.stdout
    logins = json.loads(commands.hub.state.demo_logins_file.read_text())
    for role in ("admin", "ta", "student"):
        assert logins[role]["password"] in first.stdout
        assert commands.hub.sign_in(role).get("hub/home").status_code == 200
    found = commands.status()
    assert found["ready"] is found["hub"]["answers"] is found["engine"]["answers"] is True
    assert (commands.hub.settings.hooks.folder / "as-user.sh").exists()
    pids = commands.pid("hub"), commands.pid("proxy")
    began = time.monotonic()
    second = commands.run("up", "--detach")
    assert time.monotonic() - began < 10
    assert (second.returncode, "running already" in second.stdout) == (0, True)
    assert pids == (commands.pid("hub"), commands.pid("proxy"))


def test_doctor_is_content_with_what_up_made(commands: Commands) -> None:
    commands.run("up", "--detach")
    found = json.loads(commands.run("doctor", "--json").stdout)
    problems = [check for check in found["checks"] if not check["ok"]]
    # The disk of whoever runs the tests is not ours to judge.
    assert [check for check in problems if "disk" not in check["name"]] == []


def test_servers_go_on_over_down_and_up_and_stop_when_asked(
    commands: Commands, engine: docker.APIClient
) -> None:
    """`down` leaves servers alone, `up` finds them again, `down --servers` stops them."""
    commands.run("up", "--detach")
    student = commands.hub.sign_in("student")
    student.get("hub/spawn")
    deadline = time.monotonic() + 120
    while [server["ready"] for server in commands.status()["servers"]] != [True]:
        assert time.monotonic() < deadline, commands.hub.log()[-3000:]
        time.sleep(0.5)
    mine = {"label": f"org.labhub.hub={commands.hub.state.hub_id}"}
    before = [container["Id"] for container in engine.containers(filters=mine)]
    assert len(before) == 1
    assert "go on" in commands.run("down").stdout
    assert commands.run("up", "--detach").returncode == 0
    assert [server["user"] for server in commands.status()["servers"]] == [student.name]
    assert [container["Id"] for container in engine.containers(filters=mine)] == before
    down = commands.run("down", "--servers")
    assert down.returncode == 0, down.stderr
    assert "Stopped 1 server" in down.stdout
    assert engine.containers(filters=mine) == []
    assert commands.status()["hub"]["running"] is False


def test_lost_proxy_is_started_again_and_knows_the_routes(commands: Commands) -> None:
    """Only what is missing is started; the hub goes on."""
    commands.run("up", "--detach")
    hub_pid = commands.pid("hub")
    kill(commands.pid("proxy"))
    found = commands.status()
    assert (found["ready"], found["hub"]["running"]) == (False, True)
    doctor = commands.run("doctor")
    assert "problem proxy" in doctor.stdout
    again = commands.run("up", "--detach")
    assert again.returncode == 0, again.stderr
    assert commands.pid("hub") == hub_pid
    assert requests.get(f"{commands.hub.url}hub/api/", timeout=10).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_foreground_ends_with_ctrl_c_and_servers_go_on(
    commands: Commands, engine: docker.APIClient, number: signal.Signals
) -> None:
    """Hub and proxy stop, a server runs on, and the next `up` takes up the very same one."""
    hub = commands.hub
    with commands.foreground() as running:
        commands.wait_until_ready()
        student = hub.sign_in("student")
        assert student.start_server()[-1].get("ready")
        before = container_of(hub, engine, student.name)
        pids = commands.pid("hub"), commands.pid("proxy")
        wait_for_line(running, "Ctrl-C stops")
        running.send_signal(number)
        output, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "running servers go on" in output
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    between = container_of(hub, engine, student.name)
    assert before
    assert between
    assert (between["Id"], between["State"]["Running"]) == (before["Id"], True)

    assert commands.run("up", "--detach").returncode == 0
    (server,) = commands.status()["servers"]
    assert (server["user"], server["ready"]) == (student.name, True)
    after = container_of(hub, engine, student.name)
    assert after
    assert after["Id"] == before["Id"]
    assert student.get(f"user/{student.name}/lab").status_code == 200
    student.stop_server()
    assert container_of(hub, engine, student.name) is None


def test_hub_that_dies_in_the_foreground_is_reported_with_its_last_lines(
    commands: Commands,
) -> None:
    with commands.foreground() as running:
        commands.wait_until_ready()
        wait_for_line(running, "Ctrl-C stops")
        kill(commands.pid("hub"))
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "The hub has stopped by itself" in errors
    assert "JupyterHub" in errors
    assert commands.status()["proxy"]["running"] is False


def test_down_elsewhere_ends_the_foreground_without_an_error(commands: Commands) -> None:
    with commands.foreground() as running:
        commands.wait_until_ready()
        wait_for_line(running, "Ctrl-C stops")
        assert commands.run("down").returncode == 0
        output, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "stopped by another command" in output


def test_port_of_another_program_is_named_and_nothing_stays_running(commands: Commands) -> None:
    with socket.create_server(("127.0.0.1", commands.hub.settings.hub.port)):
        run = commands.run("up", "--detach")
    assert run.returncode == 1
    assert str(commands.hub.settings.hub.port) in run.stderr
    assert f"process {os.getpid()}" in run.stderr
    assert "hub.port" in run.stderr
    found = commands.status()
    assert (found["hub"]["running"], found["proxy"]["running"]) == (False, False)


def test_doctor_names_who_has_the_port_of_a_hub_that_is_down(
    commands: Commands, engine: docker.APIClient
) -> None:
    """The hub's own port is looked at where servers reach it, once the network is there."""
    wanted = commands.hub.settings.hub
    gateway = ensure_network(engine, commands.hub.state.hub_id)
    with socket.create_server((gateway, wanted.hub_port)):
        found = json.loads(commands.run("doctor", "--json").stdout)
    (check,) = [check for check in found["checks"] if check["name"] == "ports"]
    assert f"process {os.getpid()}" in check["message"]
    assert "hub.hub_port" in check["fix"]


def test_hub_that_cannot_start_is_told_with_its_log_and_the_proxy_is_stopped(
    commands: Commands,
) -> None:
    """A database that cannot be read ends the hub; `up` says so at once."""
    database = commands.hub.state.database_file
    kept = database.rename(database.with_suffix(".kept")) if database.exists() else None
    database.write_bytes(b"this is no database, whatever its name says " * 200)
    try:
        run = commands.run("up", "--detach")
    finally:
        database.unlink()
        if kept:
            kept.rename(database)
    assert run.returncode == 1
    assert "The hub has stopped by itself" in run.stderr
    assert "not a database" in run.stderr
    assert commands.status()["proxy"]["running"] is False


def test_two_at_once_make_one_hub(commands: Commands) -> None:
    both = [
        subprocess.Popen(commands.words("up", "--detach"), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [each.communicate(timeout=240)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sorted("running already" in output for output in outputs) == [False, True]


def test_page_of_the_proxy_says_that_the_hub_restarts(commands: Commands) -> None:
    """While the hub is away the proxy shows a page of its own, which reloads itself."""
    commands.run("up", "--detach")
    kill(commands.pid("hub"))
    answer = requests.get(f"{commands.hub.url}hub/home", timeout=10)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "The hub is restarting" in answer.text


def wait_for_line(running: subprocess.Popen[str], text: str) -> None:
    assert running.stdout is not None
    for line in running.stdout:
        if text in line:
            return
    pytest.fail(f"it ended without saying {text}")
