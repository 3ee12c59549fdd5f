"""`labhub test`: everything that the tests need, the linters, and one pytest run.

What is missing is installed (as root on a system we know) or named; nothing is ever skipped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from cli import PROJECT_FOLDER
from cli.build import ensure_image
from cli.engine_process import connect, describe_engine, start_engine, stop_engine
from cli.errors import CommandError
from cli.linters import run_linters
from cli.machine import Machine, missing_pieces
from cli.node import install_proxy
from cli.packages import install_packages
from cli.steps import Steps
from hub_config.settings import Settings

AREAS = ("unit", "services", "docker", "images", "browser")
USING_ENGINE = {"docker", "images", "browser"}
USING_HUB = {"docker", "browser"}
PROGRAMS = {  # area -> program -> the Debian package that brings it
    "unit": {"shellcheck": "shellcheck"},
    "docker": {"docker-registry": "docker-registry", "busybox": "busybox-static"},
    "browser": {"chromium": "chromium"},
}
TEST_LOCK = PROJECT_FOLDER / "requirements-test.lock"


@dataclass(frozen=True)
class Choice:
    """What to run.

    Attributes:
        areas: The areas whose needs must be met.
        arguments: pytest's arguments: where the tests are, then what the person typed.
        with_linters: Whether the linters belong to it.
    """

    areas: tuple[str, ...]
    arguments: tuple[str, ...]
    with_linters: bool


def test(context: typer.Context) -> None:
    """Run the tests, or one area of them, with any arguments for pytest.

    The areas: unit, services, docker, images, browser. Without one: all of them. Alone, and with
    the area `unit`, the linters run as well.
    """
    steps = Steps(Console())
    choice = choose(context.args)
    machine = Machine.this()
    install_test_lock(steps)
    install_programs(steps, machine, choice.areas)
    problems = run_linters(steps) if choice.with_linters else []
    with engine_for(steps, machine, choice.areas):
        if USING_HUB & set(choice.areas):
            install_proxy()
        code = subprocess.run(
            [sys.executable, "-m", "pytest", *choice.arguments], cwd=PROJECT_FOLDER, check=False
        ).returncode
    if problems:
        names = ", ".join(problems)
        raise CommandError(f"Not passed: {names}" + (" and pytest" if code else ""))
    raise typer.Exit(code)


def choose(words: Sequence[str], project: Path = PROJECT_FOLDER) -> Choice:
    """Understand the words after `test`.

    Args:
        words: What the person typed.
        project: The folder that holds `tests`.

    Raises:
        CommandError: the first word is neither an area nor something for pytest.
    """
    rest = list(words)
    if rest and rest[0] in AREAS:
        area = rest.pop(0)
        return Choice((area,), (f"tests/{area}", *rest), with_linters=area == "unit" and not rest)
    paths = [word for word in rest if not word.startswith("-") and _is_path(word, project)]
    if rest and not rest[0].startswith("-") and rest[0] not in paths:
        raise CommandError(
            f"There is no test area called {rest[0]}",
            f"the areas are {', '.join(AREAS)}; what else you type goes to pytest",
        )
    if paths:
        named = {area for area in AREAS for path in paths if f"tests/{area}" in path}
        return Choice(tuple(sorted(named)) or AREAS, tuple(rest), with_linters=False)
    return Choice(AREAS, ("tests", *rest), with_linters=not rest)


def install_test_lock(steps: Steps, lock: Path = TEST_LOCK) -> None:
    """Install what the tests need into this Python's environment, when the lock changed.

    Raises:
        CommandError: pip failed; the error holds its last lines.
    """
    stamp = Path(sys.prefix, "labhub-test-lock")
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", str(lock)]
    with steps.step("Installing what the tests need", long=True) as step:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            raise CommandError(
                "The packages of the tests could not be installed",
                " ".join(command),
                done.stdout.splitlines()[-15:],
            )
        stamp.write_text(wanted)
        step.text = "Installed what the tests need"


def install_programs(steps: Steps, machine: Machine, areas: Sequence[str]) -> None:
    """Install the programs that the areas use.

    Raises:
        CommandError: one is missing and may not be installed.
    """
    missing = [
        package
        for area in areas
        for program, package in PROGRAMS.get(area, {}).items()
        if not shutil.which(program)
    ]
    if USING_ENGINE & set(areas):
        answers = describe_engine(Settings().engine) is not None
        missing += [name for piece in missing_pieces(machine, answers) for name in piece.packages]
    if missing:
        install_packages(steps, machine, missing, "The tests")


@contextmanager
def engine_for(steps: Steps, machine: Machine, areas: Sequence[str]) -> Iterator[None]:
    """Provide an engine and the notebook image while the tests run, where an area needs them.

    An engine that this started is stopped at the end; one that ran before goes on.
    """
    if not USING_ENGINE & set(areas):
        yield
        return
    settings = Settings()
    ours = describe_engine(settings.engine) is None
    process = None
    if ours:
        with steps.step("Starting the Docker Engine"):
            process = start_engine(settings.engine, machine)
    try:
        ensure_image(steps, connect(settings.engine), settings, machine, "notebook")
        yield
    finally:
        if ours:
            with steps.step("Stopping the Docker Engine"):
                stop_engine(process)


def _is_path(word: str, project: Path) -> bool:
    name = word.partition("::")[0]
    return os.path.exists(name) or (project / name).exists()  # noqa: PTH110 (any text is allowed)
