"""Checks of the hub's own folders, files, ports and processes."""

from __future__ import annotations

import importlib.util
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from cli import PROJECT_FOLDER
from cli.checks import Check, describe_room
from cli.hub_api import HubAPI
from cli.ports import Claim, check_port
from cli.processes import Process
from hub_config.settings import DirectoryHome, DirectoryShare, Settings
from hub_config.state import State
from spawner.homes import is_mounted
from spawner.records import on_tmpfs

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
    logs = settings.hooks.log_folder
    if logs.exists() and not logs.is_dir():
        yield Check("shares", f"{logs} is no folder", f"remove it: rm {logs}")


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
    hooks, trust = settings.hooks, _load_trust()
    admin = trust.Admin(hooks.admin_uid, hooks.admin_gid)
    required = {"as-root.sh": hooks.as_root, "as-user.sh": hooks.as_user}
    for name in HOOKS:
        path = hooks.folder / name
        try:
            admin.check(str(hooks.folder), hooks.folder.lstat())
            found = path.lstat()
            admin.check(str(path), found)
        except FileNotFoundError:
            if required[name] == "required":
                yield Check("hooks", f"{path} is required and missing", f"put it there: {path}")
            else:
                yield Check("hooks", f"no {name}")
            continue
        except trust.Refused as refusal:
            message, _, fix = str(refusal).partition(": run ")
            yield Check("hooks", message, f"{fix or 'put the file itself there'}: {path}")
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            yield Check("hooks", f"{path} is a link or no file", "put the file itself there")
        else:
            yield Check("hooks", str(path))


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
    if not proxy.identity():
        wanted = settings.hub
        check_port(Claim(wanted.bind, wanted.port, "hub.port", "the hub's address"))
        check_port(Claim("127.0.0.1", wanted.proxy_api_port, "hub.proxy_api_port", "the proxy"))
        yield Check("ports", f"{wanted.port} and {wanted.proxy_api_port} are free")
    elif hub.identity():
        if version := HubAPI(settings).version():
            yield Check("answer", f"JupyterHub {version} answers at {settings.hub.url}")
        else:
            message = "the hub runs and does not answer"
            yield Check("answer", message, f"read {hub.log_file}; ./labhub down; ./labhub up")


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
