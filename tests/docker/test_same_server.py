"""The server that was a standby and the one that was not are the same, seen from inside."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import docker

from hub_config.people import People
from tests.docker.conftest import HubMaker
from tests.support.hub import RunningHub
from tests.support.kernels import run_in_kernel
from tests.support.servers import container_of, run_in
from tests.support.standbys import is_from_standby, settings_of, wait_for_standbys

LOOK = (Path(__file__).parent.parent / "support" / "look.py").read_text()
CONFIG = {"ServerApp": {"jpserver_extensions": {"labhub_look": True}}}
PLAIN = (
    "import json, defusedxml as a, labhub_mine as b; print(json.dumps([a.__file__, b.__file__]))"
)
PROCESSES = (
    "for s in /proc/[0-9]*/task/*/status; do "
    "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' $s | tr -s '\\t\\n' ' '; echo; done"
)


def install_for_user(hub: RunningHub) -> None:
    """Put packages into the person's own site-packages, as `pip install` in a cell does."""
    person = People(hub.state.people_file).find("student")
    assert person
    home = hub.settings.home.folder / person.slug  # type: ignore[union-attr]
    packages = home / ".local/lib/python3.11/site-packages"
    settings = home / ".local/etc/jupyter/jupyter_server_config.d"
    for folder in (packages, settings, packages / "defusedxml"):
        folder.mkdir(parents=True, exist_ok=True)
    (packages / "labhub_mine.py").write_text("")
    (packages / "defusedxml" / "__init__.py").write_text("")
    (packages / "labhub_look.py").write_text(LOOK)
    (settings / "labhub_look.json").write_text(json.dumps(CONFIG))


def normalised(text: str, hub: RunningHub) -> dict[str, Any]:
    """Take out what differs between any two servers: tokens, ids, addresses."""
    text = text.replace(hub.state.hub_id, "HUB")
    text = re.sub(r"[0-9a-f]{32,64}", "HEX", text)
    text = text.replace(hub.url.rstrip("/"), "PUBLIC")
    text = re.sub(r"http://(\d+\.){3}\d+:\d+", "http://GATEWAY", text)
    found = json.loads(text)
    found["environment"].pop("JPY_PARENT_PID", None)  # the server's process id, in its kernels
    return found


def look_at(make_hub: HubMaker, engine: docker.APIClient, standbys: int) -> dict[str, Any]:
    """Start a student's server in a new hub and return all that can be seen from inside."""
    hub = make_hub(settings_of(standbys))
    student = hub.sign_in("student")
    assert student.start_server()[-1].get("ready")  # makes the home
    student.stop_server()
    install_for_user(hub)
    wait_for_standbys(hub, engine, standbys)
    assert student.start_server()[-1].get("ready")
    found = container_of(hub, engine, student.name)
    assert is_from_standby(found) is bool(standbys)
    assert student.get(f"user/{student.name}/lab").status_code == 200
    server = run_in(hub, engine, student.name, "cat ~/look.json")
    kernel = run_in_kernel(student, LOOK + "\nprint(json.dumps(look()))")
    processes = sorted(set(run_in(hub, engine, student.name, PROCESSES, user="0").splitlines()))
    usual = run_in(hub, engine, student.name, f"cd; python3 -c '{PLAIN}'")
    logs = run_in(hub, engine, student.name, "ls -A /run/labhub /run/labhub/logs", user="0")
    student.stop_server()
    return {
        "server": normalised(server, hub),
        "kernel": normalised(kernel, hub),
        "processes": processes,
        "runtime": logs,
        "plain": json.loads(usual),
    }


def test_same_from_inside(make_hub: HubMaker, engine: docker.APIClient) -> None:
    """Environment, paths, packages, ids, limits, mounts, capabilities, descriptors and threads of
    server and kernel do not tell whether the server was a standby."""
    cold, warm = look_at(make_hub, engine, 0), look_at(make_hub, engine, 1)
    for part in ("server", "kernel"):
        assert cold[part].keys() == warm[part].keys()
        for name, value in cold[part].items():
            assert warm[part][name] == value, (part, name)
    assert warm == cold

    server, kernel = warm["server"], warm["kernel"]
    user_site = "/home/student/.local/lib/python3.11/site-packages"
    assert server["path"][-1] == user_site
    assert [path.startswith(user_site) for path in server["packages"]] == [False, True]
    assert kernel["packages"] == warm["plain"]
    assert server["environment"]["HOME"] == server["cwd"] == "/home/student"
    assert not [path for path in server["opened"] if path.startswith("/run/labhub")]
    for thread in server["threads"]:
        assert {thread[name] for name in thread if name.startswith("Cap")} == {"0" * 16}
        assert thread["NoNewPrivs"] == "1"
    of_users = [line for line in warm["processes"] if "Uid: 0 0 0 0" not in line and line.strip()]
    assert of_users
    for line in of_users:
        assert "NoNewPrivs: 1" in line
        assert "CapBnd: 0000000000000000" in line
