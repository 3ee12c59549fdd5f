"""`labhub status`: what runs, for people as a table, for programs as JSON."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from cli.engine_process import describe_engine
from cli.errors import CommandError
from cli.hub_api import HubAPI
from cli.options import ConfigOption, JsonOption
from cli.processes import Process
from hub_config.loading import load_settings
from hub_config.settings import Settings
from hub_config.state import State


def status(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Say what runs. Ends with 0 when the hub is ready and with 1 when it is not."""
    settings = load_settings(config)
    found = describe(settings, State(settings.hub.data_folder))
    if json_output:
        print(json.dumps(found, indent=2))
    else:
        print_table(Console(), found)
    raise typer.Exit(0 if found["ready"] else 1)


def describe(settings: Settings, state: State) -> dict[str, Any]:
    """Return what runs; nothing is changed by looking.

    Returns:
        The keys `url`, `ready`, `hub`, `proxy`, `engine` and `servers`.
    """
    hub, proxy = describe_process(Process("hub", state)), describe_process(Process("proxy", state))
    servers: list[dict[str, Any]] = []
    # Only while the hub is ours: the port may have another owner, and the token is a secret.
    hub["version"] = HubAPI(settings).version() if hub["running"] and proxy["running"] else None
    hub["answers"] = hub["version"] is not None
    if hub["answers"]:
        try:
            servers = HubAPI(settings, state.cli_token).servers()
        except CommandError as error:
            hub["error"] = error.message
    info = describe_engine(settings.engine)
    engine = {
        "answers": info is not None,
        "address": settings.engine.socket,
        "version": info.get("ServerVersion") if info else None,
    }
    return {
        "url": settings.hub.url,
        "ready": bool(hub["answers"] and engine["answers"]),
        "hub": hub,
        "proxy": proxy,
        "engine": engine,
        "servers": servers,
    }


def describe_process(process: Process) -> dict[str, Any]:
    """Return whether a process runs, its pid, its age and its log."""
    identity = process.identity()
    return {
        "running": identity is not None,
        "pid": identity.pid if identity else None,
        "uptime_s": round(identity.age_s, 1) if identity else None,
        "log": str(process.log_file),
    }


def print_table(console: Console, found: dict[str, Any]) -> None:
    """Print what runs, for people."""
    state = "[green]ready[/]" if found["ready"] else "[red]not ready[/]"
    console.print(f"{found['url']}  {state}", soft_wrap=True, highlight=False)
    parts = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("part", "state", "version", "running for", "log"):
        parts.add_column(title, overflow="fold")
    for name in ("hub", "proxy"):
        part = found[name]
        says = "runs" if part["running"] else "stopped"
        if name == "hub" and part["running"] and not part["answers"]:
            says = "runs, does not answer"
        age = duration(part["uptime_s"]) if part["running"] else ""
        parts.add_row(name, says, part.get("version") or "", age, part["log"])
    engine = found["engine"]
    says = "answers" if engine["answers"] else "does not answer"
    parts.add_row("engine", says, engine["version"] or "", "", engine["address"])
    console.print(parts)
    if found["hub"].get("error"):
        console.print(f"Servers: {found['hub']['error']}", soft_wrap=True)
    elif found["hub"]["answers"]:
        console.print(_servers_table(found["servers"]))


def duration(seconds: float) -> str:
    """Return a duration for people, in its two largest units."""
    whole = int(seconds)
    units = (("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60))
    shown = [f"{count} {unit}" for unit, count in units if count]
    return " ".join((shown or [f"{whole} s"])[:2])


def _servers_table(servers: list[dict[str, Any]]) -> Table | str:
    if not servers:
        return "No servers are running."
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("server of", "name", "state", "started"):
        table.add_column(title)
    for server in servers:
        says = "ready" if server["ready"] else (server["pending"] or "not ready")
        started = str(server["started"] or "")[:19].replace("T", " ")
        table.add_row(server["user"], server["name"], says, started)
    return table
