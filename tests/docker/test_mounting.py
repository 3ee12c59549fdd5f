"""Folders that are bound into a container that runs already: flags, links, the right container."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from spawner.mounting import FAILURES_BORNE, Bind, Mounter, MountError, check_sources
from tests.support.containers import RUN_LABEL


@dataclass
class Running:
    """A container that waits, with a runtime directory."""

    engine: docker.APIClient
    id: str
    runtime: Path

    @property
    def pid(self) -> int:
        return int(self.engine.inspect_container(self.id)["State"]["Pid"])

    def run(self, script: str) -> str:
        made = self.engine.exec_create(self.id, ["/bin/sh", "-c", script])
        return str(self.engine.exec_start(made["Id"]).decode())


@pytest.fixture
def running(engine: docker.APIClient, stub_image: str, tmp_path: Path) -> Iterator[Running]:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    host = engine.create_host_config(
        network_mode="none", binds=[f"{runtime}:/run/labhub"], cap_drop=["ALL"]
    )
    made = engine.create_container(
        stub_image, labels={RUN_LABEL: str(os.getpid())}, host_config=host
    )
    engine.start(made["Id"])
    yield Running(engine, made["Id"], runtime)
    engine.remove_container(made["Id"], force=True)


def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir(parents=True)
    (path / "file").write_text("kept")
    return path


def mounts_of(path: Path) -> int:
    """Return how often a path stands in the host's list of mounts."""
    return Path("/proc/self/mountinfo").read_text().count(str(path))


@pytest.fixture
def share_with_mount(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file system mounted below it."""
    share = folder(tmp_path, "share")
    below = folder(tmp_path, "share/below")
    subprocess.run(["mount", "-t", "tmpfs", "labhub-test", str(below)], check=True)
    yield share
    subprocess.run(["umount", "-l", str(below)], check=True)


async def test_flags_and_places(running: Running, tmp_path: Path) -> None:
    """A bind is there at once, nosuid and nodev, read-only where asked, and on the host nothing is
    mounted; root inside cannot undo it."""
    home, share = folder(tmp_path, "home"), folder(tmp_path, "share")
    before = mounts_of(tmp_path)
    binds = [Bind(str(home), "/home/me", False), Bind(str(share), "/data/share", True)]
    await Mounter().bind(running.pid, running.runtime, binds)
    assert running.run("cat /home/me/file /data/share/file") == "keptkept"
    running.run("echo new > /home/me/file; echo new > /data/share/file; umount /data/share")
    assert (home / "file").read_text() == "new\n"
    assert (share / "file").read_text() == "kept"
    lines = running.run("busybox grep -E ' (/home/me|/data/share) ' /proc/self/mountinfo")
    options = {line.split()[4]: set(line.split()[5].split(",")) for line in lines.splitlines()}
    assert options.keys() == {"/home/me", "/data/share"}
    assert all({"nosuid", "nodev"} <= flags for flags in options.values())
    assert ["ro" in options[place] for place in ("/home/me", "/data/share")] == [False, True]
    assert mounts_of(tmp_path) == before


async def test_what_is_mounted_below_is_as_closed(running: Running, share_with_mount: Path) -> None:
    """A file system below a read-only share is read-only, too."""
    binds = [Bind(str(share_with_mount), "/share", True)]
    await Mounter().bind(running.pid, running.runtime, binds)
    assert "read-only" in running.run("echo new > /share/below/file").lower()
    assert list((share_with_mount / "below").iterdir()) == []


async def test_links_that_anybody_may_have_made(running: Running, tmp_path: Path) -> None:
    """A link in a folder of others is refused, in the middle of a path too, and no link inside the
    container is followed; a link that only root can have made is an operator's."""
    folder(tmp_path, "mine/inner")
    (tmp_path / "operators").symlink_to(tmp_path / "mine")
    await Mounter().bind(
        running.pid, running.runtime, [Bind(f"{tmp_path}/operators/inner", "/a", True)]
    )
    assert running.run("cat /a/file") == "kept"
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o2775)
    open_to_all.chmod(0o2775)
    (open_to_all / "evil").symlink_to("/")
    for source in (f"{open_to_all}/evil", f"{open_to_all}/evil/etc"):
        with pytest.raises(MountError, match="anybody") as refused:
            await Mounter().bind(running.pid, running.runtime, [Bind(source, "/b", True)])
        assert refused.value.fault == "refused"
        with pytest.raises(OSError, match="anybody"):
            check_sources([source])
    running.run("busybox ln -s /run/labhub /c")
    with pytest.raises(MountError):
        await Mounter().bind(
            running.pid, running.runtime, [Bind(f"{tmp_path}/mine", "/c/d", False)]
        )
    assert list(running.runtime.iterdir()) == []


async def test_errors_say_what_is_wrong(running: Running, tmp_path: Path) -> None:
    """A missing folder, no folder, and a container that is not the expected one are told apart;
    nothing of them is mounted."""
    home = folder(tmp_path, "home")
    with pytest.raises(MountError, match="missing") as missing:
        await Mounter().bind(
            running.pid, running.runtime, [Bind(f"{tmp_path}/none", "/home/me", False)]
        )
    assert missing.value.fault == "missing"
    with pytest.raises(MountError, match="no folder"):
        await Mounter().bind(
            running.pid, running.runtime, [Bind(f"{home}/file", "/home/me", False)]
        )
    other = folder(tmp_path, "other")
    for pid, runtime in ((running.pid, other), (os.getpid(), running.runtime), (2**22, other)):
        with pytest.raises(MountError):
            await Mounter().bind(pid, runtime, [Bind(str(home), "/home/me", False)])
    assert "/home/me" not in running.run("cat /proc/self/mountinfo")
    with pytest.raises(MountError, match="ValueError"):
        await Mounter().bind(running.pid, running.runtime, [Bind(str(home), "/a\0b", False)])


async def test_where_it_never_works_it_is_given_up(running: Running, tmp_path: Path) -> None:
    """A few failures in succession, with no success between, end the trying; a fault of one
    person's folder does not count."""
    home = folder(tmp_path, "home")
    mounter = Mounter()
    mounter.why_not = ""
    binds, missing = [Bind(str(home), "/home/me", False)], [Bind(f"{home}/none", "/x", False)]
    for runtime, asked in (
        *[(home, binds)] * (FAILURES_BORNE - 1),
        (running.runtime, binds),
        *[(running.runtime, missing)] * FAILURES_BORNE,
        *[(home, binds)] * (FAILURES_BORNE - 1),
    ):
        with contextlib.suppress(MountError):
            await mounter.bind(running.pid, runtime, asked)
    assert mounter.works
    with pytest.raises(MountError):
        await mounter.bind(running.pid, home, binds)
    assert not mounter.works
    assert "in succession" in mounter.why_not
