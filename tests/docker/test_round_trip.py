"""The main job, end to end without a browser: sign in, own home, hooks, restart, adoption."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from hub_config.people import People
from spawner.containers import CHAIN_CAPABILITIES
from spawner.naming import network
from tests.docker.conftest import HubMaker
from tests.support.hub import RunningHub, Visitor
from tests.support.servers import container_of, run_in

AS_ROOT = "#!/bin/sh\necho root was here as $(id -u) for $NB_USER\n"
AS_USER = "#!/bin/sh\necho made-by-the-hook > ~/from-hook.txt\nid\n"


def write_hooks(folder: Path, as_root: str = AS_ROOT, as_user: str = AS_USER) -> None:
    hooks = folder / "data" / "admin" / "start"
    hooks.mkdir(parents=True, exist_ok=True)
    for name, text in (("as-root.sh", as_root), ("as-user.sh", as_user)):
        (hooks / name).write_text(text)
        (hooks / name).chmod(0o755)


@pytest.fixture(scope="module")
def hub(make_hub: HubMaker) -> RunningHub:
    return make_hub(prepare=write_hooks)


@pytest.fixture
def student(hub: RunningHub) -> Iterator[Visitor]:
    """The student, signed in, whose server is stopped before and after the test."""
    visitor = hub.sign_in("student")
    visitor.stop_server()
    yield visitor
    visitor.stop_server()


def test_student_comes_and_goes(
    hub: RunningHub, student: Visitor, engine: docker.APIClient
) -> None:
    """A student starts a server, finds their files and the hooks' work, also after a restart."""
    events = student.start_server()
    assert events[-1].get("ready"), events
    stages = [event["stage"] for event in events if "stage" in event]
    assert [stage for i, stage in enumerate(stages) if stage not in stages[:i]] == [
        "home",
        "image",
        "container",
        "hooks",
        "server",
    ]
    percents = [event["progress"] for event in events]
    assert percents == sorted(percents)
    assert student.get(f"user/{student.name}/lab").status_code == 200
    assert run_in(hub, engine, student.name, "cat ~/from-hook.txt") == "made-by-the-hook\n"
    run_in(hub, engine, student.name, "echo kept > ~/work.txt")
    student.stop_server()
    assert container_of(hub, engine, student.name) is None
    student.start_server()
    assert run_in(hub, engine, student.name, "cat ~/work.txt") == "kept\n"


def test_home_and_logs_have_their_owners(hub: RunningHub, student: Visitor) -> None:
    """The home is 0700 and the person's; the hooks' logs are the admins' and closed to others."""
    student.start_server()
    person = People(hub.state.people_file).find(hub.demo_login("student")[0])
    assert person
    home = (hub.settings.home.folder / person.slug).stat()
    assert (home.st_uid, home.st_gid, home.st_mode & 0o7777) == (person.uid, person.gid, 0o700)
    for hook, text in (("as-root", "root was here as 0"), ("as-user", f"uid={person.uid}")):
        log = hub.settings.hooks.log_folder / f"{person.slug}-{hook}.log"
        found = log.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (999, 996, 0o640)
        assert text in log.read_text()


