"""A container that waits for an owner: the claim, and the server that it becomes."""

from __future__ import annotations

import json
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.images.waiting import HUB, Waiting
from tests.support.containers import CAPABILITIES, Containers, Host

SITE_PACKAGES = "/opt/jupyter/lib/python3.11/site-packages"
IN_PLACE, FRESH = "labhub-wait", "/opt/labhub/startup_scripts/server"


def statuses(seen: dict[str, Any]) -> list[dict[str, str]]:
    """Return the fields of every thread of the server."""
    return [
        dict(line.split(":\t", 1) for line in task.splitlines() if ":\t" in line)
        for task in seen["tasks"]
    ]


def test_the_waiting_process_becomes_the_owners_server(host: Host) -> None:
    """Ids, groups, home, umask and environment are the owner's, in the process that waited."""
    waiting = Waiting(host)
    waiting.await_file("ready.json")
    ended = waiting.claim(
        LABHUB_EXTRA_GROUPS="admin:996,data:30001", NB_UMASK="0027", TZ="Europe/Zurich"
    )
    assert ended.exit_code == 0, ended.log
    seen = waiting.seen()
    assert IN_PLACE in seen["command"], ended.log
    assert seen["ids"] == [[20001] * 3, [20001] * 3, [996, 30001]]
    assert (seen["folder"], seen["umask"]) == ("/home/alice", 0o027)
    environment = seen["environment"]
    expected = {**HUB, "HOME": "/home/alice", "USER": "alice", "TZ": "Europe/Zurich"}
    assert expected.items() <= environment.items()
    assert not [name for name in environment if name.startswith(("LABHUB_HOOK", "LABHUB_ADMIN"))]
    assert environment["PATH"].endswith(":/home/alice/.local/bin")
    assert len(seen["processes"]) == 2, "tini and the server"


