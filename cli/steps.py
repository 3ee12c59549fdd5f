"""What `up`, `images build` and `test` print: one line per step, with its time.

On a terminal a step that runs shows a moving line, a long one a bar; elsewhere (a log, a pipe) a
long step prints a line when it begins, and every step one when it is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Step:
    """One step under way.

    Args:
        progress: The moving display, None when the output is not a terminal.
        text: What the step does.
    """

    def __init__(self, progress: Progress | None, text: str) -> None:
        self.text = text
        self._progress = progress
        self._task = progress.add_task(escape(text), total=None, detail="") if progress else None

    def advance_to(self, done: float, total: float | None, detail: str = "") -> None:
        """Show how far the step is.

        Args:
            done: How much is done.
            total: How much there is; None when nobody knows.
            detail: What happens right now; cut to fit the line.
        """
        if self._progress and self._task is not None:
            detail = escape(detail.strip()[:60])
            self._progress.update(self._task, completed=done, total=total, detail=detail)

    def tell(self, detail: str) -> None:
        """Show what happens right now."""
        self.advance_to(0, None, detail)


class Steps:
    """Prints steps.

    Args:
        console: Where they are printed.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, text: str, *, long: bool = False) -> Iterator[Step]:
        """Run one step: `with steps.step("Starting the hub"): ...`.

        Args:
            text: What the step does; may be changed through `Step.text` until it ends.
            long: Whether it may take more than a few seconds.
        """
        began = time.monotonic()
        if self.console.is_terminal:
            with self._display() as progress:
                step = Step(progress, text)
                yield step
        else:
            if long:
                self.console.print(f"        {escape(text)} ...", soft_wrap=True)
            step = Step(None, text)
            yield step
        took_s = time.monotonic() - began
        self.console.print(
            f"[green]{took_s:6.1f}s[/] {escape(step.text)}", soft_wrap=True, highlight=False
        )

    def say(self, text: str) -> None:
        """Print a line that is no step."""
        self.console.print(escape(text), soft_wrap=True, highlight=False)

    def _display(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=self.console,
            transient=True,
        )
