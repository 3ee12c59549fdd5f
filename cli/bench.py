"""`labhub bench`: what a start takes, beside stock DockerSpawner on the same machine."""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from cli.build import ensure_image
from cli.engine_process import connect
from cli.errors import CommandError
from cli.machine import Machine
from cli.steps import Steps
from cli.up import refuse_incomplete
from hub_config.settings import Settings

USUAL = ("start", "standby", "storm", "hang")
KNOWN = (*USUAL, "hub")


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[start] [standby] [storm] [hang] [hub]", show_default=False),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="How often each start is measured.", show_default=False),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all figures there.", show_default=False),
    ] = None,
) -> None:
    """Measure labhub and stock DockerSpawner in turn; without names all but hub.

    The figures are printed and kept in bench/results.md. It uses hubs of its own and leaves
    nothing behind; nothing else should be busy on the machine meanwhile.
    """
    wanted = choose(names or ())
    if json_file:
        _check_writable(json_file)
    settings = Settings()
    refuse_incomplete(Machine.this(), settings)
    signal.signal(signal.SIGTERM, _interrupt)
    figures = measure(wanted, settings, Steps(Console()), rounds)
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n")


def choose(words: Sequence[str]) -> list[str]:
    """Return the measurements to run, each once, in the order in which they are known.

    Raises:
        CommandError: there is no such measurement.
    """
    for word in words:
        if word not in KNOWN:
            raise CommandError(
                f"There is no measurement called {word}",
                f"the measurements are {', '.join(USUAL)}, and {KNOWN[-1]}",
            )
    return [name for name in KNOWN if name in (words or USUAL)]


def measure(
    names: Sequence[str], settings: Settings, steps: Steps, rounds: int | None
) -> dict[str, Any]:
    """Run measurements.

    Args:
        names: Each is a module of `bench` that has `run(report)`.
        settings: Names the engine.
        steps: Shows what is done.
        rounds: How often each start is measured; None: each measurement's own number.

    Returns:
        The figures of all, with versions and date.
    """
    # Only now: the measurements import most of JupyterHub, which no other command needs.
    reports, images = (importlib.import_module(f"bench.{n}") for n in ("report", "stock_image"))
    figures: dict[str, Any] = {}
    with connect(settings.engine) as client, contextlib.ExitStack() as stack:
        report = reports.Report(steps, reports.read_versions(client), rounds=rounds)
        if set(names) & set(USUAL):
            ensure_image(steps, client, settings, Machine.this(), "notebook")
            stock = images.stock_image(steps, client, settings)
            report.stock_image = stack.enter_context(stock)
        for name in names:
            measurement = importlib.import_module(f"bench.{name}")
            if name in USUAL:
                figures |= measurement.run(report)
            else:
                figures[name] = measurement.run(steps.say)
                text = measurement.table(figures[name])
                report.keep(name, text)
                steps.console.print(Markdown(text))
    return {**figures, "versions": report.versions, "date": report.date}


def _check_writable(path: Path) -> None:
    """Find out before minutes of measuring whether the figures can be kept.

    Raises:
        CommandError: they cannot.
    """
    try:
        path.open("a").close()
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", "name another") from error


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Treat a request to end as Ctrl-C, so that everything is removed."""
    raise KeyboardInterrupt
