"""Checks of the hub's own folders, files, ports and processes."""

from __future__ import annotations

import importlib.util
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import docker.errors

from cli import PROJECT_FOLDER
from cli.checks import Check, describe_room
from cli.engine_process import connect
from cli.errors import EngineAway
from cli.hub_api import HubAPI
from cli.ports import Claim, check_port
from cli.processes import Process
from hub_config.settings import DirectoryHome, DirectoryShare, Hooks, Settings
from hub_config.state import State
from spawner.homes import is_mounted
from spawner.naming import network
from spawner.runtimes import on_tmpfs

HOOKS = ("as-root.sh", "as-user.sh")
OPEN_FOLDERS = ("admin", "homes")
"""Folders in the data folder that others than the hub own; the data folder itself keeps all out."""


def check_state(state: State) -> Iterator[Check]:
    """Look whether state and secrets are closed to others."""
    if not state.folder.exists():
        yield Check("state", f"{state.folder} will be made by the first start")
        return
    count = 0
    for path in _state_paths(state.folder):
        found = path.lstat()
        if stat.S_IMODE(found.st_mode) & 0o077 and not path.is_symlink():
            count += 1
            yield Check("state", f"{path} is open to others", f"chmod go= {path}")
    if not count:
        yield Check("state", f"{state.folder} is closed to others")


def check_data_room(settings: Settings) -> Iterator[Check]:
    """Look at the room for state and homes."""
    folders = [settings.hub.data_folder]
    if isinstance(settings.home, DirectoryHome):
        folders.append(settings.home.folder)
    for folder in folders:
        if not folder.is_dir():
            continue
        room = os.statvfs(folder)
        size = describe_room("disk", str(folder), room.f_bavail, room.f_blocks, "space")
        inodes = describe_room("disk", str(folder), room.f_favail, room.f_files, "inodes")
        free = room.f_bavail * room.f_frsize / 1e9
        yield size or inodes or Check("disk", f"{free:.0f} GB free at {folder}")


def check_homes(settings: Settings) -> Iterator[Check]:
    """Look whether the file system of the homes is there."""
    home = settings.home
    if not isinstance(home, DirectoryHome):
        yield Check("homes", f"kind {home.kind}: the engine mounts them")
    elif home.require_mount and not is_mounted(home.folder):
        message = f"{home.folder}: no file system is mounted there, so nobody's server is started"
        yield Check("homes", message, f"mount it: mount {home.folder}")
    else:
        yield Check("homes", str(home.folder))


def check_shares(settings: Settings) -> Iterator[Check]:
    """Look whether the folders that servers are given are there: the engine makes none."""
    folders = {
        f"share {share.name}": share.folder
        for share in settings.share
        if isinstance(share, DirectoryShare)
    }
    made_by_up = settings.hub.data_folder
    for name, folder in folders.items():
        if folder.is_dir():
            yield Check("shares", f"{name}: {folder}")
        elif folder.is_relative_to(made_by_up) and not made_by_up.exists():
            yield Check("shares", f"{name}: {folder} will be made by the first start")
        else:
            message = f"{name}: {folder} is missing, so nobody's server starts"
            yield Check("shares", message, f"mkdir -p {folder}, or correct hub.toml")


def check_runtime(settings: Settings) -> Iterator[Check]:
    """Look whether the servers' runtime directories lie in memory."""
    folder = settings.hub.runtime_folder
    if not folder.exists() or on_tmpfs(folder):
        yield Check(
            "runtime", f"{folder}{'' if folder.exists() else ' is made by the first start'}"
        )
    else:
        fix = f"mount -t tmpfs -o size=64m,mode=0700,nosuid,nodev,noexec labhub {folder}"
        yield Check("runtime", f"{folder} is not on a tmpfs: tokens would reach a disk", fix)


def check_hooks(settings: Settings) -> Iterator[Check]:
    """Look whether the hooks would be run, by the very rules of the start chain."""
    hooks = settings.hooks
    required = {"as-root.sh": hooks.as_root, "as-user.sh": hooks.as_user}
    for name in HOOKS:
        yield _check_hook(hooks, hooks.folder / name, required[name] == "required")


