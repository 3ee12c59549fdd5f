"""The kinds of homes and shares, on the real engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from hub_config.people import People
from tests.docker.conftest import HubMaker
from tests.support.hub import RunningHub
from tests.support.servers import run_in

SHARES = """
[[share]]
name = "nfs"
folder = "nfs"
target = "/nfs"
read_write = ["admins"]
[[share]]
name = "admin"
folder = "data/admin"
target = "/home/admin"
read_write = ["admins"]
gid = 996
"""


def survives_restart(hub: RunningHub, engine: docker.APIClient, role: str = "student") -> None:
    """Write a file, restart the server, find the file; the home is the person's and closed."""
    visitor = hub.sign_in(role)
    events = visitor.start_server()
    assert events[-1].get("ready"), events
    run_in(hub, engine, visitor.name, "echo mine > ~/file && test -O ~")
    visitor.stop_server()
    events = visitor.start_server()
    assert events[-1].get("ready"), events
    assert run_in(hub, engine, visitor.name, "cat ~/file; stat -c %a ~") == "mine\n700\n"
    visitor.stop_server()


def test_volume(make_hub: HubMaker, engine: docker.APIClient) -> None:
    """Homes of kind `volume` survive a restart and are labelled as this hub's."""
    hub = make_hub('[home]\nkind = "volume"\n')
    survives_restart(hub, engine)
    (volume,) = engine.volumes({"label": f"org.labhub.hub={hub.state.hub_id}"})["Volumes"]
    assert volume["Name"] == f"labhub-{hub.state.hub_id}-home--student"


def test_nfs(make_hub: HubMaker, engine: docker.APIClient, tmp_path: Path) -> None:
    """Homes on a file server: one directory per person, made by the helper, 0700 and theirs."""
    export = tmp_path / "export"
    export.mkdir()
    # this kernel may have no NFS client: the same volume driver with a bind stands in
    hub = make_hub(
        f'[home]\nkind = "nfs"\nserver = "unused"\nexport = "{export}"\n'
        'mount_type = "none"\noptions = "bind"\n'
    )
    survives_restart(hub, engine)
    survives_restart(hub, engine, "ta")
    person = People(hub.state.people_file).find("student")
    assert person
    found = (export / person.slug).stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (person.uid, 0o700)
    assert sorted(path.name for path in export.iterdir()) == ["student", "ta"]


def test_nfs_directory_of_somebody_else(
    make_hub: HubMaker, engine: docker.APIClient, tmp_path: Path
) -> None:
    """A directory on the file server that belongs to another uid is not opened, and not changed."""
    taken = tmp_path / "export" / "student"
    taken.mkdir(parents=True)
    (taken / "secret").write_text("another's")
    hub = make_hub(
        f'[home]\nkind = "nfs"\nserver = "unused"\nexport = "{taken.parent}"\n'
        'mount_type = "none"\noptions = "bind"\n'
    )
    events = hub.sign_in("student").start_server()
    assert "files" in events[-1]["message"]
    assert events[-1].get("ready") is None
    assert (taken.stat().st_uid, [path.name for path in taken.iterdir()]) == (0, ["secret"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system on a loop device, mounted; unmounted afterwards."""
    image, point = tmp_path / "disk.img", tmp_path / "disk"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True)
    yield point
    subprocess.run(["umount", str(point)], check=False, capture_output=True)


def test_require_mount(make_hub: HubMaker, engine: docker.APIClient, disk: Path) -> None:
    """With `require_mount` a disk that is not mounted stops every start, and nothing is written
    where it should be; once it is mounted again, all is as it was."""
    hub = make_hub(f'[home]\nfolder = "{disk}"\nrequire_mount = true\n')
    survives_restart(hub, engine)
    subprocess.run(["umount", str(disk)], check=True)
    student = hub.sign_in("student")
    events = student.start_server()
    assert "not connected" in events[-1]["message"]
    assert list(disk.iterdir()) == []
    subprocess.run(["mount", "-o", "loop", str(disk.with_name("disk.img")), str(disk)], check=True)
    assert student.start_server()[-1].get("ready")
    assert run_in(hub, engine, "student", "cat ~/file") == "mine\n"
    student.stop_server()


def test_home_that_cannot_be_opened(make_hub: HubMaker) -> None:
    """A directory in the place of a home that is somebody else's is refused in words."""
    hub = make_hub()
    student = hub.sign_in("student")
    home = hub.settings.home.folder / "student"
    home.mkdir(parents=True)
    (home / "file").touch()
    events = student.start_server()
    assert "belongs to somebody else" in events[-1]["message"]
    assert "chown -R" in hub.log()
    assert "chown -R" not in events[-1]["message"]


def test_shares(make_hub: HubMaker, engine: docker.APIClient) -> None:
    """Students read the shares and cannot write; admins write, also where a gid opens the door."""

    def prepare(folder: Path) -> None:
        (folder / "nfs").mkdir(mode=0o777)
        (folder / "nfs").chmod(0o777)
        (folder / "nfs" / "data.csv").write_text("1,2\n")
        start = folder / "data" / "admin" / "start"
        start.mkdir(parents=True)
        subprocess.run(["chown", "-R", "999:996", str(start.parent)], check=True)
        start.chmod(0o2775)

    hub = make_hub(SHARES, prepare)
    student, admin = hub.sign_in("student"), hub.sign_in("admin")
    assert student.start_server()[-1].get("ready")
    assert admin.start_server()[-1].get("ready")
    assert run_in(hub, engine, student.name, "cat /nfs/data.csv") == "1,2\n"
    for target in ("/nfs", "/home/admin", "/home/admin/start"):
        script = f"touch {target}/mine 2>&1 || echo refused"
        assert run_in(hub, engine, student.name, script).endswith("refused\n")
    run_in(hub, engine, admin.name, "echo 3,4 > /nfs/more.csv")
    assert run_in(hub, engine, student.name, "cat /nfs/more.csv") == "3,4\n"
    groups = run_in(hub, engine, admin.name, "cat /proc/1/task/1/children", user="0").split()
    status = run_in(hub, engine, admin.name, f"grep Groups /proc/{groups[0]}/status", user="0")
    assert "996" in status.split()
    student.stop_server()
    admin.stop_server()
