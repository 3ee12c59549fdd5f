"""Standbys on the real engine: claimed by one person only, failing safely, leaving nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from cli.processes import Process, wait_until_hub_answers
from hub_config.settings import ADMIN_GID
from tests.docker.conftest import HubMaker
from tests.support.hub import RunningHub, Visitor
from tests.support.kernels import run_in_kernel
from tests.support.servers import container_of, run_in
from tests.support.standbys import (
    containers_of,
    is_from_standby,
    runtimes,
    settings_of,
    standbys_of,
    wait_for_standbys,
)

CLAIMS = int(os.environ.get("LABHUB_TEST_CLAIMS", "12"))
"""How many claims and stops the test of leftovers makes; 500 take a quarter of an hour."""


def write_hooks(folder: Path) -> None:
    hooks = folder / "data" / "admin" / "start"
    hooks.mkdir(parents=True)
    (hooks / "as-root.sh").write_text("#!/bin/sh\necho root for $NB_USER\n")
    (hooks / "as-user.sh").write_text("#!/bin/sh\necho made-by-the-hook > ~/from-hook.txt\n")
    os.chown(folder / "data" / "admin", 0, ADMIN_GID)
    (folder / "data" / "admin").chmod(0o2775)


@pytest.fixture(scope="module")
def hub(make_hub: HubMaker) -> RunningHub:
    return make_hub(settings_of(2), prepare=write_hooks)


@pytest.fixture
def student(hub: RunningHub) -> Iterator[Visitor]:
    visitor = hub.sign_in("student")
    visitor.stop_server()
    yield visitor
    visitor.stop_server()


def start(hub: RunningHub, engine: docker.APIClient, visitor: Visitor) -> dict[str, Any]:
    """Start a server; return the inspection of its container."""
    events = visitor.start_server()
    assert events[-1].get("ready"), events
    found = container_of(hub, engine, visitor.name)
    assert found
    return found


def test_a_standby_becomes_somebodys_server(
    hub: RunningHub, engine: docker.APIClient, student: Visitor
) -> None:
    """The person gets their home and the hooks' work; the record tells whose it is; the token is in
    no inspection; another standby takes its place."""
    waiting = wait_for_standbys(hub, engine, 2)
    found = start(hub, engine, student)
    assert found["Id"] in waiting
    assert is_from_standby(found)
    assert run_in(hub, engine, student.name, "cat ~/from-hook.txt") == "made-by-the-hook\n"
    (path,) = hub.state.servers_folder.iterdir()
    assert found["Id"] in path.read_text()
    assert not any(text.startswith("JUPYTERHUB_") for text in found["Config"]["Env"])
    assert found["HostConfig"]["CpuShares"] == 1024
    log = hub.settings.hooks.log_folder / "student-as-root.log"
    assert log.read_text() == "root for student\n"
    assert student.get(f"user/{student.name}/lab").status_code == 200
    assert found["Id"] not in wait_for_standbys(hub, engine, 2)
    student.stop_server()
    assert container_of(hub, engine, student.name) is None
    student.start_server()
    assert run_in(hub, engine, student.name, "cat ~/from-hook.txt") == "made-by-the-hook\n"


def test_shares_are_as_closed_as_in_a_cold_start(
    hub: RunningHub, engine: docker.APIClient, student: Visitor
) -> None:
    """The admins' folder is read-only for a student, without device files and setuid, and an admin
    may write to it."""
    (hub.settings.share[0].folder / "course.txt").write_text("for all\n")  # type: ignore[union-attr]
    admin = hub.sign_in("admin")
    for visitor in (student, admin):
        wait_for_standbys(hub, engine, 2)
        assert is_from_standby(start(hub, engine, visitor))
    try_it = (
        "import os, pathlib; folder = pathlib.Path('/home/admin')\n"
        "print((folder / 'course.txt').read_text(), os.access(folder, os.W_OK))"
    )
    assert run_in_kernel(student, try_it) == "for all\n False\n"
    assert run_in_kernel(admin, try_it) == "for all\n True\n"
    for mount in ("/home/admin", "/home/student"):
        words = f"grep ' {mount} ' /proc/self/mountinfo | cut -d' ' -f6"
        options = run_in(hub, engine, student.name, words).strip().split(",")
        assert {"nosuid", "nodev"} <= set(options)
        assert ("ro" in options) is (mount == "/home/admin")
    admin.stop_server()


def test_two_at_the_same_instant(hub: RunningHub, engine: docker.APIClient) -> None:
    """Two people who come together never get the same standby, and each gets their own home."""
    people = [hub.sign_in("student"), hub.sign_in("ta")]
    for _ in range(3):
        wait_for_standbys(hub, engine, 2)
        with ThreadPoolExecutor(2) as threads:
            ended = list(threads.map(Visitor.start_server, people))
        assert all(events[-1].get("ready") for events in ended), ended
        found = [container_of(hub, engine, visitor.name) for visitor in people]
        assert all(is_from_standby(each) for each in found)
        assert found[0] and found[1] and found[0]["Id"] != found[1]["Id"]
        for visitor in people:
            assert run_in(hub, engine, visitor.name, "ls -d /home/*") == (
                f"/home/admin\n/home/jovyan\n/home/{visitor.name}\n"
            )
        for visitor in people:
            visitor.stop_server()


def kill_it(engine: docker.APIClient, container: str) -> None:
    engine.kill(container)


def pause_it(engine: docker.APIClient, container: str) -> None:
    engine.pause(container)


def freeze_it(engine: docker.APIClient, container: str) -> None:
    for process in engine.top(container)["Processes"]:
        os.kill(int(process[1]), signal.SIGSTOP)


def remove_it(engine: docker.APIClient, container: str) -> None:
    engine.remove_container(container, force=True)


@pytest.mark.parametrize("harm", [kill_it, pause_it, freeze_it, remove_it])
def test_a_standby_that_fails_costs_a_cold_start(
    hub: RunningHub,
    engine: docker.APIClient,
    student: Visitor,
    harm: Callable[[docker.APIClient, str], None],
) -> None:
    """Killed, paused, frozen or removed at the moment of the claim: the person gets a cold start
    and is told nothing, the log is, and what failed is gone."""
    waiting = wait_for_standbys(hub, engine, 2)
    for container in waiting:
        harm(engine, container)
    found = start(hub, engine, student)
    assert not is_from_standby(found)
    assert "standby" not in student.get("hub/home").text
    assert "standby" in hub.log()
    student.stop_server()
    wait_until_gone(engine, waiting)


def wait_until_gone(engine: docker.APIClient, containers: list[str]) -> None:
    """Return when none of some containers is there any more."""
    deadline = time.monotonic() + 60
    while set(containers) & {each["Id"] for each in engine.containers(all=True)}:
        assert time.monotonic() < deadline, "they were not removed"
        time.sleep(0.2)


def test_an_image_that_changed(make_hub: HubMaker, engine: docker.APIClient) -> None:
    """Standbys of an image that is no longer the profile's are not claimed, and are replaced."""
    name = f"labhub-test/changing:{os.getpid()}"
    repository, tag = name.split(":")
    engine.tag("labhub/notebook:local", repository, tag)
    try:
        hub = make_hub(settings_of(1, name))
        student = hub.sign_in("student")
        old = wait_for_standbys(hub, engine, 1)
        made = engine.create_container(name)
        newer = engine.commit(made["Id"], repository, tag, changes=["ENV LABHUB_TEST_VERSION=2"])
        engine.remove_container(made["Id"])
        found = start(hub, engine, student)
        assert (found["Image"], is_from_standby(found)) == (newer["Id"], False)
        wait_until_gone(engine, old)
        new = wait_for_standbys(hub, engine, 1)
        assert engine.inspect_container(new[0])["Image"] == newer["Id"]
        hub.stop()
    finally:
        engine.remove_image(name, force=True)


