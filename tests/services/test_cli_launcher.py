"""The launcher, run for real in a small project whose lock is empty."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import PROJECT_FOLDER

MAIN = """
import os, sys
def main():
    print(os.getcwd(), *sys.argv[1:], sep="|")
    print(sys.prefix, file=sys.stderr)
    sys.exit(7 if "fail" in sys.argv else 0)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with spaces in its name, whose commands print their words."""
    folder = tmp_path_factory.mktemp("launcher") / "my project"
    (folder / "cli").mkdir(parents=True)
    (folder / "cli" / "__init__.py").touch()
    (folder / "cli" / "__main__.py").write_text(MAIN)
    (folder / "requirements.lock").write_text("# nothing\n")
    shutil.copy(PROJECT_FOLDER / "labhub", folder / "labhub")
    assert "Making .venv" in launch(folder / "labhub", cwd=folder).stderr
    return folder


def launch(
    program: Path, *words: str, cwd: Path, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *words],
        cwd=cwd,
        env={**os.environ, "PATH": path or os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_words_and_status_are_passed_through(project: Path, tmp_path: Path) -> None:
    """Standard output belongs to the command, which runs where the person is."""
    run = launch(project / "labhub", "up", "a b", "--x=*", "fail", cwd=tmp_path)
    assert run.stdout == f"{tmp_path}|up|a b|--x=*|fail\n"
    assert run.stderr == f"{project}/.venv\n"
    assert run.returncode == 7


def test_works_through_a_symbolic_link(project: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(project / "labhub")
    (tmp_path / "two").symlink_to("one")
    run = launch(tmp_path / "two", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, f"{project}/.venv\n")


def test_changed_lock_is_installed_and_unchanged_one_is_not(project: Path) -> None:
    stamp = project / ".venv" / "labhub-lock"
    before = stamp.stat().st_mtime_ns
    assert launch(project / "labhub", cwd=project).returncode == 0
    assert stamp.stat().st_mtime_ns == before
    (project / "requirements.lock").write_text("# nothing, but other words\n")
    run = launch(project / "labhub", cwd=project)
    assert run.returncode == 0
    assert "Making .venv" in run.stderr
    assert "Making .venv" not in launch(project / "labhub", cwd=project).stderr


def test_lock_without_hashes_is_refused_and_tried_again(project: Path) -> None:
    """A lock that cannot be installed leaves no stamp, so the next run does not use half of it."""
    lock = project / "requirements.lock"
    good = lock.read_text()
    try:
        lock.write_text("no-such-package==1.0\n")
        for _ in range(2):
            run = launch(project / "labhub", cwd=project)
            assert run.returncode == 1
            assert "could not be installed" in run.stderr
            assert "PIP_CERT" in run.stderr
            assert run.stdout == ""
    finally:
        lock.write_text(good)
    assert launch(project / "labhub", cwd=project).returncode == 0


def test_shim_without_python_behind_it_is_passed_over(project: Path, tmp_path: Path) -> None:
    """A name on the PATH may belong to a version manager that has no such version."""
    for name in ("python3", "python3.14", "python3.13", "python3.12"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'no such version' >&2\nexit 127\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3.11").symlink_to(sys.executable)
    stamp = project / ".venv" / "labhub-lock"
    stamp.unlink()
    run = launch(project / "labhub", cwd=project, path=f"{tmp_path}:/usr/bin:/bin")
    assert run.returncode == 0
    assert stamp.exists()


def test_broken_environment_is_made_anew(project: Path) -> None:
    """After an upgrade of the system's Python its packages are gone: all is made again."""
    shutil.rmtree(project / ".venv" / "lib")
    (project / ".venv" / "labhub-lock").write_text("of another Python\n")
    run = launch(project / "labhub", cwd=project)
    assert run.returncode == 0
    assert (project / ".venv" / "lib").is_dir()
