"""Root never trusts a path that others can write: hooks, logs and the folders of both."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.containers import ADMIN, Host

GOOD = "#!/bin/sh\necho good\n"


def link(path: Path) -> None:
    """Put a symbolic link to the victim in a file's place."""
    path.unlink()
    path.symlink_to("/victims/victim")


def hard_link(path: Path) -> None:
    """Give the file a second name."""
    os.link(path, path.with_name("second"))


def pipe(path: Path) -> None:
    """Put a named pipe in the file's place, which blocks whoever opens it."""
    path.unlink()
    os.mkfifo(path)
    os.chown(path, *ADMIN)


def device(path: Path) -> None:
    """Put a device in the file's place: reading /dev/zero never ends."""
    path.unlink()
    os.mknod(path, 0o20666, os.makedev(1, 5))


def directory(path: Path) -> None:
    """Put a directory in the file's place."""
    path.unlink()
    path.mkdir()


def unix_socket(path: Path) -> None:
    """Put a socket in the file's place."""
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def open_to_all(path: Path) -> None:
    """Let everybody write to it."""
    path.chmod(0o777)


def open_to_a_group(path: Path) -> None:
    """Let a group write to it that is not the admins'."""
    os.chown(path, 0, 30001)
    path.chmod(0o775)


def of_somebody(path: Path) -> None:
    """Give it to a user who is no admin."""
    os.chown(path, 20001, 20001)
    path.chmod(0o755)


def huge(path: Path) -> None:
    """Make it larger than any script."""
    os.truncate(path, 5 * 1024 * 1024)


@pytest.mark.parametrize("step", ["as-root", "as-user"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (link, "symbolic link"),
        (hard_link, "hard link"),
        (pipe, "named pipe"),
        (device, "device"),
        (directory, "directory"),
        (unix_socket, "socket"),
        (open_to_all, "everybody may write"),
        (open_to_a_group, "group 30001 may write"),
        (of_somebody, "belongs to user 20001"),
        (huge, "larger than"),
    ],
)
def test_a_hook_that_is_not_the_admins_is_not_run(
    host: Host, spoil: Callable[[Path], None], words: str, step: str
) -> None:
    """It counts as failed with the reason and what to do, and the server starts."""
    spoil(host.hook(f"{step}.sh", GOOD))
    ended = host.run("echo started")
    assert ended.output.strip() == "started"
    line = ended.step(step)
    assert line["state"] == "warning"
    assert words in line["message"]
    assert f"{step}.sh was not run" in line["message"]
    assert not (host.logs / f"alice-{step}.log").exists()
    assert host.victim_is_untouched()


def test_a_hook_that_is_not_trusted_but_required_refuses_the_start(host: Host) -> None:
    """A link in the place of a required hook ends the container with 78."""
    link(host.hook("as-root.sh", GOOD))
    ended = host.run("echo started", environment={"LABHUB_HOOK_AS_ROOT": "required"})
    assert (ended.exit_code, ended.output) == (78, "")
    assert ended.step("as-root")["state"] == "failed"
    assert "symbolic link" in ended.step("as-root")["message"]
    assert host.victim_is_untouched()


@pytest.mark.parametrize("spoil", [open_to_all, open_to_a_group, of_somebody])
def test_hooks_in_a_folder_of_others_are_not_run(host: Host, spoil: Callable[[Path], None]) -> None:
    """Who can write to the folder can replace a hook, whoever owns it now."""
    host.hook("as-root.sh", GOOD)
    spoil(host.start)
    ended = host.run()
    assert ended.step("as-root")["state"] == "warning"
    assert "/run/labhub/hooks" in ended.step("as-root")["message"]


@pytest.mark.parametrize("spoil", [open_to_all, of_somebody])
def test_the_folders_above_count_as_well(host: Host, spoil: Callable[[Path], None]) -> None:
    """A folder of others above the hooks' folder lets them replace all of it."""
    host.hook("as-root.sh", GOOD)
    spoil(host.start.parent)
    mounts = {"/home/admin": f"{host.start.parent}:ro"}
    ended = host.containers.run(host.image, ["true"], {"NB_USER": "alice"}, mounts)
    assert "as-root.sh was not run: " in ended.log
    assert "/home/admin" in ended.log
    assert "good" not in ended.log


def test_a_folder_that_is_a_link_is_not_followed(host: Host) -> None:
    """The hooks' folder itself must be no link, also to a folder that could be trusted."""
    host.hook("as-root.sh", GOOD)
    (host.start.parent / "start-link").symlink_to("start")
    mounts = {"/home/admin": f"{host.start.parent}:ro"}
    variables = {"LABHUB_HOOK_FOLDER": "/home/admin/start-link"}
    ended = host.containers.run(host.image, ["true"], variables, mounts)
    assert "/home/admin/start-link is a symbolic link" in ended.log
    assert "good" not in ended.log


def test_an_admins_own_file_in_the_admins_group_is_run(host: Host) -> None:
    """An admin edits hooks with an own uid: the group makes the file trusted."""
    path = host.hook("as-root.sh", GOOD)
    os.chown(path, 20055, ADMIN[1])
    path.chmod(0o664)
    assert host.run().step("as-root")["state"] == "done"