def check_hook_logs(settings: Settings) -> Iterator[Check]:
    """Look whether the hooks' logs have a place; a link is none, as the hub follows no links."""
    folder = settings.hooks.log_folder
    try:
        is_folder = stat.S_ISDIR(folder.lstat().st_mode)
    except FileNotFoundError:
        if settings.hub.data_folder.exists():
            message = f"{folder} is missing, so the hooks' logs are lost"
            yield Check("hook logs", message, "./labhub down; ./labhub up")
        else:
            yield Check("hook logs", f"{folder} will be made by the first start")
        return
    if is_folder:
        yield Check("hook logs", str(folder))
    else:
        message = f"{folder} is a link or no directory, so the hooks' logs are lost"
        fix = f"mv {folder} {folder}.old; ./labhub down; ./labhub up"
        yield Check("hook logs", message, fix)


def check_processes(settings: Settings, state: State) -> Iterator[Check]:
    """Look at the hub, the proxy and their ports."""
    proxy, hub = Process("proxy", state), Process("hub", state)
    for process in (proxy, hub):
        if identity := process.identity():
            yield Check(process.name, f"runs as process {identity.pid}")
        elif process.pid_file.exists():
            message = f"it has stopped by itself; its log: {process.log_file}"
            yield Check(process.name, message, "./labhub up")
        else:
            yield Check(process.name, "is not running")
    if claims := _claims(settings, state, hub=hub, proxy=proxy):
        for claim in claims:
            check_port(claim)
        yield Check("ports", f"free: {', '.join(str(claim.port) for claim in claims)}")
    if proxy.identity() and hub.identity():
        if version := HubAPI(settings).version():
            yield Check("answer", f"JupyterHub {version} answers at {settings.hub.url}")
        else:
            message = "the hub runs and does not answer"
            yield Check("answer", message, f"read {hub.log_file}; ./labhub down; ./labhub up")


def _claims(settings: Settings, state: State, *, hub: Process, proxy: Process) -> list[Claim]:
    """Return the ports that the next start would take."""
    wanted, claims = settings.hub, []
    if not proxy.identity():
        claims += [
            Claim(wanted.bind, wanted.port, "hub.port", "the hub's address"),
            Claim("127.0.0.1", wanted.proxy_api_port, "hub.proxy_api_port", "the proxy's own API"),
        ]
    if not hub.identity() and (gateway := _gateway(settings, state)):
        claims.append(
            Claim(gateway, wanted.hub_port, "hub.hub_port", "where servers reach the hub")
        )
    return claims


def _gateway(settings: Settings, state: State) -> str:
    """Return the address where servers reach the hub; empty before the first start made it."""
    if not (state.folder / "hub-id").exists():  # to ask for the id would make one
        return ""
    try:
        with connect(settings.engine, 5) as client:
            found = client.inspect_network(network(state.hub_id))
    except (EngineAway, docker.errors.NotFound):
        return ""
    return str(found["IPAM"]["Config"][0]["Gateway"])


def _check_hook(hooks: Hooks, path: Path, is_required: bool) -> Check:
    trust = _load_trust()
    admin = trust.Admin(hooks.admin_uid, hooks.admin_gid)
    looked_at = hooks.folder
    try:
        admin.check(str(looked_at), looked_at.lstat())
        looked_at, found = path, path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            return Check("hooks", f"{path} is a link or no file", "put the file itself there")
        admin.check(str(path), found)
    except FileNotFoundError:
        if is_required:
            return Check("hooks", f"{path} is required and missing", f"put it there: {path}")
        return Check("hooks", f"no {path.name}")
    except trust.Refused as refusal:
        message, _, advice = str(refusal).partition(": run ")
        command = advice.removesuffix(" on it") or f"chown {hooks.admin_uid}:{hooks.admin_gid}"
        return Check("hooks", message, f"{command} {looked_at}")
    return Check("hooks", str(path))


def _state_paths(folder: Path) -> Iterator[Path]:
    yield folder
    for path in sorted(folder.iterdir()):
        if path.name in OPEN_FOLDERS:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from sorted(path.iterdir())


def _load_trust() -> ModuleType:
    """Load the start chain's own rules; they are programs of the container, not a package."""
    file = PROJECT_FOLDER / "startup_scripts" / "operator_hooks" / "trust.py"
    spec = importlib.util.spec_from_file_location("labhub_hook_trust", file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(2, "cannot be loaded", str(file))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
