"""The checks of doctor on real folders and files, each problem with its fix."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.checks import Check
from cli.hub_checks import (
    check_homes,
    check_hook_logs,
    check_hooks,
    check_processes,
    check_runtime,
    check_shares,
    check_state,
)
from cli.linters import run_linters
from cli.machine_checks import check_engine
from cli.standby_checks import check_standbys
from cli.steps import Steps
from hub_config.settings import (
    Engine,
    Hooks,
    Profile,
    Settings,
    Standby,
    VolumeHome,
    VolumeShare,
)
from hub_config.state import State
from tests.support.hub import free_ports

ENGINE = {
    "ServerVersion": "20.10.24+dfsg1",
    "Driver": "overlay2",
    "MemoryLimit": True,
    "PidsLimit": True,
    "CpuCfsQuota": True,
    "CgroupVersion": "2",
    "DockerRootDir": "/nowhere",
}


def problems(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks if not check.is_well}


class TestState:
    @pytest.fixture
    def state(self, tmp_path: Path) -> State:
        return State(tmp_path / "data").prepare()

    def test_state_as_it_is_made_is_well(self, state: State) -> None:
        assert problems(list(check_state(state))) == {}

    def test_state_that_was_never_made_is_well_and_stays_so(self, tmp_path: Path) -> None:
        assert problems(list(check_state(State(tmp_path / "none")))) == {}
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize(
        "name", [".", "cli-token", "servers", "servers/x.json", "logs/hub.log"]
    )
    def test_what_is_open_to_others_is_named_with_the_command(
        self, state: State, name: str
    ) -> None:
        path = state.folder / name
        if not path.exists():
            path.write_text("{}")
        path.chmod(path.stat().st_mode & 0o700 | 0o040)
        found = problems(list(check_state(state)))
        assert str(path) in found["state"].message
        assert found["state"].fix == f"chmod go= {path}"

    def test_folders_of_admins_and_homes_may_be_open(self, state: State) -> None:
        """The data folder above keeps everybody out of them."""
        for name in ("admin", "homes"):
            (state.folder / name).mkdir(mode=0o755)
        assert problems(list(check_state(state))) == {}


class TestHooks:
    """By the very rules of the start chain."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        folder = tmp_path / "start"
        folder.mkdir(mode=0o755)
        for name in ("as-root.sh", "as-user.sh"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        owner = {"admin_uid": os.getuid() or 999, "admin_gid": os.getgid() or 996}
        return Settings(hooks=Hooks(folder=folder, log_folder=tmp_path / "logs", **owner))

    def test_trusted_hooks_are_well(self, settings: Settings) -> None:
        assert problems(list(check_hooks(settings))) == {}

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda hook: hook.chmod(0o757),
            lambda hook: (hook.unlink(), hook.symlink_to("/etc/shadow")),
            lambda hook: (hook.unlink(), hook.mkdir()),
            lambda hook: os.link(hook, hook.with_name("second-name")),
            lambda hook: hook.parent.chmod(0o777),
        ],
        ids=["writable", "link", "folder", "hard link", "folder writable"],
    )
    def test_hook_that_would_not_be_run_is_a_problem(
        self, settings: Settings, spoil: Callable[[Path], Any]
    ) -> None:
        spoil(settings.hooks.folder / "as-root.sh")
        found = problems(list(check_hooks(settings)))
        assert found["hooks"].fix

    @pytest.mark.parametrize("name", [".", "as-root.sh"])
    def test_fix_is_a_command_for_the_very_path(self, settings: Settings, name: str) -> None:
        path = settings.hooks.folder / name
        path.chmod(0o757)
        assert problems(list(check_hooks(settings)))["hooks"].fix == f"chmod o-w {path}"

    def test_missing_hook_is_a_problem_only_where_it_is_required(self, settings: Settings) -> None:
        (settings.hooks.folder / "as-user.sh").unlink()
        assert problems(list(check_hooks(settings))) == {}
        hooks = settings.hooks.model_copy(update={"as_user": "required"})
        found = problems(list(check_hooks(settings.model_copy(update={"hooks": hooks}))))
        assert "as-user.sh is required" in found["hooks"].message


def test_hook_logs_need_a_folder_and_no_link(tmp_path: Path) -> None:
    """Before the first start it may be missing; a link there is not followed."""
    logs = tmp_path / "data" / "admin" / "logs"
    found = {"hub": {"data_folder": str(tmp_path / "data")}, "hooks": {"log_folder": str(logs)}}
    settings = Settings.model_validate(found)

    def fix() -> str:
        return "".join(check.fix for check in check_hook_logs(settings))

    assert fix() == ""
    logs.parent.mkdir(parents=True)
    assert "./labhub up" in fix()
    logs.symlink_to(tmp_path)
    assert fix().startswith(f"mv {logs} ")
    logs.unlink()
    logs.write_text("")
    assert fix().startswith(f"mv {logs} ")
    logs.unlink()
    logs.mkdir()
    assert fix() == ""


