"""The small modules around the spawner: report, records, profiles, homes, shares, limits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_config.people import Person
from hub_config.settings import (
    DirectoryHome,
    Hooks,
    Limits,
    NfsHome,
    Profile,
    Settings,
    VolumeShare,
)
from spawner import diagnosis
from spawner.channels import Image, can_wait, chain_of
from spawner.containers import confine
from spawner.homes import HomeError, check_directory, nfs_options
from spawner.hooks import MOST_BYTES, HookReport, keep_hook_logs
from spawner.profiles import (
    OptionsRefused,
    allowed_profiles,
    choose_profile,
    options_from_form,
    render_form,
)
from spawner.records import REPORT, Record, Records
from spawner.runtimes import Runtimes, on_tmpfs
from spawner.shares import extra_groups, share_mount, visible_shares

OPEN = Profile(name="small", title="Small <b>", description="For everyone & more.")
CLOSED = Profile(name="big", groups=("tas",))


def line(**fields: Any) -> bytes:
    return (
        json.dumps({"step": "as-root", "state": "done", "message": "Fine.", **fields}).encode()
        + b"\n"
    )


def test_report_is_read_as_it_grows(tmp_path: Path) -> None:
    """Each step is told once, and half a line waits for its other half."""
    path = tmp_path / REPORT
    report = HookReport(path)
    assert report.read_new() == []
    path.write_bytes(line() + line(state="running")[:10])
    assert [step.state for step in report.read_new()] == ["done"]
    path.write_bytes(line() + line(state="running"))
    assert [step.state for step in report.read_new()] == ["running"]


@pytest.mark.parametrize(
    "bad",
    [
        b"x\n",
        b"[]\n",
        b"{}\n",
        b"null\n",
        b"[" * 5000 + b"\n",
        line(step=1),
        line(state="odd"),
        line(state=["done"]),
        line(state={}),
        line(message=7),
    ],
)
def test_report_survives_garbage(tmp_path: Path, bad: bytes) -> None:
    """A line that is no step is passed over; the next one counts."""
    path = tmp_path / REPORT
    path.write_bytes(bad + line(state="failed", message="No\x1b[31m."))
    report = HookReport(path)
    assert [step.message for step in report.read_new()] == ["No [31m."]
    assert report.refusal() == "No [31m."


def test_report_follows_no_link_and_is_bounded(tmp_path: Path) -> None:
    """A server's root cannot make the hub read another file, or read for ever."""
    secret = tmp_path / "secret"
    secret.write_bytes(line())
    (tmp_path / REPORT).symlink_to(secret)
    assert HookReport(tmp_path / REPORT).read_new() == []
    flood = tmp_path / "flood"
    flood.write_bytes(line() * 10000)
    report = HookReport(flood)
    assert 0 < len(report.read_new()) <= 200
    assert report.read_new() == []
    assert report._offset <= MOST_BYTES
    os.mkfifo(tmp_path / "fifo")
    assert HookReport(tmp_path / "fifo").read_new() == []


def record(server_id: str = "alice") -> Record:
    return Record(
        server_id, "t:1", "alice", "", "c", "sha256:1", "", "p", [{"Type": "bind"}], "tok3n"
    )


def test_record_survives_and_is_private(tmp_path: Path) -> None:
    """What was written is read again; nobody else may read it; its token is in no repr."""
    records = Records(tmp_path)
    records.write(record())
    assert records.read("alice") == record()
    assert records.path("alice").stat().st_mode & 0o777 == 0o600
    assert "tok3n" not in repr(record())
    records.path("alice").write_text("{")
    assert records.read("alice") is None


@pytest.fixture
def runtimes(tmp_path: Path) -> Iterator[Runtimes]:
    made = Runtimes(tmp_path / "run", 1024)
    yield made
    for runtime_id in made.ids():
        made.close(runtime_id)