def test_every_thread_of_the_server_is_locked(host: Host) -> None:
    """No capability in any set of any thread, no new privileges, and one thread at the drop."""
    waiting = Waiting(host)
    waiting.claim()
    seen = waiting.seen()
    assert IN_PLACE in seen["command"]
    for status in statuses(seen):
        sets = {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        assert {int(value, 16) for value in sets} == {0}
        assert status["NoNewPrivs"] == "1"
        assert status["Uid"].split() == ["20001"] * 4
    assert len(seen["tasks"]) == 1


def test_a_server_with_sudo_keeps_the_way_to_root(host: Host) -> None:
    """The bounding set stays where sudo is granted; the server itself has no capability."""
    waiting = Waiting(host, cap_add=[*CAPABILITIES, "AUDIT_WRITE"])
    waiting.claim(GRANT_SUDO="yes")
    (status,) = statuses(waiting.seen())
    assert status["NoNewPrivs"] == "0"
    assert int(status["CapBnd"], 16) != 0
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


def test_the_start_chain_runs_between_claim_and_server(host: Host) -> None:
    """Hooks and reports are those of any start; hooks see no token."""
    host.hook("as-root.sh", "#!/bin/sh\nid -u\nenv\n")
    host.hook("as-user.sh", "#!/bin/sh\nid -u\npwd\nenv\n")
    ended = Waiting(host).claim()
    assert [(line["step"], line["state"]) for line in ended.report] == [
        ("start-notebook.d", "done"),
        ("account", "done"),
        ("as-root", "running"),
        ("as-root", "done"),
        ("as-user", "running"),
        ("as-user", "done"),
        ("before-notebook.d", "done"),
        ("server", "running"),
    ]
    assert host.log("as-root").splitlines()[0] == "0"
    assert host.log("as-user").splitlines()[:2] == ["20001", "/home/alice"]
    assert "canary" not in host.log("as-root") + host.log("as-user") + ended.log


@pytest.mark.parametrize(
    ("variables", "hook", "as_root"),
    [
        ({}, "export LD_LIBRARY_PATH=/usr/lib\n", ""),
        ({"PYTHONWARNINGS": "ignore"}, "", ""),
        ({"LC_ALL": "C"}, "", ""),
        ({}, "", f"#!/bin/sh\ntouch {SITE_PACKAGES}/new.txt\n"),
    ],
    ids=["a hook's loader path", "Python's variable", "locale", "new package"],
)
def test_a_new_python_is_started_where_the_old_one_does_not_fit(
    host: Host, tmp_path: Path, variables: dict[str, str], hook: str, as_root: str
) -> None:
    """The server is the same program, as the user; only then it is started anew."""
    script = tmp_path / "10-hook.sh"
    script.write_text(hook)
    host.mounts["/usr/local/bin/start-notebook.d/10-hook.sh"] = str(script)
    if as_root:
        host.hook("as-root.sh", as_root)
    waiting = Waiting(host)
    ended = waiting.claim(**variables)
    seen = waiting.seen()
    assert FRESH in seen["command"], ended.log
    assert "A new Python is started" in ended.log
    assert statuses(seen)[0]["NoNewPrivs"] == "1"
    assert seen["ids"] == [[20001] * 3, [20001] * 3, []]
    assert variables.items() <= seen["environment"].items()


def test_both_ways_lead_to_the_same_server(
    containers: Containers, image: str, tmp_path: Path
) -> None:
    """A server that waited and a fresh one differ in nothing that it can see of itself."""
    seen = []
    for name in ("waited", "fresh"):
        host = Host(containers, image, tmp_path / name)
        if name == "fresh":
            host.hook("as-root.sh", f"#!/bin/sh\ntouch {SITE_PACKAGES}/new.txt\n")
        waiting = Waiting(host)
        waiting.await_file("ready.json")
        waiting.claim()
        seen.append(waiting.seen())
    assert (IN_PLACE in seen[0]["command"], FRESH in seen[1]["command"]) == (True, True)
    for key in ("environment", "ids", "folder", "umask", "path", "flags", "ignored", "descriptors"):
        assert seen[0][key] == seen[1][key], key


def test_waiting_is_said_to_root_alone(host: Host) -> None:
    """Socket, marker and figures are closed to others, and the memory is that of a server."""
    waiting = Waiting(host)
    ready = waiting.await_file("ready.json")
    figures = json.loads(ready.read_text())
    assert figures["version"] == 1
    assert 30_000 < figures["memory_kib"] < 400_000
    listening = host.runtime / "claim.sock"
    assert stat.S_ISSOCK(listening.stat().st_mode)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (ready, listening)} == {0o600}
    waiting.claim()
    assert stat.S_IMODE((host.runtime / "claimed").stat().st_mode) == 0o600
    assert not listening.exists()
    assert {path.name for path in host.runtime.iterdir()} == {
        *("claimed", "hooks", "logs", "ready.json", "report.jsonl")
    }


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\n",
        b"hello\n",
        b"[1]\n",
        b'{"version": 1}\n',
        b'{"version": 2, "environment": {}}\n',
        b'{"version": 1, "environment": {"NB_UID": 1}}\n',
        b'{"version": 1, "environment": {"A=B": "1"}}\n',
        b'{"version": 1, "environment": {"A": "\\u0000"}}\n',
        b'{"version": 1, "environment": {"A": "\\ud800"}}\n',
        b'{"version": 1, "environment": {}}',
        b"[" * 100_000 + b"\n",
        b'{"version": 1, "environment": {"A": "' + b"a" * 2**20 + b'"}}\n',
    ],
    ids=lambda request: request[:40].decode(),
)
def test_a_request_that_cannot_be_read_changes_nothing(host: Host, request_: bytes) -> None:
    """It is answered with an error, and the next claim is taken."""
    waiting = Waiting(host)
    waiting.await_file("claim.sock")
    assert list(waiting.send(request_)) == ["error"]
    assert not (host.runtime / "claimed").exists()
    assert waiting.claim().exit_code == 0
    assert waiting.seen()["ids"][0] == [20001] * 3


