"""The linters of the tests: ruff, mypy and shellcheck."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cli import PROJECT_FOLDER
from cli.steps import Steps

LEFT_OUT = {".git", ".venv", "data", "node_modules"}
SHELLS = (b"sh", b"bash", b"dash")


def run_linters(steps: Steps, project: Path = PROJECT_FOLDER) -> list[str]:
    """Run all linters; print what they found.

    Returns:
        The names of those that found something.
    """
    python = [sys.executable, "-m"]
    scripts = [str(path.relative_to(project)) for path in shell_scripts(project)]
    commands = {
        "ruff check": [*python, "ruff", "check", "--quiet"],
        "ruff format": [*python, "ruff", "format", "--check", "--quiet"],
        "mypy": [*python, "mypy", "--no-error-summary"],
        "shellcheck": ["shellcheck", "--external-sources", *scripts],
    }
    failed = []
    for name, command in commands.items():
        with steps.step(name) as step:
            done = subprocess.run(
                command,
                cwd=project,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                step.text = f"{name}: not passed"
                failed.append(name)
        if done.returncode != 0:
            steps.say(done.stdout)
    return failed


def shell_scripts(project: Path = PROJECT_FOLDER) -> list[Path]:
    """Return all shell scripts of the project: by their name or by their first line."""
    return sorted(path for path in _files(project) if _is_shell_script(path))


def _files(project: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(project):
        folders[:] = [name for name in folders if name not in LEFT_OUT and "cache" not in name]
        yield from (Path(root, name) for name in names)


def _is_shell_script(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    if path.suffix == ".sh":
        return True
    with path.open("rb") as file:
        first = file.readline(200)
    words = first.replace(b"/", b" ").split()
    return first.startswith(b"#!") and bool(set(words) & set(SHELLS))