def test_runtime_directory_is_new_for_each_start(tmp_path: Path, runtimes: Runtimes) -> None:
    """A start never sees what was left there, not even trees, and links lead nowhere."""
    path = runtimes.open("alice")
    assert path.stat().st_mode & 0o777 == 0o700
    (path / REPORT).write_bytes(line())
    assert not (runtimes.open("alice") / REPORT).exists()
    (tmp_path / "kept").write_text("somebody's")
    (path / "x" / "y").mkdir(parents=True)
    (path / "x" / "link").symlink_to(tmp_path)
    runtimes.close("alice")
    assert runtimes.ids() == []
    assert (tmp_path / "kept").read_text() == "somebody's"


def test_one_server_cannot_fill_the_memory_of_others(runtimes: Runtimes) -> None:
    """Each has a small tmpfs of its own: bytes and files are bounded, and all of it goes."""
    mine, other = runtimes.open("alice"), runtimes.open("bob")
    assert on_tmpfs(mine)
    with pytest.raises(OSError, match="No space"):
        (mine / "much").write_bytes(bytes(2 * 2**20))
    with pytest.raises(OSError, match="No space"):
        for number in range(1000):
            (mine / str(number)).touch()
    (other / REPORT).write_bytes(line() * 1000)
    runtimes.close("alice")
    assert runtimes.ids() == ["bob"]


def test_what_was_left_is_removed_whatever_it_is(runtimes: Runtimes) -> None:
    """Where nothing could be mounted trees of any depth go, too."""
    plain = runtimes.path("alice")
    plain.mkdir(parents=True)
    deep = os.open(plain, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=deep)
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)
    runtimes.close("alice")
    assert runtimes.ids() == []


def kept(tmp_path: Path, text: str = "new") -> tuple[Hooks, Path]:
    """Return hooks whose log folder is there, and a runtime folder with a log in it."""
    hooks = Hooks(log_folder=tmp_path / "kept", admin_uid=999, admin_gid=996)
    source = tmp_path / "runtime"
    for folder in (hooks.log_folder, source):
        folder.mkdir()
    (source / "me-as-root.log").write_text(text)
    return hooks, source


def test_hook_log_is_moved_to_the_admins(tmp_path: Path) -> None:
    """The log takes the old one's place, is the admins' and closed to others."""
    hooks, source = kept(tmp_path)
    assert keep_hook_logs(source, hooks, "me") == []
    log = hooks.log_folder / "me-as-root.log"
    found = log.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (999, 996, 0o640)
    assert log.read_text() == "new"
    assert list(source.iterdir()) == []


def test_hook_log_follows_no_link(tmp_path: Path) -> None:
    """Neither a link in place of the old log nor one in the container leads anywhere."""
    hooks, source = kept(tmp_path)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (hooks.log_folder / "me-as-root.log").symlink_to(victim)
    (source / "me-as-user.log").symlink_to(victim)
    (problem,) = keep_hook_logs(source, hooks, "me")
    assert "was a link" in problem
    assert (hooks.log_folder / "me-as-root.log").read_text() == "new"
    assert (hooks.log_folder / "me-as-user.log").read_text() == ""
    assert victim.read_text() == "precious"
    (tmp_path / "elsewhere").symlink_to(source)
    assert keep_hook_logs(tmp_path / "elsewhere", hooks, "me") == []


def test_hook_log_without_a_folder(tmp_path: Path) -> None:
    """A log that cannot be kept is said in words."""
    hooks, source = kept(tmp_path, "x" * 3_000_000)
    assert keep_hook_logs(source, hooks, "me") == []
    assert (hooks.log_folder / "me-as-root.log").stat().st_size <= 1025 * 1024
    (source / "me-as-root.log").write_text("new")
    gone = hooks.model_copy(update={"log_folder": tmp_path / "gone"})
    (problem,) = keep_hook_logs(source, gone, "me")
    assert "could not be kept" in problem


@pytest.mark.parametrize(
    ("config", "chain"),
    [
        ({"Labels": {"org.labhub.image": "notebook"}}, "labhub"),
        (
            {"Env": ["NB_USER=jovyan"], "Entrypoint": ["tini", "-g", "--", "start.sh"]},
            "docker-stacks",
        ),
        (
            {"Env": ["NB_USER=jovyan"], "Entrypoint": ["tini"], "Cmd": ["start-notebook.sh"]},
            "docker-stacks",
        ),
        ({"Cmd": ["start.sh"]}, "none"),
        ({"Entrypoint": None, "Cmd": None, "Env": None, "Labels": None}, "none"),
    ],
)
def test_start_chain_of_an_image(config: dict[str, Any], chain: str) -> None:
    """Only an image that is known to drop root's rights is started as root."""
    assert chain_of(config) == chain