def test_of_two_claims_at_once_one_is_taken(host: Host) -> None:
    """The other one is told no, or nothing, and does not reach the server."""
    waiting = Waiting(host)
    waiting.await_file("claim.sock")

    def claim(hub: str) -> dict[str, Any]:
        try:
            return waiting.send(waiting.request(COURSE_REPO=hub))
        except OSError:
            return {}  # it came too late

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(claim, [f"repository {number}" for number in range(8)]))
    assert [answer.get("taken") for answer in answers].count(True) == 1
    assert waiting.ended().exit_code == 0
    taken = [answer.get("taken", False) for answer in answers].index(True)
    assert waiting.seen()["environment"]["COURSE_REPO"] == f"repository {taken}"


@pytest.mark.parametrize("stage", ["claim.sock", "ready.json"])
def test_sigterm_ends_one_that_waits(host: Host, stage: str) -> None:
    """While it imports and while it waits."""
    waiting = Waiting(host)
    waiting.await_file(stage)
    waiting.client.kill(waiting.container, signal.SIGTERM)
    assert waiting.ended().exit_code == 143


def test_sigterm_ends_one_that_runs_a_hook(host: Host) -> None:
    """A claimed container whose hook takes long ends at once, hook included."""
    host.hook("as-root.sh", "#!/bin/sh\ntouch /run/labhub/hook-runs\ntrap '' TERM\nsleep 300\n")
    waiting = Waiting(host)
    waiting.await_file("claim.sock")
    assert waiting.send(waiting.request()) == {"taken": True}
    waiting.await_file("hook-runs")
    waiting.client.kill(waiting.container, signal.SIGTERM)
    assert waiting.ended().exit_code == 143


@pytest.mark.parametrize("which", [1, 2], ids=["main process", "claim process"])
def test_no_half_of_it_outlives_the_other(host: Host, which: int) -> None:
    """Whichever process is killed, the container ends."""
    waiting = Waiting(host)
    waiting.await_file("ready.json")
    processes = waiting.processes()
    assert len(processes) == 3, "tini, the main process and the claim process"
    os.kill(processes[which], signal.SIGKILL)
    assert waiting.ended().exit_code == 137


def test_a_start_that_is_refused_ends_the_container(host: Host) -> None:
    """With 78 and a reason, and no server."""
    ended = Waiting(host).claim(NB_UID="0")
    assert ended.exit_code == 78
    assert "never runs as root" in ended.step("account")["message"]
    assert not (host.home / "seen.json").exists()


def test_a_required_hook_that_fails_ends_the_container(host: Host) -> None:
    """With 78, as in any start."""
    host.hook("as-user.sh", "#!/bin/sh\nexit 3\n")
    ended = Waiting(host).claim(LABHUB_HOOK_AS_USER="required")
    assert ended.exit_code == 78
    assert ended.report[-1]["state"] == "failed"
    assert not (host.home / "seen.json").exists()


def test_a_claimed_container_does_not_start_again(host: Host) -> None:
    """Its home is not mounted any more: it says so and waits for nobody."""
    waiting = Waiting(host)
    waiting.claim()
    waiting.client.start(waiting.container)
    ended = waiting.ended()
    assert ended.exit_code == 78
    assert "had an owner" in ended.log
    assert not (host.runtime / "claim.sock").exists()


def test_it_waits_only_where_root_alone_can_claim_it(host: Host) -> None:
    """A runtime directory that is open to others, or none, and a container without root: 78."""
    host.runtime.chmod(0o755)
    assert Waiting(host).ended().exit_code == 78
    host.runtime.chmod(0o700)
    mounts = {"/run/labhub": str(host.runtime)}
    for options in ({"mounts": {}}, {"mounts": mounts, "user": "1000:100"}):
        ended = host.containers.run(host.image, ["labhub-wait"], None, **options)
        assert ended.exit_code == 78
        assert "labhub-wait needs root" in ended.log


def test_roots_python_imports_nothing_from_a_home(host: Host) -> None:
    """PYTHONPATH and the user's packages are the command's, and not the start chain's."""
    for name in ("json.py", "chain.py", "sitecustomize.py"):
        (host.home / name).write_text("open('/victims/was-run', 'w')\n")
    ended = host.run("echo $PYTHONPATH", environment={"PYTHONPATH": "/home/alice"})
    assert ended.output.strip() == "/home/alice"
    assert host.victim_is_untouched()
