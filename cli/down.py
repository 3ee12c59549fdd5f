"""`labhub down`: stop the hub and the proxy, and the users' servers when asked to."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console

from cli.errors import CommandError
from cli.hub_api import HubAPI
from cli.options import ConfigOption
from cli.processes import Process, stop
from cli.start_lock import start_lock
from cli.steps import Steps
from hub_config.loading import load_settings
from hub_config.settings import Settings
from hub_config.state import State

SERVERS_TIMEOUT_S = 180


def down(
    servers: Annotated[
        bool, typer.Option("--servers", help="Stop the users' servers first. Files are kept.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Stop the hub and the proxy. Users' servers go on, and the next `up` adopts them."""
    steps = Steps(Console())
    settings = load_settings(config)
    state = State(settings.hub.data_folder)
    hub, proxy = Process("hub", state), Process("proxy", state)
    if not (hub.identity() or proxy.identity()):
        if servers:
            raise CommandError(
                "The hub is not running, so it cannot stop servers",
                "./labhub up --detach, then ./labhub down --servers",
            )
        steps.say("labhub is not running")
        return
    with start_lock(steps, state):
        if servers:
            stop_servers(steps, settings, state)
        with steps.step("Stopping the hub and the proxy") as step:
            names = stop([hub, proxy])
            step.text = f"Stopped the {' and the '.join(names)}" if names else "Nothing was running"
    if not servers:
        steps.say("Running servers go on; ./labhub up finds them again.")


def stop_servers(steps: Steps, settings: Settings, state: State) -> None:
    """Stop every server through the hub, and wait for the last.

    Raises:
        CommandError: the hub cannot be asked, or a server does not stop.
    """
    api = HubAPI(settings, state.cli_token)
    with steps.step("Stopping the users' servers", long=True) as step:
        asked: set[tuple[str, str]] = set()
        deadline = time.monotonic() + SERVERS_TIMEOUT_S
        while running := api.servers():
            for server in running:
                key = (server["user"], server["name"])
                # One that still starts is asked again once it has started.
                if key not in asked and server["pending"] is None:
                    api.stop_server(*key)
                    asked.add(key)
            step.advance_to(len(asked), len(asked) + len(running), running[0]["user"])
            if time.monotonic() > deadline:
                names = ", ".join(server["user"] for server in running)
                raise CommandError(
                    f"These servers did not stop within {SERVERS_TIMEOUT_S} s: {names}",
                    "look at them: ./labhub status; the hub is still running",
                )
            time.sleep(0.5)
        step.text = f"Stopped {len(asked)} server{'' if len(asked) == 1 else 's'}"