def test_hub_that_ends_leaves_no_standby(hub: RunningHub, engine: docker.APIClient) -> None:
    """A hub that is stopped removes its standbys; one that was killed leaves them to the next,
    which keeps what was claimed, even when the database forgot it."""
    student = hub.sign_in("student")
    student.stop_server()
    wait_for_standbys(hub, engine, 2)
    before = start(hub, engine, student)
    waiting = wait_for_standbys(hub, engine, 2)
    identity = Process("hub", hub.state).identity()
    assert identity
    os.kill(identity.pid, signal.SIGKILL)
    os.waitpid(identity.pid, 0)
    assert student.get(f"user/{student.name}/api").status_code == 200
    with sqlite3.connect(hub.state.database_file) as database:
        database.execute("UPDATE spawners SET state = '{}'")
    hub.start_hub()
    wait_until_gone(engine, waiting)
    wait_for_standbys(hub, engine, 2)
    after = container_of(hub, engine, student.name)
    assert is_from_standby(before)
    assert after and after["Id"] == before["Id"]
    assert student.api("GET", f"users/{student.name}").json()["servers"][""]["ready"]
    hub.stop_hub()
    assert standbys_of(hub, engine) == []
    (runtime,) = runtimes(hub)
    assert (runtime / "claimed").exists()
    hub.start_hub()
    student.stop_server()


def test_claimed_server_that_is_restarted_outside_ends(
    hub: RunningHub, engine: docker.APIClient, student: Visitor
) -> None:
    """`docker restart` makes no server without a home: it ends, and the next start works."""
    wait_for_standbys(hub, engine, 2)
    found = start(hub, engine, student)
    engine.restart(found["Id"], timeout=1)
    assert engine.wait(found["Id"], timeout=30)["StatusCode"] == 78
    again = start(hub, engine, student)
    assert again["Id"] != found["Id"]
    assert run_in(hub, engine, student.name, "cat ~/from-hook.txt") == "made-by-the-hook\n"


