"""The commands as programs: what they print, and with which status they end."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from cli import PROJECT_FOLDER
from cli.__main__ import app, main
from cli.checks import Check, describe_room, run_checks
from cli.errors import CommandError
from cli.linters import shell_scripts
from cli.sample_hooks import copy_sample_hooks
from cli.status import duration
from cli.test import AREAS, choose
from hub_config.settings import Hooks

COMMANDS = ("up", "down", "status", "doctor", "check-config", "images build", "bench", "test")
RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from cli.__main__ import main; main()"


@dataclass(frozen=True)
class Run:
    """What a command printed, and the status it ended with."""

    returncode: int
    stdout: str
    stderr: str


class Labhub:
    """Runs commands as `labhub` does, in this very process: starting Python takes longer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> Run:
        self._monkeypatch.setattr(sys, "argv", ["labhub", *words])
        with pytest.raises(SystemExit) as end:
            main()
        printed = self._capsys.readouterr()
        return Run(int(end.value.code or 0), printed.out, printed.err)


@pytest.fixture
def labhub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Labhub:
    monkeypatch.delenv("LABHUB_CONFIG", raising=False)
    return Labhub(monkeypatch, capsys)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a hub that was never started, with ports of its own and no engine."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    file = tmp_path / "hub.toml"
    file.write_text(
        f"[hub]\nport = {ports[0]}\nproxy_api_port = {ports[1]}\n"
        f'runtime_folder = "{tmp_path}/run"\n'
        f'[engine]\nsocket = "unix://{tmp_path}/no.sock"\n'
    )
    return file


def test_status_of_a_hub_that_was_never_started(labhub: Labhub, config: Path) -> None:
    """One JSON document, nothing runs, status 1, and looking has made no folder."""
    run = labhub("status", "--json", "--config", str(config))
    found = json.loads(run.stdout)
    assert run.returncode == 1
    assert set(found) == {"url", "ready", "hub", "proxy", "engine", "servers"}
    assert found["ready"] is False
    assert found["hub"]["running"] is found["hub"]["answers"] is False
    assert found["proxy"]["running"] is False
    assert found["engine"]["answers"] is False
    assert found["servers"] == []
    assert run.stderr == ""
    assert not (config.parent / "data").exists()


def test_status_for_people_says_not_ready(labhub: Labhub, config: Path) -> None:
    run = labhub("status", "--config", str(config))
    assert run.returncode == 1
    assert "not ready" in run.stdout


