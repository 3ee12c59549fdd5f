"""The operators' hooks as a hub runs them: failing, hanging, missing, tampered with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.docker.conftest import HubMaker
from tests.support.hub import RunningHub
from tests.support.servers import run_in

SHADOW = Path("/etc/shadow")
GOOD = "#!/bin/sh\necho fine\n"


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def good_hooks(folder: Path) -> None:
    hooks = folder / "data" / "admin" / "start"
    hooks.mkdir(parents=True)
    for name in ("as-root.sh", "as-user.sh"):
        write(hooks, name, GOOD)


@pytest.fixture(scope="module")
def optional(make_hub: HubMaker) -> RunningHub:
    return make_hub("[hooks]\ntime_limit_s = 2\n", good_hooks)


@pytest.fixture(scope="module")
def required(make_hub: HubMaker) -> RunningHub:
    return make_hub('[hooks]\ntime_limit_s = 2\nas_root = "required"\n', good_hooks)


def messages(events: list[dict[str, Any]]) -> str:
    return "\n".join(event["message"] for event in events)


def fails(folder: Path) -> None:
    write(folder, "as-root.sh", "#!/bin/sh\necho oh no\nexit 7\n")


def hangs(folder: Path) -> None:
    write(folder, "as-root.sh", "#!/bin/sh\nsetsid sleep 1000 &\nsleep 1000\n")


def is_missing(folder: Path) -> None:
    (folder / "as-root.sh").unlink(missing_ok=True)


def is_a_link_to_shadow(folder: Path) -> None:
    (folder / "as-root.sh").unlink(missing_ok=True)
    (folder / "as-root.sh").symlink_to(SHADOW)


CASES: list[tuple[Callable[[Path], None], str]] = [
    (fails, "exit code 7"),
    (hangs, "2 s"),
    (is_a_link_to_shadow, "link"),
]


@pytest.mark.parametrize(("breaks", "words"), CASES)
def test_optional_hook(
    optional: RunningHub, engine: docker.APIClient, breaks: Callable[[Path], None], words: str
) -> None:
    """A broken hook that is optional is a visible warning, on the page and at home; the start goes
    on, the other hook runs, and nothing of the broken one is left behind."""
    breaks(optional.settings.hooks.folder)
    student = optional.sign_in("student")
    events = student.start_server()
    assert events[-1].get("ready"), events
    warnings = [event["message"] for event in events if event.get("state") == "warning"]
    assert any("as-root.sh" in text and words in text for text in warnings), events
    assert "as-root.sh" in student.get("hub/home").text
    assert "sleep" not in run_in(optional, engine, student.name, "cat /proc/[0-9]*/comm")
    # the link's target in the container: neither changed, nor run, nor shown
    look = "stat -c %a:%u /etc/shadow; grep -c ^root: /etc/shadow"
    assert run_in(optional, engine, student.name, look, user="0") == "640:0\n1\n"
    logs = optional.settings.hooks.log_folder
    assert "fine" in (logs / f"{student.name}-as-user.log").read_text()
    assert not any("root:" in path.read_text() for path in logs.iterdir())
    student.stop_server()
    write(optional.settings.hooks.folder, "as-root.sh", GOOD)


@pytest.mark.parametrize(("breaks", "words"), [*CASES, (is_missing, "No such file")])
def test_required_hook(required: RunningHub, breaks: Callable[[Path], None], words: str) -> None:
    """A broken hook that is required refuses the start, and the page says which and why."""
    breaks(required.settings.hooks.folder)
    student = required.sign_in("student")
    events = student.start_server()
    assert events[-1].get("failed"), events
    assert "as-root.sh" in events[-1]["message"]
    assert words in messages(events)
    assert "not started" in events[-1]["message"]
    write(required.settings.hooks.folder, "as-root.sh", GOOD)
    assert student.start_server()[-1].get("ready")
    student.stop_server()


def test_missing_hook_is_said(optional: RunningHub) -> None:
    """A hook that is not there is nothing to worry about, and said."""
    is_missing(optional.settings.hooks.folder)
    student = optional.sign_in("student")
    events = student.start_server()
    assert events[-1].get("ready")
    assert any("as-root.sh" in event["message"] for event in events)
    assert not [event for event in events if event.get("state") == "warning"]
    student.stop_server()
    write(optional.settings.hooks.folder, "as-root.sh", GOOD)


def test_log_that_is_a_link(optional: RunningHub, tmp_path: Path) -> None:
    """A log that somebody replaced by a link is replaced; the link's target keeps its bytes."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    log = optional.settings.hooks.log_folder / "student-as-root.log"
    log.unlink(missing_ok=True)
    log.symlink_to(victim)
    student = optional.sign_in("student")
    events = student.start_server()
    assert events[-1].get("ready")
    warnings = [event["message"] for event in events if event.get("state") == "warning"]
    assert any("student-as-root.log was a link" in text for text in warnings), events
    assert "student-as-root.log was a link" in student.get("hub/home").text
    student.stop_server()
    assert not log.is_symlink()
    assert "fine" in log.read_text()
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("precious", 0o600)