@pytest.mark.parametrize(
    ("label", "entry_point", "waits"),
    [
        ("1", ["tini", "-g", "--", "/opt/labhub/startup_scripts/start.sh"], True),
        ("2", ["tini", "-g", "--", "/opt/labhub/startup_scripts/start.sh"], False),
        ("1", ["/mine.sh"], False),
        ("1", None, False),
    ],
)
def test_image_that_can_wait(label: str, entry_point: list[str] | None, waits: bool) -> None:
    """An image waits for an owner only where it is our start chain of this version that runs."""
    config = {"Labels": {"org.labhub.waiter": label}, "Entrypoint": entry_point}
    assert can_wait(config) is waits
    assert not can_wait({"Labels": None})


def test_profiles_by_group() -> None:
    """A profile with groups is seen by their members only."""
    assert allowed_profiles([OPEN, CLOSED], {"students"}) == [OPEN]
    assert allowed_profiles([OPEN, CLOSED], {"tas"}) == [OPEN, CLOSED]


def test_form_escapes_and_marks_the_choice() -> None:
    """Texts of the settings are text; the last choice is kept; one profile needs no form."""
    form = render_form([OPEN, CLOSED], "big")
    assert "Small &lt;b&gt;" in form
    assert form.index('value="big"') < form.index("checked")
    assert render_form([OPEN], "") == ""


@pytest.mark.parametrize(
    "options",
    [
        {"image": "evil"},
        {"profile": "big"},
        {"profile": ["small"]},
        {"profile": {"a": 1}},
        {"profile": float("nan")},
        {"profile": None},
        {"profile": "small", "mounts": []},
        {"__jupyterhub_bytes__": "x"},
        ["profile"],
        "small",
        7,
    ],
)
def test_options_that_are_refused(options: Any) -> None:
    """Only the name of a visible profile gets through, whatever the API was sent."""
    with pytest.raises(OptionsRefused):
        choose_profile(options, [OPEN])


def test_options_that_are_allowed() -> None:
    """No choice means the first profile."""
    assert choose_profile({}, [OPEN, CLOSED]) == OPEN
    assert choose_profile(options_from_form({"profile": ["big"]}), [OPEN, CLOSED]) == CLOSED
    with pytest.raises(OptionsRefused, match="Unknown choice: image"):
        options_from_form({"image": ["x"]})
    with pytest.raises(OptionsRefused, match="no profile"):
        choose_profile({}, [])


def test_home_is_made_for_its_person(tmp_path: Path) -> None:
    """A new home is 0700 and its person's; the next start finds it as it is."""
    home = DirectoryHome(folder=tmp_path / "homes")
    me = Person("t:1", "me", "me", os.getuid() + 54321)
    check_directory(home, me)
    check_directory(home, me)
    found = (tmp_path / "homes" / "me").stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (me.uid, 0o700)


def unread(path: Path) -> tuple[int, ...]:
    """Return the state of a path that only a write changes: to look into a folder is allowed."""
    found = path.lstat()
    return (found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns)


@pytest.mark.parametrize("kind", ["other owner", "link", "file"])
def test_home_of_somebody_else_is_not_opened(tmp_path: Path, kind: str) -> None:
    """What is not the person's own directory is refused, and stays as it is."""
    path = tmp_path / "me"
    if kind == "link":
        path.symlink_to("/etc")
    elif kind == "file":
        path.touch()
    else:
        path.mkdir()
        os.chown(path, 12345, 12345)
    before = unread(path)
    with pytest.raises(HomeError, match="belongs to somebody else"):
        check_directory(DirectoryHome(folder=tmp_path), Person("t:1", "me", "me", 54321))
    assert unread(path) == before


