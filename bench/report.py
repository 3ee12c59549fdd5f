"""What a measurement shows: tables on the terminal, and the same in `bench/results.md`.

Each measurement has a part of the file between two markers and replaces that part alone, so that
figures of another run stay, with the date and the versions they belong to.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import docker
from rich.markup import escape
from rich.table import Table as RichTable

from cli import PROJECT_FOLDER
from cli.steps import Steps

RESULTS = PROJECT_FOLDER / "bench" / "results.md"
HEAD = """# Measured

The last run of each measurement, written by `./labhub bench`; what the figures mean is in
[docs/measuring.md](../docs/measuring.md). They hold for the machine they were measured on; ratios
travel better than seconds.
"""


@dataclass(frozen=True)
class Table:
    """Figures to show.

    Attributes:
        title: What was measured, one line.
        columns: Heads of the columns; all but the first are aligned to the right.
        rows: Texts, as many in each as there are columns.
        notes: Sentences below the table.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


@dataclass
class Report:
    """Where a measurement says what it does and shows what it found.

    Attributes:
        steps: Prints what is being done.
        versions: What was measured on what.
        stock_image: Tag of the image for stock DockerSpawner.
        rounds: How many rounds the person asked for; None: each measurement's own number.
        results: The file of the last figures.
    """

    steps: Steps
    versions: dict[str, str]
    stock_image: str = ""
    rounds: int | None = None
    results: Path = RESULTS
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M %z"))

    def show(self, name: str, *tables: Table) -> None:
        """Print tables, and make them the measurement's part of the results.

        Args:
            name: The measurement.
            tables: What it found.
        """
        for table in tables:
            _print(self.steps, table)
        self.keep(name, "\n\n".join(as_markdown(table) for table in tables))

    def keep(self, name: str, body: str) -> None:
        """Make a text the measurement's part of the results, with date and versions.

        Args:
            name: The measurement.
            body: Markdown.
        """
        facts = ", ".join(f"{key} {value}" for key, value in self.versions.items())
        before = self.results.read_text() if self.results.exists() else HEAD
        text = f"{self.date}; {facts}.\n\n{body.strip()}"
        self.results.write_text(replace_part(before, name, text))


def as_markdown(table: Table) -> str:
    """Return a table in Markdown, with its title and notes."""
    lines = [
        "| " + " | ".join(_cells(table.columns)) + " |",
        "|---|" + "---:|" * (len(table.columns) - 1),
        *("| " + " | ".join(_cells(row)) + " |" for row in table.rows),
    ]
    return "\n\n".join([f"**{table.title}**", "\n".join(lines), *table.notes])


def replace_part(text: str, name: str, body: str) -> str:
    """Return the results' text with one measurement's part replaced, or added at the end."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    part = f"{begin}\n## {name}\n\n{body}\n{end}"
    before, found, rest = text.partition(begin)
    if found and end in rest:
        return before + part + rest.partition(end)[2]
    return f"{text.rstrip()}\n\n{part}\n"


def read_versions(client: docker.APIClient) -> dict[str, str]:
    """Return what the figures depend on: programs, packages, the machine."""
    engine = client.version()
    found = {
        "labhub": _commit(),
        **{name: importlib.metadata.version(name) for name in ("jupyterhub", "dockerspawner")},
        "Python": platform.python_version(),
        "Docker Engine": str(engine["Version"]),
        "Linux": str(engine["KernelVersion"]),
        "processors": str(os.cpu_count()),
        "memory_gib": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f}",
    }
    return {key: value for key, value in found.items() if value}


def _commit() -> str:
    """Return the commit of this folder, empty where that is not known."""
    command = ["git", "-C", str(PROJECT_FOLDER), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _print(steps: Steps, table: Table) -> None:
    shown = RichTable()
    for number, column in enumerate(table.columns):
        shown.add_column(escape(column), justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*(escape(cell) for cell in row))
    steps.console.print(f"\n[bold]{escape(table.title)}[/]", highlight=False)
    steps.console.print(shown)
    for note in table.notes:
        steps.console.print(f"[dim]{escape(note)}[/]", highlight=False)
    steps.console.print()


def _cells(texts: Sequence[str]) -> list[str]:
    return [text.replace("|", "\\|") for text in texts]
