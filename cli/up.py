"""`labhub up`: from nothing to a hub that answers.

What is there is used: a second `up` looks at everything and starts what is missing. Servers are
never stopped here; the hub adopts those that run.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import docker
import typer
from rich.console import Console

from cli.build import ensure_image
from cli.engine_process import connect, describe_engine, start_engine
from cli.errors import CommandError
from cli.foreground import stop_both, watch
from cli.hub_api import HubAPI
from cli.machine import Machine, explain_missing, missing_pieces
from cli.node import install_proxy, proxy_is_installed
from cli.options import ConfigOption
from cli.packages import install_packages
from cli.ports import Claim, check_port
from cli.processes import Process, start_hub, start_proxy, stop, wait_until_hub_answers
from cli.sample_hooks import copy_sample_hooks
from cli.start_lock import start_lock
from cli.steps import Steps
from hub_config.loading import load_settings
from hub_config.settings import LOCAL_IMAGE, Settings
from hub_config.state import State
from spawner.engine import ensure_network

HUB_TIMEOUT_S = 180
ROLES = ("admin", "ta", "student")


def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the hub answers; it goes on running.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Start labhub; install and build what is missing.

    Without --detach it stays attached: Ctrl-C stops the hub and the proxy. Running servers go on.
    """
    console = Console()
    steps = Steps(console)
    settings = load_settings(config)
    machine = Machine.this()
    refuse_incomplete(machine, settings)
    state = State(settings.hub.data_folder).prepare()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, _interrupt)
    is_ours = False
    try:
        with start_lock(steps, state):
            is_ours = start(steps, settings, state, machine, config)
        tell_address(console, settings, state, runs_already=not is_ours)
        if is_ours and not detach:
            watch(steps, state)
    except KeyboardInterrupt:
        if detach or not is_ours:
            raise
        stop_both(steps, state)


def refuse_incomplete(machine: Machine, settings: Settings) -> None:
    """Stop here, before anything is changed, when we may not install what is missing.

    Raises:
        CommandError: names each missing piece and the command.
    """
    answers = describe_engine(settings.engine) is not None
    pieces = missing_pieces(machine, answers)
    if machine.is_root and (machine.is_supported or not pieces):
        return
    lines, fix = explain_missing(machine, pieces)
    raise CommandError("labhub cannot start on this machine yet", fix, lines)


def start(
    steps: Steps, settings: Settings, state: State, machine: Machine, config: Path | None
) -> bool:
    """Bring up everything that does not run.

    Returns:
        Whether there was something to start.

    Raises:
        CommandError: a step failed; what this call had started is stopped again.
    """
    hub, proxy = Process("hub", state), Process("proxy", state)
    if hub.identity() and proxy.identity() and HubAPI(settings).version():
        return False
    client = _prepare_engine(steps, settings, machine)
    gateway = ensure_network(client, state.hub_id)
    if any(profile.image == LOCAL_IMAGE for profile in settings.profile):
        ensure_image(steps, client, settings, machine, "notebook")
    if copied := copy_sample_hooks(settings.hooks, settings.hub.data_folder):
        steps.say(f"        Copied the sample hooks {', '.join(copied)} to {settings.hooks.folder}")
    _check_ports(settings, gateway, hub=hub, proxy=proxy)
    started: list[Process] = []
    try:
        _start_processes(steps, settings, state, config, started)
        if [process.name for process in started] == ["proxy"]:  # a new one knows no routes
            direct = f"http://{gateway}:{settings.hub.hub_port}/hub/api"
            HubAPI(settings, state.cli_token, direct).restore_routes()
        with steps.step("Waiting for the hub", long=True) as step:
            wait_until_hub_answers(settings, HUB_TIMEOUT_S, [proxy, hub])
            step.text = "The hub answers"
    except BaseException:
        stop(reversed(started))
        raise
    return True


def tell_address(console: Console, settings: Settings, state: State, *, runs_already: bool) -> None:
    """Print the address and, in demo mode, the three logins."""
    text = "labhub is running already" if runs_already else "labhub is ready"
    console.print(f"\n[bold]{text}: {settings.hub.url}[/]", soft_wrap=True, highlight=False)
    if not settings.is_demo:
        return
    try:
        logins = json.loads(state.demo_logins_file.read_text())
    except (FileNotFoundError, ValueError):
        return
    console.print(f"Demo mode. The logins, also in {state.demo_logins_file}:", soft_wrap=True)
    for role in ROLES:
        if login := logins.get(role):
            line = f"  {role:8} {login['username']:10} {login['password']}"
            console.print(line, soft_wrap=True, highlight=False, markup=False)


def _prepare_engine(steps: Steps, settings: Settings, machine: Machine) -> docker.APIClient:
    """Install the packages that are missing, start the engine when it is away, connect."""
    answers = describe_engine(settings.engine) is not None
    if packages := [name for piece in missing_pieces(machine, answers) for name in piece.packages]:
        install_packages(steps, machine, packages, "labhub")
        answers = describe_engine(settings.engine) is not None
    if not answers:
        with steps.step("Starting the Docker Engine") as step:
            start_engine(settings.engine, machine)
            step.text = "Started the Docker Engine"
    return connect(settings.engine)


def _check_ports(settings: Settings, gateway: str, *, hub: Process, proxy: Process) -> None:
    wanted = settings.hub
    if not proxy.identity():
        check_port(Claim(wanted.bind, wanted.port, "hub.port", "the hub's address"))
        check_port(
            Claim("127.0.0.1", wanted.proxy_api_port, "hub.proxy_api_port", "the proxy's own API")
        )
    if not hub.identity():
        check_port(Claim(gateway, wanted.hub_port, "hub.hub_port", "where servers reach the hub"))


def _start_processes(
    steps: Steps, settings: Settings, state: State, config: Path | None, started: list[Process]
) -> None:
    """Start the proxy and the hub unless they run; note each in `started`."""
    if not proxy_is_installed():
        with steps.step("Installing the proxy", long=True) as step:
            install_proxy()
            step.text = "Installed the proxy"
    if not Process("proxy", state).identity():
        with steps.step("Starting the proxy") as step:
            started.append(start_proxy(settings, state))
            step.text = "Started the proxy"
    if not Process("hub", state).identity():
        with steps.step("Starting the hub") as step:
            started.append(start_hub(settings, state, config))
            step.text = "Started the hub"


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Treat a request to end, or a closed terminal, as Ctrl-C."""
    raise KeyboardInterrupt
