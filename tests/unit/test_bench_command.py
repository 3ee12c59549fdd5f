"""The words of `labhub bench`, and what its stock image and its hooks are made of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bench.course import make_course, use_hooks
from bench.running import mounts_below
from bench.stock_image import NOTEBOOK, read_names, read_pins, stock_context
from cli import PROJECT_FOLDER
from cli.bench import choose
from cli.errors import CommandError
from hub_config.loading import load_settings
from hub_config.settings import Build, Settings


def test_without_names_all_comparisons_run() -> None:
    assert choose([]) == ["start", "standby", "storm", "hang"]


def test_named_ones_run_once_in_their_order() -> None:
    assert choose(["hub", "hang", "start", "hang"]) == ["start", "hang", "hub"]


def test_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(CommandError, match="strom") as caught:
        choose(["start", "strom"])
    assert "start, standby, storm, hang, and hub" in caught.value.fix


def test_an_unknown_name_is_refused_before_anything_is_done() -> None:
    code = "from cli.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", "strom"],
        cwd=PROJECT_FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no measurement called strom" in done.stderr
    assert done.stdout == ""


def test_pins_are_read_without_hashes_and_with_markers() -> None:
    lock = (
        "# made by a program\nnotebook==7.6.5 \\\n    --hash=sha256:01 \\\n    # via -r x\n"
        "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:02\n"
    )
    assert read_pins(lock) == {
        "notebook": "notebook==7.6.5",
        "colorama": "colorama==0.4.6 ; sys_platform == 'win32'",
    }


def test_names_are_read_without_versions_and_comments() -> None:
    assert read_names("# all\njupyterlab>=4,<5\npip\njupyterhub==6.1.1\n") == [
        "jupyterlab",
        "pip",
        "jupyterhub",
    ]


def test_stock_image_has_our_packages_in_our_versions_and_what_pip_adds() -> None:
    context = stock_context(Build(extra_ca_files=()))
    with tarfile.open(fileobj=context.tar()) as archive:
        texts = {
            Path(entry.name).name: archive.extractfile(entry).read().decode()  # type: ignore[union-attr]
            for entry in archive
        }
    lock = (NOTEBOOK / "requirements.lock").read_text()
    for line in texts["requirements.txt"].split():
        assert f"{line} " in lock
    names = [line.partition("==")[0] for line in texts["requirements.txt"].split()]
    assert names == read_names((NOTEBOOK / "requirements.in").read_text())
    # what our lock leaves out comes along when pip finds that somebody asks for it
    assert re.search(r"^rfc3987-syntax==[\d.]+$", texts["constraints.txt"], re.MULTILINE)
    assert "--no-deps" not in texts["install.sh"]
    assert context.tag == "labhub/bench-stock:local"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a hub below a temporary folder, owned by whoever runs the test."""
    config = tmp_path / "hub.toml"
    uid, gid = os.getuid() or 999, os.getgid() or 996
    config.write_text(
        f'[hub]\ndata_folder = "data"\n[hooks]\nadmin_uid = {uid}\nadmin_gid = {gid}\n'
    )
    return load_settings(config)


def test_sample_hooks_find_the_course(settings: Settings, tmp_path: Path) -> None:
    """The repository is where the hook looks for it, and can be cloned."""
    make_course(settings)
    use_hooks(settings, "sample")
    hook = settings.hooks.folder / "as-user.sh"
    [line] = [line for line in hook.read_text().splitlines() if line.startswith("COURSE_REPO=")]
    [share] = settings.share
    path = line.removeprefix("COURSE_REPO=${COURSE_REPO:-").removesuffix("}")
    repository = share.folder / Path(path).relative_to(share.target)
    subprocess.run(["git", "clone", "-q", repository, tmp_path / "clone"], check=True)
    assert (tmp_path / "clone" / "lesson-00.md").exists()


def test_hooks_of_no_work_keep_owner_and_mode(settings: Settings) -> None:
    """The start chain refuses hooks of other owners; a changed text must not change that."""
    make_course(settings)
    path = settings.hooks.folder / "as-root.sh"
    before = path.stat()
    use_hooks(settings, "no-op")
    assert subprocess.run([path], capture_output=True, check=True).stdout == b""
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_mounts_are_those_below_a_folder() -> None:
    assert mounts_below(Path("/proc/none-such")) == []
    assert all(point.startswith("/dev/") for point in mounts_below(Path("/dev")))
    assert mounts_below(Path("/dev")) != []
