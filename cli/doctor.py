"""`labhub doctor`: everything that a start depends on, each problem with its fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape

from cli import hub_checks, machine_checks
from cli.checks import Check, run_checks
from cli.engine_process import describe_engine
from cli.machine import Machine
from cli.options import ConfigOption, JsonOption
from cli.standby_checks import check_standbys
from hub_config.loading import SettingsError, load_settings
from hub_config.settings import Settings
from hub_config.state import State


def doctor(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Look at all that a start depends on. Ends with 1 when something has to be done."""
    found = list(examine(config))
    problems = [check for check in found if not check.is_well]
    if json_output:
        rows = [
            {"name": c.name, "ok": c.is_well, "message": c.message, "fix": c.fix} for c in found
        ]
        print(json.dumps({"ok": not problems, "checks": rows}, indent=2))
    else:
        print_checks(Console(), found)
    raise typer.Exit(1 if problems else 0)


def examine(config: Path | None) -> Iterator[Check]:
    """Run all checks; with settings that cannot be read, those that need none."""
    try:
        settings = load_settings(config)
        yield Check("settings", "valid")
        is_readable = True
    except SettingsError as error:
        settings, is_readable = Settings(), False
        first = str(error).strip().splitlines()[0]
        yield Check("settings", first, "./labhub check-config shows all that is wrong")
    machine = Machine.this()
    info = describe_engine(settings.engine)
    checks = [
        ("system", lambda: machine_checks.check_system(machine)),
        ("clock", machine_checks.check_clock),
        ("tools", lambda: machine_checks.check_tools(machine, info)),
        ("engine", lambda: machine_checks.check_engine(settings, info)),
        ("CA files", lambda: machine_checks.check_ca_files(settings)),
        ("image", lambda: machine_checks.check_images(settings, info)),
    ]
    if is_readable:
        state = State(settings.hub.data_folder)
        checks += [
            ("state", lambda: hub_checks.check_state(state)),
            ("disk", lambda: hub_checks.check_data_room(settings)),
            ("homes", lambda: hub_checks.check_homes(settings)),
            ("shares", lambda: hub_checks.check_shares(settings)),
            ("runtime", lambda: hub_checks.check_runtime(settings)),
            ("standbys", lambda: check_standbys(settings, info)),
            ("hooks", lambda: hub_checks.check_hooks(settings)),
            ("hook logs", lambda: hub_checks.check_hook_logs(settings)),
            ("ports", lambda: hub_checks.check_processes(settings, state)),
        ]
    yield from run_checks(checks)


def print_checks(console: Console, found: list[Check]) -> None:
    """Print one line per check, and a problem's fix below it."""
    width = max(len(check.name) for check in found)
    for check in found:
        mark = "[green]ok     [/]" if check.is_well else "[red]problem[/]"
        line = f"{mark} {check.name:{width}}  {escape(check.message)}"
        if check.fix:
            line += f" [bold]Fix:[/] {escape(check.fix)}"
        console.print(line, soft_wrap=True, highlight=False)
    count = sum(not check.is_well for check in found)
    summary = "All is well." if not count else f"{count} problem{'' if count == 1 else 's'}."
    console.print(summary)
