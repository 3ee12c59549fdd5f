"""The settings, written to JupyterHub's configuration: one small function per section.

The only code that writes to `c`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from tornado.web import HTTPError

from authenticator.demo import DemoAuthenticator
from authenticator.github import GitHubAuthenticator
from hub_config import roles
from hub_config.database import QuickCommits
from hub_config.settings import Hooks, Settings
from hub_config.state import State
from spawner import profiles
from spawner.docker import LabhubDockerSpawner
from spawner.engine import ensure_network
from spawner.naming import network
from spawner.runtimes import prepare_runtime
from spawner.shared import Shared

TEMPLATES = Path(__file__).parent / "templates"
ENGINE_WAIT_S = 60
_log = logging.getLogger("labhub")
_background: set[asyncio.Task[None]] = set()


def configure(c: Any, settings: Settings) -> None:
    """Write all settings to a traitlets Config.

    Raises:
        SystemExit: the engine did not answer for ENGINE_WAIT_S.
    """
    state = State(settings.hub.data_folder).prepare()
    gateway = wait_for_network(settings, state.hub_id)
    hub(c, settings, state, gateway)
    login(c, settings, state)
    spawner(c, settings, state)
    command_line(c, state)
    pages(c, settings)


def wait_for_network(settings: Settings, hub_id: str) -> str:
    """Return the address at which servers reach the hub; waits for the engine.

    Raises:
        SystemExit: the engine did not answer in time.
    """
    deadline = time.monotonic() + ENGINE_WAIT_S
    while True:
        try:
            client = docker.APIClient(base_url=settings.engine.socket, version="auto", timeout=10)
            return ensure_network(client, hub_id)
        except DockerException as error:
            if time.monotonic() > deadline:
                sys.exit(
                    f"The engine at {settings.engine.socket} does not answer: {error}\n"
                    "Start it, then start the hub again."
                )
            time.sleep(1)


def hub(c: Any, settings: Settings, state: State, gateway: str) -> None:
    """Addresses, secrets and what outlives the hub."""
    os.environ["JUPYTERHUB_CRYPT_KEY"] = state.crypt_key
    os.environ["CONFIGPROXY_AUTH_TOKEN"] = state.proxy_token
    c.JupyterHub.bind_url = settings.hub.url
    if settings.hub.public_url or settings.hub.subdomain_host:
        c.JupyterHub.public_url = settings.hub.url
    if settings.hub.subdomain_host:
        c.JupyterHub.subdomain_host = settings.hub.subdomain_host
    c.JupyterHub.hub_bind_url = f"http://{gateway}:{settings.hub.hub_port}"
    c.JupyterHub.cookie_secret_file = str(state.cookie_secret_file)
    c.JupyterHub.db_url = f"sqlite:///{state.database_file}"
    # JupyterHub's own argument, and ours
    c.JupyterHub.db_kwargs = {"connect_args": {"check_same_thread": False, "factory": QuickCommits}}
    # the engine gives a server 10 s to end; a page that is told so earlier never sees the end
    c.JupyterHub.tornado_settings = {"slow_stop_timeout": 15}
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings.hub.proxy_api_port}"


def login(c: Any, settings: Settings, state: State) -> None:
    """How people sign in, and what their groups may do."""
    for section in (c.DemoAuthenticator, c.GitHubAuthenticator):
        section.settings = settings
        section.people_file = str(state.people_file)
        section.first_uid = settings.start.first_uid
    c.DemoAuthenticator.logins_file = str(state.demo_logins_file)
    c.JupyterHub.authenticator_class = (
        DemoAuthenticator if settings.is_demo else GitHubAuthenticator
    )
    # who was removed loses their tokens too; an outage never counts as a removal
    c.Authenticator.auth_refresh_strict = True
    c.JupyterHub.load_roles = roles.load_roles(settings)


def spawner(c: Any, settings: Settings, state: State) -> None:
    """The servers."""
    shared = Shared.make(settings, state)
    if warning := prepare_runtime(settings.hub.runtime_folder):
        _log.warning(warning)
    make_log_folder(settings.hooks)
    LabhubDockerSpawner.shared = shared
    c.JupyterHub.spawner_class = LabhubDockerSpawner
    # whoever comes when many start waits in our queue; JupyterHub would answer 429
    c.JupyterHub.concurrent_spawn_limit = 0
    keep_in_background(shared.standbys.keep())
    c.DockerSpawner.network_name = network(state.hub_id)
    c.DockerSpawner.remove = True
    # our own deadline comes first, and in words
    c.Spawner.start_timeout = settings.start.timeout_s + 30
    c.Spawner.http_timeout = 30
    if len(settings.profile) > 1:
        c.Spawner.options_form = LabhubDockerSpawner.profile_form
    c.Spawner.progress_ready_hook = add_notices
    c.Spawner.options_from_form = profiles.options_from_form
    c.Spawner.apply_user_options = apply_user_options


def keep_in_background(job: Coroutine[Any, Any, None]) -> None:
    """Run a job as long as the hub runs; JupyterHub cancels it when it ends, and waits for it.

    The hub reads its configuration within its own event loop.
    """
    _background.add(asyncio.get_running_loop().create_task(job))


def make_log_folder(hooks: Hooks) -> None:
    """Make the folder of the hooks' logs, which only root and the admins may enter."""
    if hooks.log_folder.exists():
        return
    hooks.log_folder.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        os.chown(hooks.log_folder, hooks.admin_uid, hooks.admin_gid)
        hooks.log_folder.chmod(0o750)


def add_notices(server: LabhubDockerSpawner, event: dict[str, Any]) -> dict[str, Any]:
    """Return the last event of a start with its notices, which the page shows before it goes on."""
    return {**event, "notices": server.notices}


def apply_user_options(server: LabhubDockerSpawner, options: Any) -> None:
    """Check the options of a start; called by JupyterHub before `start()`.

    Refused options are not kept: the next start without options would fail by them again.

    Raises:
        HTTPError: they are not allowed; its message is for the user.
    """
    try:
        server.choose(options)
    except profiles.OptionsRefused as error:
        server.user_options = server.orm_spawner.user_options = {}
        raise HTTPError(400, str(error)) from error


def command_line(c: Any, state: State) -> None:
    """The token with which the commands ask the running hub."""
    c.JupyterHub.services = [{"name": "labhub-cli", "api_token": state.cli_token}]
    scopes = ["read:hub", "list:users", "read:servers", "delete:servers", "proxy"]
    role = {"name": "labhub-cli", "services": ["labhub-cli"], "scopes": scopes}
    c.JupyterHub.load_roles.append(role)


def pages(c: Any, settings: Settings) -> None:
    """Templates and what they say."""
    c.JupyterHub.template_paths = [str(TEMPLATES)]
    c.JupyterHub.template_vars = {
        "title": settings.hub.title,
        "contact": settings.hub.contact,
        "demo": settings.is_demo,
    }