@pytest.mark.parametrize("spoil", [link, hard_link, pipe, device, unix_socket])
def test_what_stands_in_the_logs_place_is_never_written_through(
    host: Host, spoil: Callable[[Path], None]
) -> None:
    """A log that was replaced by a link or a pipe is a plain file again, and the page says so."""
    host.hook("as-root.sh", GOOD)
    log = host.logs / "alice-as-root.log"
    log.write_text("old\n")
    spoil(log)
    ended = host.run("echo started")
    assert ended.output.strip() == "started"
    assert ended.step("as-root")["state"] == "warning"
    assert "alice-as-root.log was a link or no file" in ended.step("as-root")["message"]
    assert log.is_file()
    assert not log.is_symlink()
    assert log.read_text() == "good\n"
    if spoil is hard_link:
        assert log.with_name("second").read_text() == "old\n"
    assert host.victim_is_untouched()


def test_a_log_that_is_a_directory_is_left(host: Host) -> None:
    """It cannot be replaced: the hook runs, and the page says that there is no log."""
    host.hook("as-root.sh", "#!/bin/sh\ntouch /ran\n")
    (host.logs / "alice-as-root.log").mkdir()
    ended = host.run("ls /ran")
    assert ended.output.strip() == "/ran"
    assert ended.step("as-root")["state"] == "warning"
    assert "About its log" in ended.step("as-root")["message"]


def test_a_link_in_the_place_of_the_new_log_is_removed(host: Host) -> None:
    """The name under which a log is written is no way in either."""
    host.hook("as-root.sh", GOOD)
    (host.logs / ".alice-as-root.log.new").symlink_to("/victims/victim")
    host.run()
    assert host.log("as-root") == "good\n"
    assert host.victim_is_untouched()


@pytest.mark.parametrize("spoil", [open_to_all, open_to_a_group, of_somebody])
def test_no_log_is_written_to_a_folder_of_others(host: Host, spoil: Callable[[Path], None]) -> None:
    """The hook runs, its output is dropped, and the page says why."""
    host.hook("as-root.sh", "#!/bin/sh\ntouch /ran\necho secret\n")
    spoil(host.logs)
    ended = host.run("ls /ran")
    assert ended.output.strip() == "/ran"
    assert list(host.logs.iterdir()) == []
    assert "/run/labhub/logs" in ended.step("as-root")["message"]


@contextmanager
def swapping(states: list[Callable[[], None]]) -> Iterator[None]:
    """Change a path from state to state as fast as this machine can."""
    over = threading.Event()
    failures: list[BaseException] = []

    def swap() -> None:
        try:
            while not over.is_set():
                for state in states:
                    state()
        except BaseException as error:  # the test must fail, not only the thread
            failures.append(error)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failures, failures


def run_hooks_often(host: Host, times: int) -> str:
    """Run the hooks' program again and again in one container; return its log."""
    program = "python3 -I -B /opt/labhub/startup_scripts/operator_hooks"
    loop = f"for i in $(seq {times}); do {program}; done"
    variables = {
        "NB_USER": "alice",
        "LABHUB_HOOK_FOLDER": "/home/admin/start",
        "LABHUB_LOG_FOLDER": "/home/admin/logs",
    }
    mounts = {"/home/admin": str(host.start.parent), "/victims": str(host.victims)}
    ended = host.containers.run(
        host.image, ["-c", loop], variables, mounts, entrypoint=["/bin/bash"]
    )
    assert ended.exit_code == 0, ended.log
    return ended.log


def test_a_racing_swap_of_the_hook_runs_nothing_else(host: Host) -> None:
    """A hook that changes between a good file and a link: only the good bytes are ever run."""
    hook = host.hook("as-root.sh", GOOD)
    spare = host.folder / "admin" / "spare"

    def make_link() -> None:
        spare.symlink_to("/victims/victim")
        spare.rename(hook)

    def make_good() -> None:
        spare.write_text(GOOD)
        os.chown(spare, *ADMIN)
        spare.rename(hook)
        time.sleep(0.0005)

    def make_somebodys() -> None:
        spare.write_text("#!/bin/sh\ntouch /victims/was-run\n")
        os.chown(spare, 20001, 20001)
        spare.rename(hook)

    with swapping([make_link, make_good, make_somebodys]):
        log = run_hooks_often(host, 40)
    assert "as-root.sh was not run" in log
    assert "as-root.sh is done" in log
    assert host.victim_is_untouched()


def test_a_racing_swap_of_the_logs_writes_nowhere_else(host: Host) -> None:
    """Log, its new name and its folder change to links meanwhile: no victim is ever touched."""
    host.hook("as-root.sh", "#!/bin/sh\necho good\n")
    folder, away = host.logs, host.logs.with_name("away")
    spare = host.logs.with_name("spare")

    def link_folder() -> None:
        folder.rename(away)
        folder.symlink_to("/victims")

    def put_folder_back() -> None:
        folder.unlink()
        away.rename(folder)

    def link_logs() -> None:
        for name in ("alice-as-root.log", ".alice-as-root.log.new"):
            spare.symlink_to("/victims/victim")
            spare.rename(folder / name)

    with swapping([link_logs, link_folder, put_folder_back]):
        log = run_hooks_often(host, 40)
    assert "About its log" in log
    assert host.victim_is_untouched()
