"""The sample hooks do the seed's work, and can be run again and again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.containers import ADMIN, Host

EXAMPLES = Path(__file__).parents[2] / "startup_scripts" / "examples"
GIT = ["git", "-c", "user.name=Teacher", "-c", "user.email=teacher@example.org"]


@pytest.fixture
def course(host: Host) -> Path:
    """A host with the sample hooks, shared data and a course repository of another owner."""
    for name in ("as-root.sh", "as-user.sh"):
        host.hook(name, (EXAMPLES / name).read_bytes())
    shared = host.folder / "nfs"
    (shared / "images").mkdir(parents=True)
    (shared / "images" / "star.fits").write_text("a star")
    (shared / "notes.txt").write_text("the course's notes")
    repository = host.folder / "repository"
    repository.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
    commit(repository, "lesson.txt", "lesson 1")
    for path in [repository, *repository.rglob("*")]:
        os.chown(path, *ADMIN)
    host.mounts |= {"/nfs": f"{shared}:ro", "/srv/course": f"{repository}:ro"}
    return repository


def commit(repository: Path, name: str, content: str) -> None:
    """Add a file to the course."""
    (repository / name).write_text(content)
    safe = ["-c", f"safe.directory={repository}", "-C", str(repository)]
    subprocess.run([*GIT, *safe, "add", "."], check=True)
    subprocess.run([*GIT, *safe, "commit", "-q", "-m", name], check=True)


def test_the_course_is_fetched_and_merged(host: Host, course: Path) -> None:
    """The repository is in the home; a new lesson arrives, and the student's change stays."""
    variables = {"COURSE_REPO": "/srv/course"}
    first = host.run("cat ~/course/lesson.txt", environment=variables)
    assert first.step("as-user")["state"] == "done", host.log("as-user")
    assert first.step("as-root")["state"] == "done", host.log("as-root")
    assert first.output == "lesson 1"
    mine = host.home / "course" / "mine.txt"
    mine.write_text("my work")
    os.chown(mine, host.uid, host.uid)
    commit(course, "second.txt", "lesson 2")
    second = host.run("cat ~/course/mine.txt ~/course/second.txt", environment=variables)
    assert second.output == "my worklesson 2", host.log("as-user")
    assert second.step("as-user")["message"] == "as-user.sh is done."


def test_what_was_deleted_comes_back(host: Host, course: Path) -> None:
    """A start without news from the course changes nothing, but for a lesson that was deleted."""
    variables = {"COURSE_REPO": "/srv/course"}
    host.run(environment=variables)
    lesson = host.home / "course" / "lesson.txt"
    lesson.write_text("my answer")
    again = host.run("cat ~/course/lesson.txt", environment=variables)
    assert (again.output, again.step("as-user")["state"]) == ("my answer", "done")
    assert "$ git" not in host.log("as-user")  # as gitpuller says what it runs
    lesson.unlink()
    last = host.run("cat ~/course/lesson.txt", environment=variables)
    assert last.output == "lesson 1"
    assert "$ git" in host.log("as-user")


def test_shared_data_is_linked_where_nothing_is_in_the_way(host: Host, course: Path) -> None:
    """Links appear in the home, and a file of the student's with that name is kept."""
    own = host.home / "notes.txt"
    own.write_text("my notes")
    os.chown(own, host.uid, host.uid)
    ended = host.run("cat images/star.fits notes.txt")
    assert ended.output == "a starmy notes"


def test_the_shell_is_set_up_once(host: Host, course: Path) -> None:
    """Two starts leave one line in ~/.profile."""
    host.run()
    host.run()
    lines = (host.home / ".profile").read_text().splitlines()
    assert len([line for line in lines if "/nfs/bin" in line]) == 1


def test_without_a_repository_there_is_a_message(host: Host, course: Path) -> None:
    """Samples that nobody has changed yet are no failure."""
    ended = host.run()
    assert ended.step("as-user")["state"] == "done"
    assert "COURSE_REPO is not set" in host.log("as-user")
