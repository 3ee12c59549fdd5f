"""The commands of labhub, and the one place where errors become text."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from cli.bench import bench
from cli.check_config import check_config
from cli.doctor import doctor
from cli.down import down
from cli.errors import CommandError
from cli.images import images
from cli.status import status
from cli.test import test
from cli.up import up
from hub_config.loading import SettingsError

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    name="labhub",
    help="A JupyterHub for a course, a lab or a facility, on one Docker host.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(up)
app.command()(down)
app.command()(status)
app.command()(doctor)
app.command("check-config")(check_config)
app.add_typer(images, name="images")
app.command()(bench)
app.command(context_settings=PASS_ON)(test)


def main() -> None:
    """Run the command of the command line and end the program with its status."""
    try:
        app(prog_name="labhub")
    except CommandError as error:
        print_error(error.message, error.fix, error.lines)
    except SettingsError as error:
        print_error(str(error), "")
    except PermissionError as error:
        print_error(f"{error.filename} may not be used: {error.strerror}", "run it with sudo")
    except KeyboardInterrupt:
        print_error("Stopped", "")
        sys.exit(130)
    sys.exit(1)


def print_error(message: str, fix: str, lines: tuple[str, ...] = ()) -> None:
    """Print an error on standard error: what explains it, what it is, what to do."""
    console = Console(stderr=True)
    for line in lines:
        console.print(f"  [dim]{escape(line)}[/]", soft_wrap=True, highlight=False)
    console.print(f"[red]{escape(message)}[/]", soft_wrap=True, highlight=False)
    if fix:
        console.print(f"  Fix: {escape(fix)}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