def mounts_below(folder: Path) -> int:
    """Return how many mounts of this host have to do with a folder."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sum(str(folder) in line for line in lines)


def opened_by(pid: int) -> Counter[str]:
    """Return how many descriptors of each kind a process has open."""
    paths = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return Counter(path.split(":[")[0] for path in paths)


def test_nothing_is_left_over(hub: RunningHub, engine: docker.APIClient) -> None:
    """After many claims and stops there is no mount, container, socket or file more than before."""
    people = [hub.sign_in(role) for role in ("student", "ta", "admin")]
    for visitor in people:
        visitor.stop_server()
    wait_for_standbys(hub, engine, 2)
    mounts = mounts_below(hub.folder)
    identity = Process("hub", hub.state).identity()
    assert identity
    before = opened_by(identity.pid)
    for round_ in range(0, CLAIMS, 2):
        wait_for_standbys(hub, engine, 2)
        for visitor in (people[round_ % 3], people[(round_ + 1) % 3]):
            assert is_from_standby(start(hub, engine, visitor))
            visitor.stop_server()
    wait_for_standbys(hub, engine, 2)
    assert mounts_below(hub.folder) == mounts
    assert len(containers_of(hub, engine)) == len(runtimes(hub)) == 2
    assert list(hub.state.servers_folder.iterdir()) == []
    after = opened_by(identity.pid)
    # connections are kept for later: with the engine one for each call that may be under way, and
    # some with proxy and visitors
    kept = hub.settings.engine.calls_at_once + 8
    assert after.pop("socket") <= before.pop("socket") + kept
    assert after == before
    helpers = subprocess.run(
        ["pgrep", "-P", str(identity.pid), "-f", "mount_helper"], capture_output=True, check=False
    )
    assert helpers.stdout == b""


def test_links_in_the_place_of_folders(
    hub: RunningHub, engine: docker.APIClient, student: Visitor
) -> None:
    """An admin who puts a link in the place of the hooks' folder opens the host to nobody: the
    start is refused in words, from a standby and cold alike."""
    hooks = hub.settings.hooks.folder
    kept = hooks.with_name("kept")
    wait_for_standbys(hub, engine, 2)
    hooks.rename(kept)
    hooks.symlink_to("/")
    try:
        message = student.start_server()[-1]["message"]
        assert "replaced by a link" in message
    finally:
        hooks.unlink()
        kept.rename(hooks)
    assert start(hub, engine, student)


def test_a_claim_that_a_killed_hub_did_not_end(
    hub: RunningHub, engine: docker.APIClient, student: Visitor
) -> None:
    """A container that had a home already when the hub was killed, and no more, is nobody's: the
    next hub removes it, and the person's start works."""
    found = start(hub, engine, student)
    hub.stop_hub()
    (path,) = hub.state.servers_folder.iterdir()
    record = json.loads(path.read_text())
    assert record["is_claimed"] is True
    path.write_text(json.dumps({**record, "is_claimed": False}))
    hub.start_hub()
    wait_until_gone(engine, [found["Id"]])
    assert student.api("GET", f"users/{student.name}").json()["servers"] == {}
    again = start(hub, engine, student)
    assert again["Id"] != found["Id"]


START_HUB = (
    "import sys; from pathlib import Path; from cli.processes import start_hub; "
    "from hub_config.loading import load_settings; from hub_config.state import State; "
    "file = Path(sys.argv[1]); settings = load_settings(file); "
    "start_hub(settings, State(settings.hub.data_folder).prepare(), file)"
)


def test_hub_that_may_not_mount(make_hub: HubMaker, engine: docker.APIClient) -> None:
    """Without the right to mount everything works cold, with mounts that the engine makes; the
    token still is in no inspection, and the log says why there are no standbys."""
    hub = make_hub(settings_of(2), prepare=write_hooks)
    hub.stop_hub()
    assert standbys_of(hub, engine) == []
    confined = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", "--"]
    subprocess.run([*confined, sys.executable, "-c", START_HUB, str(hub.config)], check=True)
    wait_until_hub_answers(hub.settings, 90, [Process("hub", hub.state)])
    student = hub.sign_in("student")
    found = start(hub, engine, student)
    assert not is_from_standby(found)
    assert {"/home/student", "/home/admin"} <= {mount["Destination"] for mount in found["Mounts"]}
    assert not any(text.startswith("JUPYTERHUB_") for text in found["Config"]["Env"])
    assert run_in(hub, engine, student.name, "cat ~/from-hook.txt") == "made-by-the-hook\n"
    student.stop_server()
    assert "every start is a cold one: the hub may not mount" in hub.log()
    assert standbys_of(hub, engine) == []
