"""Checks of the machine and its engine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker

from cli import PROJECT_FOLDER
from cli.base_image import image_exists
from cli.build import image_is_current
from cli.build_context import read_context
from cli.certificates import extra_ca_files, read_certificates
from cli.checks import Check, describe_room
from cli.engine_process import connect
from cli.machine import Machine, install_command, missing_pieces
from cli.node import find_node
from hub_config.settings import LOCAL_IMAGE, Settings
from spawner.registry import Reference, Registry, RegistryError

OLDEST_ENGINE = (20, 10)
GOOD_DRIVERS = ("overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs")
LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "processors"}
LEAST_ENGINE_BYTES = 3 * 1024**3


def check_system(machine: Machine) -> Iterator[Check]:
    """Look at the system and at our rights."""
    note = "" if machine.is_supported else " (labhub installs no packages here)"
    yield Check("system", f"{machine.title}{note}")
    if machine.is_root:
        yield Check("rights", "root")
    else:
        yield Check("rights", "labhub starts as root: homes belong to their people", "use sudo")


def check_clock() -> Iterator[Check]:
    """Look whether the clock is behind: certificates and sign-ins would fail."""
    newest = (PROJECT_FOLDER / "requirements.lock").stat().st_mtime
    if time.time() < newest - 3600:
        now = time.strftime("%Y-%m-%d %H:%M")
        yield Check(
            "clock", f"it says {now}, before labhub was installed", "timedatectl set-ntp on"
        )
    else:
        yield Check("clock", time.strftime("%Y-%m-%d %H:%M %Z"))


def check_tools(machine: Machine, info: dict[str, Any] | None) -> Iterator[Check]:
    """Look for the programs that a start needs."""
    pieces = missing_pieces(machine, engine_answers=info is not None)
    for piece in pieces:
        fix = install_command(piece.packages)
        yield Check("tools", f"{piece.name} is missing ({piece.reason})", fix)
    node = find_node()
    if not pieces:
        yield Check("tools", f"all there; Node.js at {node.binary}")


def check_engine(settings: Settings, info: dict[str, Any] | None) -> Iterator[Check]:
    """Look at the engine: version, storage, limits and room."""
    if info is None:
        connect(settings.engine, 5)  # says why
        return
    version = str(info.get("ServerVersion", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < OLDEST_ENGINE:
        yield Check("engine", f"version {version} is too old", "install version 20.10 or newer")
    else:
        yield Check("engine", f"version {version} at {settings.engine.socket}")
    driver = str(info.get("Driver"))
    if driver in GOOD_DRIVERS:
        yield Check("storage", driver)
    else:
        fix = "put docker's data-root on ext4 or xfs, or start the engine with overlay2"
        yield Check("storage", f"the driver {driver} copies whole images for every server", fix)
    lacking = [what for key, what in LIMITS.items() if not info.get(key)]
    if lacking:
        fix = "switch the cgroup controllers on (cgroup_enable=memory on the kernel's command line)"
        yield Check("limits", f"the engine cannot limit: {', '.join(lacking)}", fix)
    else:
        yield Check("limits", f"cgroup v{info.get('CgroupVersion', '1')}")
    yield from _check_engine_room(settings, info)


def check_images(settings: Settings, info: dict[str, Any] | None) -> Iterator[Check]:
    """Look whether each profile's image is there, or can be had at the first start."""
    if info is None:
        return
    with connect(settings.engine, 10) as client:
        for name in sorted({profile.image for profile in settings.profile}):
            if name == LOCAL_IMAGE:
                yield _check_own_image(client, settings)
            elif image_exists(client, name):
                yield Check("image", name)
            else:
                yield _check_foreign_image(settings, name)


def _check_own_image(client: docker.APIClient, settings: Settings) -> Check:
    if image_is_current(client, read_context("notebook", settings.build, os.environ)):
        return Check("image", LOCAL_IMAGE)
    message = f"{LOCAL_IMAGE} is missing, or older than its sources"
    return Check("image", message, "./labhub up, or ./labhub images build notebook")


def _check_foreign_image(settings: Settings, name: str) -> Check:
    registry = Registry.of(settings.registry, settings.start.digest_timeout_s)
    try:
        asyncio.run(registry.digest(Reference.parse(name)))
    except (RegistryError, ValueError) as error:
        fix = f"check the profile's image and [registry], then try by hand: docker pull {name}"
        return Check("image", f"{name} is not here, and {error}", fix)
    return Check("image", f"{name} will be pulled at the first start")


def check_ca_files(settings: Settings) -> Iterator[Check]:
    """Look whether the extra certificate authorities of builds can be read."""
    files = extra_ca_files(settings.build.extra_ca_files, os.environ)
    count = len(read_certificates(files))
    yield Check(
        "CA files", f"{count} from {', '.join(map(str, files))}" if files else "none needed"
    )


def _check_engine_room(settings: Settings, info: dict[str, Any]) -> Iterator[Check]:
    root = Path(str(info.get("DockerRootDir", "")))
    if not settings.engine.socket.startswith("unix:") or not root.is_dir():
        return
    room = os.statvfs(root)
    free = room.f_bavail * room.f_frsize
    inodes = describe_room("engine's disk", str(root), room.f_favail, room.f_files, "inodes")
    if free < LEAST_ENGINE_BYTES:
        message = f"{root}: only {free / 1e9:.1f} GB are left"
        yield Check("engine's disk", message, "docker image prune, or make the disk larger")
    elif inodes:
        yield inodes
    else:
        yield Check("engine's disk", f"{free / 1e9:.0f} GB free at {root}")
