"""The operators' hooks in images of docker-stacks, and our image built on one."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from tests.images.waiting import Waiting
from tests.support.containers import CAPABILITIES, STUDENT, Containers, Ended, Host

PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "startup_scripts"
DROP_IN = "before-notebook.d/50-operator-hooks.sh"


@pytest.fixture(params=["stacks", "old_stacks"])
def dropped_in(
    request: pytest.FixtureRequest, containers: Containers, image: str, tmp_path: Path
) -> Host:
    """A server of a docker-stacks image, today's or an older one, with our scripts mounted."""
    host = Host(containers, request.getfixturevalue(request.param), tmp_path / "host")
    host.mounts["/opt/labhub/startup_scripts"] = f"{SCRIPTS}:ro"
    host.mounts[f"/usr/local/bin/{DROP_IN}"] = f"{SCRIPTS / DROP_IN}:ro"
    return host


def run(host: Host, script: str, **environment: str) -> Ended:
    """Start it with what these images' own `sudo` needs."""
    return host.run(script, environment=environment, cap_add=[*CAPABILITIES, "AUDIT_WRITE"])


def test_the_hooks_run_in_docker_stacks_images(dropped_in: Host) -> None:
    """As root and as the user, with logs and a report, before the image's own command."""
    dropped_in.hook("as-root.sh", "#!/bin/sh\nid -u\n")
    dropped_in.hook("as-user.sh", "#!/bin/sh\nid; pwd\ntouch worked\n")
    ended = run(dropped_in, "id -un; ls ~/worked")
    assert ended.output.splitlines()[-2:] == ["alice", "/home/alice/worked"], ended.log
    assert dropped_in.log("as-root") == "0\n"
    assert dropped_in.log("as-user").splitlines() == [
        "uid=20001(alice) gid=20001(alice) groups=20001(alice),100(users)",
        "/home/alice",
    ]
    assert [(line["step"], line["state"]) for line in ended.report] == [
        ("as-root", "running"),
        ("as-root", "done"),
        ("as-user", "running"),
        ("as-user", "done"),
    ]


def test_a_failing_hook_does_not_stop_them(dropped_in: Host) -> None:
    """Neither the old nor the new way of running hooks ends the start at an optional hook."""
    dropped_in.hook("as-root.sh", "#!/bin/sh\nexit 9\n")
    ended = run(dropped_in, "echo started")
    assert ended.exit_code == 0
    assert ended.output.splitlines()[-1] == "started"
    assert ended.step("as-root")["exit_code"] == 9


def test_a_required_hook_stops_them(dropped_in: Host) -> None:
    """The container ends with 78 before the server starts."""
    dropped_in.hook("as-user.sh", "#!/bin/sh\nexit 9\n")
    ended = run(dropped_in, "echo started", LABHUB_HOOK_AS_USER="required")
    assert ended.exit_code == 78
    assert "started" not in ended.output
    assert ended.report[-1]["state"] == "failed"


def test_without_root_the_users_hook_still_runs(
    stacks: str, containers: Containers, tmp_path: Path
) -> None:
    """These images start as jovyan by default: as-root.sh cannot run, and that is said."""
    host = Host(containers, stacks, tmp_path / "host")
    host.hook("as-root.sh", "#!/bin/sh\necho no\n")
    host.hook("as-user.sh", "#!/bin/sh\nid -un\n")
    mounts = {
        "/opt/labhub/startup_scripts": f"{SCRIPTS}:ro",
        f"/usr/local/bin/{DROP_IN}": f"{SCRIPTS / DROP_IN}:ro",
        "/home/admin/start": f"{host.start}:ro",
    }
    ended = containers.run(stacks, ["echo", "started"], {}, mounts, user="1000", cap_add=[])
    assert ended.output.splitlines()[-1] == "started"
    assert "as-root.sh was not run: this container was not started as root" in ended.log
    assert "jovyan" in ended.log


def test_our_image_is_built_on_docker_stacks(image_on_stacks: str, containers: Containers) -> None:
    """Everything is installed into the base's conda, and the image's own checks pass."""
    verify = PROJECT / "images" / "notebook" / "verify"
    wanted = {**STUDENT, "VERIFY_JUPYTERHUB": importlib.metadata.version("jupyterhub")}
    ended = containers.run(image_on_stacks, ["/verify"], wanted, {"/verify": f"{verify}:ro"})
    assert ended.exit_code == 0, ended.output


def test_our_start_chain_runs_the_bases_hooks(
    image_on_stacks: str, containers: Containers, tmp_path: Path
) -> None:
    """The base's own drop-ins run, and the user cannot write to its conda (group 100)."""
    host = Host(containers, image_on_stacks, tmp_path / "host")
    ended = host.run("echo $CONDA_IS_ACTIVE; id -G; id -un; grep NoNewPrivs /proc/self/status")
    assert ended.output.splitlines() == ["yes", "20001", "alice", "NoNewPrivs:\t1"]


def test_our_image_on_docker_stacks_waits_for_an_owner(
    image_on_stacks: str, containers: Containers, tmp_path: Path
) -> None:
    """The base's conda imports the server, the base's hooks run, and the owner gets it."""
    waiting = Waiting(Host(containers, image_on_stacks, tmp_path / "host"))
    waiting.await_file("ready.json")
    ended = waiting.claim()
    assert ended.exit_code == 0, ended.log
    seen = waiting.seen()
    assert seen["command"][0] == "/opt/conda/bin/python3"
    assert "labhub-wait" in seen["command"], ended.log
    assert seen["environment"]["CONDA_IS_ACTIVE"] == "yes"
    assert seen["ids"] == [[20001] * 3, [20001] * 3, []]
