"""The operators' hooks of a measured hub: the samples with a course, or hooks that do nothing.

The course is a repository on this machine, which servers see below the admins' folder; so the
sample as-user.sh really runs nbgitpuller, and no network is measured.
"""

from __future__ import annotations

import os
import subprocess
from typing import Literal

from cli.errors import CommandError
from cli.sample_hooks import EXAMPLES, copy_sample_hooks
from hub_config.settings import Settings

HookKind = Literal["sample", "no-op"]
REPOSITORY = "course.git"
LESSONS = 20
_NO_REPOSITORY = "COURSE_REPO=${COURSE_REPO:-}"
_GIT = ("git", "-c", "user.name=Teacher", "-c", "user.email=teacher@example.org")


def make_course(settings: Settings) -> None:
    """Make the admins' folder of a new hub, with sample hooks and a course repository.

    Raises:
        CommandError: there is no git on this machine.
    """
    copy_sample_hooks(settings.hooks, settings.hub.data_folder)
    admin = settings.hooks.folder.parent
    work = admin / "course"
    work.mkdir()
    for number in range(LESSONS):
        (work / f"lesson-{number:02}.md").write_text(f"# Lesson {number}\n" + "A line.\n" * 100)
    bare = admin / REPOSITORY
    _git("init", "-q", "-b", "main", str(work))
    _git("-C", str(work), "add", ".")
    _git("-C", str(work), "commit", "-q", "-m", "The course")
    _git("clone", "-q", "--bare", str(work), str(bare))


def use_hooks(settings: Settings, kind: HookKind) -> None:
    """Write the hooks that the next starts run.

    Args:
        settings: The measured hub's, whose admins' folder `make_course` made.
        kind: The samples, with the course as their repository, or hooks that do nothing.
    """
    [share] = (share for share in settings.share if share.name == "admin")
    for name in ("as-root.sh", "as-user.sh"):
        text = "#!/bin/bash\n"
        if kind == "sample":
            text = with_repository((EXAMPLES / name).read_text(), f"{share.target}/{REPOSITORY}")
        path = settings.hooks.folder / name
        path.write_text(text)  # the file that is there: owner and mode stay


def with_repository(hook: str, repository: str) -> str:
    """Return a sample hook's text with the course's repository in its setting."""
    return hook.replace(_NO_REPOSITORY, f"COURSE_REPO=${{COURSE_REPO:-{repository}}}")


def _git(*arguments: str) -> None:
    """Run git without the settings of whoever runs the measurement.

    Raises:
        CommandError: there is no git, or it failed.
    """
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    try:
        subprocess.run([*_GIT, *arguments], check=True, capture_output=True, env=environment)
    except FileNotFoundError as error:
        raise CommandError(
            "There is no git for the course's repository", "apt-get install git"
        ) from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines()
        raise CommandError("The course's repository could not be made", "", lines) from error