def test_ports_of_a_hub_that_was_never_started(tmp_path: Path) -> None:
    """Without a network there is no gateway: its port is not judged, and nothing is made."""
    port, hub_port, proxy_api = free_ports(3)
    folder = tmp_path / "data"
    hub = {"port": port, "hub_port": hub_port, "proxy_api_port": proxy_api}
    settings = Settings.model_validate({"hub": hub | {"data_folder": str(folder)}})
    checks = {check.name: check for check in check_processes(settings, State(folder))}
    assert checks["ports"].message == f"free: {port}, {proxy_api}"
    assert not folder.exists()


def test_homes_without_their_file_system_are_a_problem(tmp_path: Path) -> None:
    """A folder that is missing, or lies on the root disk, is not where homes may be written."""
    home = {"kind": "directory", "folder": str(tmp_path / "not-there"), "require_mount": True}
    found = problems(list(check_homes(Settings.model_validate({"home": home}))))
    assert found["homes"].fix.startswith("mount it")


def test_share_without_its_folder_is_a_problem(tmp_path: Path) -> None:
    """The engine makes no folder for a mount, so every start would fail."""
    share = {"name": "data", "target": "/data", "folder": str(tmp_path / "data")}
    settings = Settings.model_validate({"share": [share]})
    assert problems(list(check_shares(settings)))["shares"].fix.startswith("mkdir -p")
    (tmp_path / "data").mkdir()
    assert problems(list(check_shares(settings))) == {}


def test_runtime_folder_on_a_disk_is_a_problem(tmp_path: Path) -> None:
    def check(folder: Path) -> dict[str, Check]:
        hub = Settings().hub.model_copy(update={"runtime_folder": folder})
        return problems(list(check_runtime(Settings().model_copy(update={"hub": hub}))))

    assert check(Path("/dev/shm/not-made-yet")) == {}
    assert check(Path("/dev/shm")) == {}
    assert check(Path("/proc"))["runtime"].fix.startswith("mount -t tmpfs")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, ""),
        ({"ServerVersion": "19.03.5"}, "engine"),
        ({"ServerVersion": "29.1.3"}, ""),
        ({"Driver": "vfs"}, "storage"),
        ({"MemoryLimit": False}, "limits"),
        ({"PidsLimit": None}, "limits"),
    ],
)
def test_engine_that_cannot_keep_our_promises_is_a_problem(
    change: dict[str, Any], name: str
) -> None:
    found = problems(list(check_engine(Settings(), ENGINE | change)))
    assert set(found) == ({name} if name else set())


def test_linters_that_find_something_are_named(tmp_path: Path) -> None:
    """What they print is shown, and every linter runs although the first one fails."""
    (tmp_path / "bad.py").write_text("import os\n")
    (tmp_path / "bad").write_text("#!/bin/sh\necho $1\n")
    console = Console(width=200)
    with console.capture() as captured:
        failed = run_linters(Steps(console), tmp_path)
    assert {"ruff check", "shellcheck"} <= set(failed)
    assert "ruff format" not in failed
    text = captured.get()
    assert "F401" in text
    assert "SC2086" in text


class TestStandbys:
    """Whether servers can wait on this machine: a cold start is no fault, and it is said why."""

    def messages(self, settings: Settings, **info: Any) -> list[Check]:
        return list(check_standbys(settings, {**ENGINE, **info}))

    def test_where_all_is_there_they_wait(self) -> None:
        """As root beside an engine of this machine, for homes that are directories."""
        (found,) = self.messages(Settings())
        assert (found.message, found.fix) == ("2 servers wait for their owners", "")

    @pytest.mark.parametrize(
        ("option", "reason"), [("name=rootless", "rootless"), ("name=userns", "maps user ids")]
    )
    def test_engines_that_map_users(self, option: str, reason: str) -> None:
        (found,) = self.messages(Settings(), SecurityOptions=["name=seccomp", option])
        assert "every start is a cold one" in found.message
        assert reason in found.message
        assert found.is_well

    def test_settings_without_standbys(self) -> None:
        """An engine elsewhere, homes that cannot be bound late, and switching off: told apart."""
        remote = Settings(engine=Engine(socket="tcp://192.0.2.1:2376"))
        assert "on another machine" in self.messages(remote)[0].message
        volumes = Settings(home=VolumeHome(kind="volume"))
        assert "homes of kind volume" in self.messages(volumes)[0].message
        off = Settings(standby=Standby(memory_gib=0))
        assert "switched off" in self.messages(off)[0].message

    def test_memory_that_is_too_small_has_a_fix(self) -> None:
        profile = Profile(name="a", standbys=20)
        (found,) = self.messages(Settings(profile=(profile,)))
        assert found.fix == "set memory_gib = 2 in [standby]"

    def test_shares_that_differ_between_people(self) -> None:
        """A share that the engine must mount lets those start cold for whom it is another one."""
        share = VolumeShare(name="x", target="/x", kind="volume", volume="v", read_write=("tas",))
        found = self.messages(Settings(share=(share,)))
        assert "share x is no directory of this host: tas start cold" in found[-1].message