def test_settings_come_from_labhub_config_and_from_where_the_person_is(
    labhub: Labhub, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    by_name = labhub("status", "--json", "--config", config.name)
    monkeypatch.chdir("/")
    monkeypatch.setenv("LABHUB_CONFIG", str(config))
    by_variable = labhub("status", "--json")
    assert json.loads(by_variable.stdout) == json.loads(by_name.stdout)
    assert str(config.parent) in json.loads(by_name.stdout)["hub"]["log"]


def test_down_of_a_hub_that_is_not_running_is_no_error(labhub: Labhub, config: Path) -> None:
    run = labhub("down", "--config", str(config))
    assert (run.returncode, run.stdout.strip()) == (0, "labhub is not running")


def test_down_with_servers_needs_the_hub(labhub: Labhub, config: Path) -> None:
    run = labhub("down", "--servers", "--config", str(config))
    assert run.returncode == 1
    assert "Fix: ./labhub up --detach" in run.stderr


def test_doctor_names_every_problem_with_its_fix(labhub: Labhub, config: Path) -> None:
    run = labhub("doctor", "--json", "--config", str(config))
    found = json.loads(run.stdout)
    assert run.returncode == 1
    assert found["ok"] is False
    problems = {check["name"]: check for check in found["checks"] if not check["ok"]}
    assert "no.sock" in problems["engine"]["message"]
    assert all(check["fix"] for check in problems.values())


def test_doctor_goes_on_when_the_settings_are_wrong(labhub: Labhub, tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[hub]\nprot = 1\n")
    run = labhub("doctor", "--json", "--config", str(tmp_path / "hub.toml"))
    checks = {check["name"]: check for check in json.loads(run.stdout)["checks"]}
    assert run.returncode == 1
    assert "check-config" in checks["settings"]["fix"]
    assert checks["system"]["ok"]


@pytest.mark.parametrize("command", ["up", "down", "status", "check-config", "images build"])
def test_wrong_settings_are_text_and_no_traceback(
    labhub: Labhub, tmp_path: Path, command: str
) -> None:
    (tmp_path / "hub.toml").write_text("[hub]\nprot = 1\n")
    run = labhub(*command.split(), "--config", str(tmp_path / "hub.toml"))
    assert run.returncode == 1
    assert "prot" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_modules_in_the_folder_of_the_person_are_not_imported(tmp_path: Path) -> None:
    """Root runs these commands: nothing that lies where they are run is executed."""
    for name in ("cli", "rich", "typer", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken over')\n")
    run = subprocess.run(
        [sys.executable, "-P", "-c", RUN, str(PROJECT_FOLDER), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0
    assert "taken over" not in run.stderr


def test_unknown_command_is_refused(labhub: Labhub) -> None:
    run = labhub("start")
    assert run.returncode != 0
    assert "start" in run.stderr


def test_every_command_is_known_and_documented() -> None:
    """README shows each command, and shows none that there is not."""
    group = typer.main.get_command(app)
    found = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found |= {f"{name} {each}" for each in below} if below else {name}
    assert found == set(COMMANDS)
    readme = (PROJECT_FOLDER / "README.md").read_text()
    shown = set(re.findall(r"\./labhub ((?:images )?[a-z-]+)", readme))
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text(labhub: Labhub, command: str) -> None:
    run = labhub(*command.split(), "--help")
    assert run.returncode == 0
    for line in re.findall(r"^ +(--[a-z-]+.*)$", run.stdout, re.MULTILINE):
        assert re.search(r"\S {2,}\S", line), line


class TestWhatIsTested:
    """The words after `labhub test`."""

    def test_alone_is_everything_with_the_linters(self) -> None:
        choice = choose([])
        assert (choice.areas, choice.arguments, choice.with_linters) == (AREAS, ("tests",), True)

    def test_unit_runs_the_linters_too(self) -> None:
        choice = choose(["unit"])
        assert (choice.areas, choice.arguments) == (("unit",), ("tests/unit",))
        assert choice.with_linters

    def test_area_with_arguments(self) -> None:
        choice = choose(["docker", "-x", "-k", "start"])
        assert choice.areas == ("docker",)
        assert choice.arguments == ("tests/docker", "-x", "-k", "start")
        assert not choice.with_linters

    def test_arguments_without_area_are_one_run_of_all(self) -> None:
        choice = choose(["-k", "a_name"])
        assert choice.areas == AREAS
        assert choice.arguments == ("tests", "-k", "a_name")
        assert not choice.with_linters

    def test_path_chooses_its_area(self) -> None:
        choice = choose(["tests/unit/test_cli_commands.py::test_unknown_command_is_refused", "-x"])
        assert choice.areas == ("unit",)
        assert choice.arguments[0].startswith("tests/unit/test_cli_commands.py::")

    def test_unknown_area_is_told_the_areas(self) -> None:
        with pytest.raises(CommandError, match="browsers") as caught:
            choose(["browsers"])
        assert all(area in caught.value.fix for area in AREAS)


def test_every_area_has_its_folder() -> None:
    assert {path.name for path in (PROJECT_FOLDER / "tests").iterdir()} >= set(AREAS)


def test_linters_see_every_shell_script() -> None:
    names = {str(path.relative_to(PROJECT_FOLDER)) for path in shell_scripts()}
    assert {"labhub", ".ci/run", "startup_scripts/start.sh"} <= names
    assert not any(name.startswith((".venv", "data", ".git/")) for name in names)


def test_check_that_breaks_stops_no_other() -> None:
    def breaks() -> list[Check]:
        raise PermissionError(13, "Permission denied", "/some/file")

    found = list(run_checks([("a", breaks), ("b", lambda: [Check("b", "fine")])]))
    assert [check.is_well for check in found] == [False, True]
    assert "/some/file" in found[0].message
    assert "sudo" in found[0].fix


@pytest.mark.parametrize(
    ("free", "total", "is_problem"), [(50, 1000, False), (49, 1000, True), (0, 0, False)]
)
def test_room_runs_out_below_five_percent(free: int, total: int, is_problem: bool) -> None:
    assert (describe_room("disk", "/", free, total, "inodes") is not None) is is_problem


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (90061, "1 d 1 h")],
)
def test_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class TestSampleHooks:
    """The samples of a new hub."""

    @pytest.fixture
    def hooks(self, tmp_path: Path) -> Hooks:
        admin = tmp_path / "data" / "admin"
        owner = {"admin_uid": os.getuid() or 999, "admin_gid": os.getgid() or 996}
        return Hooks(folder=admin / "start", log_folder=admin / "logs", **owner)

    def test_empty_folder_is_filled_and_trusted(self, hooks: Hooks, tmp_path: Path) -> None:
        """Owner and modes are those that the check at a server's start accepts."""
        copied = copy_sample_hooks(hooks, tmp_path / "data")
        assert {"as-root.sh", "as-user.sh"} <= set(copied)
        for name in copied:
            found = (hooks.folder / name).stat()
            assert (found.st_uid, found.st_gid) == (hooks.admin_uid, hooks.admin_gid)
            assert found.st_mode & 0o7777 == 0o775
        assert hooks.folder.stat().st_mode & 0o7777 == 0o2775
        assert hooks.folder.parent.stat().st_mode & 0o7777 == 0o755
        assert hooks.log_folder.stat().st_mode & 0o7777 == 0o750

    def test_second_time_nothing_is_touched(self, hooks: Hooks, tmp_path: Path) -> None:
        copy_sample_hooks(hooks, tmp_path / "data")
        (hooks.folder / "as-root.sh").unlink()
        (hooks.folder / "as-user.sh").write_text("# mine\n")
        assert copy_sample_hooks(hooks, tmp_path / "data") == []
        assert [path.name for path in hooks.folder.iterdir()] == ["as-user.sh"]
        assert (hooks.folder / "as-user.sh").read_text() == "# mine\n"

    def test_folder_of_the_operator_is_left_alone(self, hooks: Hooks, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        elsewhere = hooks.model_copy(update={"folder": tmp_path / "elsewhere"})
        assert copy_sample_hooks(elsewhere, tmp_path / "data") == []
        assert list((tmp_path / "elsewhere").iterdir()) == []