def test_server_is_confined(hub: RunningHub, student: Visitor, engine: docker.APIClient) -> None:
    """The server's processes have no capability, gain none, and are bounded."""
    student.start_server()
    found = container_of(hub, engine, student.name)
    assert found
    config = found["HostConfig"]
    assert config["Binds"] in (None, [])
    assert (config["AutoRemove"], config["PidsLimit"]) == (False, 1024)
    assert config["Memory"] == config["MemorySwap"] == 2 * 2**30
    assert config["RestartPolicy"]["Name"] == "no"
    assert config["CpuQuota"] / config["CpuPeriod"] == 2
    assert config["Ulimits"] == [{"Name": "nofile", "Soft": 16384, "Hard": 16384}]
    assert config["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "1"}
    assert config["CapDrop"] == ["ALL"]
    added = {name.removeprefix("CAP_") for name in config["CapAdd"]}  # as newer engines write it
    assert added == set(CHAIN_CAPABILITIES)
    labels = {key for key in found["Config"]["Labels"] if key.startswith("org.labhub.")}
    own = {"org.labhub.hub", "org.labhub.kind"}
    assert labels - own <= set(engine.inspect_image(found["Image"])["Config"]["Labels"])
    status = run_in(hub, engine, student.name, "cat /proc/1/task/*/children | head -c 20", user="0")
    server = status.split()[0]
    text = run_in(hub, engine, student.name, f"cat /proc/{server}/status", user="0")
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert fields["CapEff"] == fields["CapPrm"] == fields["CapBnd"] == "0" * 16
    assert fields["NoNewPrivs"] == "1"
    assert "0" not in fields["Uid"].split()


def test_record_is_written_and_forgotten(hub: RunningHub, student: Visitor) -> None:
    """While a server runs, its record says whose it is; afterwards nothing is left over."""
    student.start_server()
    (path,) = hub.state.servers_folder.iterdir()
    record = json.loads(path.read_text())
    assert record["identity"] == f"demo:{student.name}"
    assert record["container_id"]
    assert record["image_id"].startswith("sha256:")
    assert any(mount["Target"].startswith("/home/") for mount in record["mounts"])
    assert path.stat().st_mode & 0o777 == 0o600
    student.stop_server()
    assert list(hub.state.servers_folder.iterdir()) == []
    assert list((hub.settings.hub.runtime_folder / hub.state.hub_id).iterdir()) == []
    logs = list((hub.state.logs_folder / "servers").iterdir())
    assert [log.stat().st_size > 0 for log in logs] == [True]


def test_hub_restart_keeps_servers(
    hub: RunningHub, student: Visitor, engine: docker.APIClient
) -> None:
    """A hub that was stopped and started again finds the servers as they were."""
    student.start_server()
    before = container_of(hub, engine, student.name)
    hub.stop_hub()
    assert student.get(f"user/{student.name}/api").status_code == 200
    hub.start_hub()
    after = container_of(hub, engine, student.name)
    assert before and after and before["Id"] == after["Id"]
    servers = student.api("GET", f"users/{student.name}").json()["servers"]
    assert servers[""]["ready"]
    student.stop_server()
    assert container_of(hub, engine, student.name) is None


def test_a_server_is_known_by_its_record(
    hub: RunningHub, student: Visitor, engine: docker.APIClient
) -> None:
    """A hub whose database forgot which container a server is finds it by its record; a record of
    another identity is not believed."""
    student.start_server()
    before = container_of(hub, engine, student.name)
    hub.stop_hub()
    with sqlite3.connect(hub.state.database_file) as database:
        database.execute("UPDATE spawners SET state = '{}'")
    hub.start_hub()
    assert student.api("GET", f"users/{student.name}").json()["servers"][""]["ready"]
    after = container_of(hub, engine, student.name)
    assert before and after and before["Id"] == after["Id"]

    hub.stop_hub()
    record = hub.state.servers_folder / "student.json"
    record.write_text(record.read_text().replace("demo:student", "demo:other"))
    with sqlite3.connect(hub.state.database_file) as database:
        database.execute("UPDATE spawners SET state = '{}'")
    hub.start_hub()
    assert student.api("GET", f"users/{student.name}").json()["servers"] == {}


def test_container_that_ended_is_cleaned_up(
    hub: RunningHub, student: Visitor, engine: docker.APIClient
) -> None:
    """A server whose container was killed outside starts again at the first try."""
    student.start_server()
    found = container_of(hub, engine, student.name)
    assert found
    engine.kill(found["Id"])
    assert student.start_server()[-1].get("ready")
    again = container_of(hub, engine, student.name)
    assert again and again["Id"] != found["Id"]


def test_who_may_do_what(hub: RunningHub, student: Visitor) -> None:
    """TA and admin open the admin page and a student's server; a student may do neither."""
    ta, admin = hub.sign_in("ta"), hub.sign_in("admin")
    assert student.get("hub/admin").status_code == 403
    assert ta.get("hub/admin").status_code == admin.get("hub/admin").status_code == 200
    student.start_server()
    for helper in (ta, admin):
        page = helper.open_server(student.name)
        assert (page.status_code, "/lab" in page.url) == (200, True)
    ta.start_server()
    assert student.open_server(ta.name).status_code == 403
    seen = {user["name"] for user in ta.api("GET", "users").json()}
    assert seen == {student.name}
    assert ta.api("DELETE", f"users/{student.name}/server").status_code in (202, 204)
    ta.stop_server()


def test_options_are_allow_listed(hub: RunningHub, student: Visitor) -> None:
    """An image, a mount or an unknown profile asked for through the API is refused in words."""
    for options in ({"image": "debian"}, {"profile": "x"}, {"profile": ["a"]}, {"mounts": []}):
        answer = student.api("POST", f"users/{student.name}/server", json=options)
        assert answer.status_code == 400
        assert "profile" in answer.json()["message"]
    assert student.start_server()[-1].get("ready")


def test_nobody_without_identity_gets_a_home(hub: RunningHub) -> None:
    """A user whom an admin made up and who never signed in has no home to open."""
    admin = hub.sign_in("admin")
    assert admin.api("POST", "users/stranger").status_code == 201
    answer = admin.api("POST", "users/stranger/server")
    assert answer.status_code == 503
    assert "has not signed in" in answer.json()["message"]
    assert not (hub.settings.home.folder / "stranger").exists()


def test_missing_share_folder_is_said_in_words(hub: RunningHub, student: Visitor) -> None:
    """A folder that a mount needs and that is gone is never made on the root disk."""
    folder = hub.settings.share[0].folder
    kept = folder.with_name("admin-kept")
    folder.rename(kept)
    try:
        events = student.start_server()
        assert "folder that your server needs is missing" in events[-1]["message"]
        assert not folder.exists()
    finally:
        shutil.move(kept, folder)
    assert hub.state.servers_folder.is_dir()
    assert list(hub.state.servers_folder.iterdir()) == []


def test_servers_cannot_reach_each_other(
    hub: RunningHub, student: Visitor, engine: docker.APIClient
) -> None:
    """From a server nobody else's port is reached, while the hub's API at the gateway answers."""
    ta = hub.sign_in("ta")
    assert ta.start_server()[-1].get("ready")
    try:
        assert student.start_server()[-1].get("ready")
        found = [container_of(hub, engine, visitor.name) for visitor in (student, ta)]
        name = network(hub.state.hub_id)
        own, other = (each["NetworkSettings"]["Networks"][name] for each in found if each)
        with socket.create_connection((other["IPAddress"], 8888), 5):
            pass  # it listens, so it is the network that keeps others away

        def reached(host: str, port: int) -> bool:
            knock = f"timeout 3 bash -c '< /dev/tcp/{host}/{port}' 2> /dev/null"
            script = f"{knock} && echo reached || echo away"
            return run_in(hub, engine, student.name, script) == "reached\n"

        assert reached(own["IPAddress"], 8888)
        assert not reached(other["IPAddress"], 8888)
        url = f"http://{own['Gateway']}:{hub.settings.hub.hub_port}/hub/api/"
        ask = f"import urllib.request as r; print(r.urlopen('{url}', timeout=5).status)"
        assert run_in(hub, engine, student.name, f'python3 -c "{ask}"') == "200\n"
    finally:
        ta.stop_server()