def test_home_whose_making_was_cut_off(tmp_path: Path) -> None:
    """An empty directory of root's becomes the person's; one with something in it does not."""
    home, me = DirectoryHome(folder=tmp_path), Person("t:1", "me", "me", 54321)
    (tmp_path / "me").mkdir()
    check_directory(home, me)
    assert (tmp_path / "me").stat().st_uid == me.uid
    other = Person("t:2", "other", "other", 54322)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(HomeError, match="belongs to somebody else"):
        check_directory(home, other)


def test_home_that_others_could_read_is_closed(tmp_path: Path) -> None:
    """A home is 0700, whatever its person made of it."""
    home, me = DirectoryHome(folder=tmp_path), Person("t:1", "me", "me", 54321)
    check_directory(home, me)
    (tmp_path / "me").chmod(0o777)
    check_directory(home, me)
    assert (tmp_path / "me").stat().st_mode & 0o7777 == 0o700


def test_home_is_never_made_on_the_root_disk(tmp_path: Path) -> None:
    """With require_mount nobody is started, and nothing made, while the disk is not mounted."""
    home = DirectoryHome(folder=tmp_path / "ebs", require_mount=True)
    for folder in (home.folder, Path("/dev/shm")):  # a file system above does not count
        place = home.model_copy(update={"folder": folder / "ebs"})
        with pytest.raises(HomeError, match="not connected"):
            check_directory(place, Person("t:1", "me", "me", 54321))
        assert not place.folder.exists()


def test_nfs_options() -> None:
    """The engine's local driver gets what mount.nfs wants; another type is passed on as it is."""
    nfs = NfsHome(kind="nfs", server="nas", export="/srv/", options="hard")
    assert nfs_options(nfs, "me") == {"type": "nfs", "o": "addr=nas,hard", "device": ":/srv/me"}
    nfs4 = nfs.model_copy(update={"mount_type": "nfs4"})
    assert nfs_options(nfs4) == {"type": "nfs4", "o": "addr=nas,hard", "device": ":/srv"}
    bind = NfsHome(kind="nfs", server="x", export="/srv", options="bind", mount_type="none")
    assert nfs_options(bind) == {"type": "none", "o": "bind", "device": "/srv"}


def test_shares_by_group() -> None:
    """The admins' share is read-only for students and writable, with its gid, for admins."""
    shares = Settings().share
    student, admin = (share_mount("0a", shares[0], {group}) for group in ("students", "admins"))
    assert (student["ReadOnly"], admin.get("ReadOnly", False)) == (True, False)
    assert extra_groups(shares, {"admins"}) == {"admin": 996}
    assert extra_groups(shares, {"students"}) == {}
    hidden = VolumeShare(name="x", target="/x", kind="volume", volume="v", groups=("tas",))
    assert visible_shares([hidden], {"students"}) == []


def test_limits_reach_the_engine() -> None:
    """A server is bounded and confined; sudo is the only way to weaken that."""
    limits, plain, sudo = Limits(), Profile(name="a", memory_gib=1), Profile(name="b", sudo=True)
    config = confine(limits, plain, Image("id", "", "labhub"))
    assert config["auto_remove"] is False
    assert config["cap_drop"] == ["ALL"]
    assert "NET_RAW" not in config["cap_add"]
    assert config["security_opt"] == ["no-new-privileges:true"]
    assert config["mem_limit"] == config["memswap_limit"] == 2**30
    assert confine(limits, sudo, Image("id", "", "labhub"))["security_opt"] == []
    bare = confine(limits, sudo, Image("id", "", "none"))
    assert (bare["cap_add"], bare["security_opt"]) == ([], ["no-new-privileges:true"])


@pytest.mark.parametrize(
    ("state", "refusal", "reason"),
    [
        ({"OOMKilled": True, "ExitCode": 137}, "", "out_of_memory"),
        ({"ExitCode": 78}, "The hook as-root.sh failed.", "hook_failed"),
        ({"ExitCode": 1, "Error": "x"}, "", "container_ended"),
    ],
)
def test_diagnosis(state: dict[str, Any], refusal: str, reason: str) -> None:
    """A container that ended gets its cause, in words with a next step."""
    found = diagnosis.of_ended_container(state, refusal, 2)
    assert found.reason == reason
    assert refusal in found.user
    assert refusal or "{contact}" in found.user
