"""The containers of servers: what the engine is asked to make, and the calls that do it.

A container is made without an owner and claimed afterwards where its image can wait for one; other
images get environment and mounts when they are made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import HostConfig, LogConfig, Mount, Ulimit

from hub_config.settings import Limits, Profile
from spawner.channels import Chain, Image
from spawner.engine import Engine, EngineError
from spawner.naming import labels, network

_log = logging.getLogger("labhub")

CHAIN_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETPCAP", "SETUID")
"""What the start chain needs as root; our images drop all of them before the server runs."""

WAIT = "labhub-wait"
"""The command at which our start chain waits for an owner."""

HOSTNAME = "labhub"
"""The host name inside; the owner of a container is not known when it is made."""

LOG_LINES_KEPT = 1000
CPU_PERIOD_US = 100_000
CPU_SHARES = 1024
CPU_SHARES_OF_STANDBY = 2
"""The least that the engine takes: a standby imports only while nobody else wants a processor."""


@dataclass(frozen=True)
class Container:
    """A container that was made.

    Attributes:
        id: The engine's id.
        ip: Its address on the hub's network; empty when it ended before it could be asked for.
        pid: Its first process, as the host counts; 0 when it ended.
    """

    id: str
    ip: str
    pid: int


def describe(
    image: Image, limits: Limits, profile: Profile, network: str, mounts: Iterable[Mount]
) -> dict[str, Any]:
    """Return the arguments of docker-py's `create_container`, but for name, labels and owner.

    Args:
        image: What it is made from.
        limits: `[limits]` of the settings.
        profile: May set its own cpu and memory, and grants sudo.
        network: Name of the hub's network.
        mounts: All mounts that the engine makes.
    """
    host = {"network_mode": network, "mounts": list(mounts), **confine(limits, profile, image)}
    return {
        "image": image.id,
        "hostname": HOSTNAME,
        "user": "0:0",
        "host_config": HostConfig(version="1.41", **host),
        **({"command": [WAIT]} if image.waits else {}),
    }


def memory_gib(limits: Limits, profile: Profile) -> float:
    """Return a server's memory limit, GiB."""
    return profile.memory_gib or limits.memory_gib


def confine(limits: Limits, profile: Profile, image: Image) -> dict[str, Any]:
    """Return the part of the engine's HostConfig that bounds and confines a server."""
    memory = int(memory_gib(limits, profile) * 2**30)
    capabilities, security = _rights(profile.sudo, image.chain)
    files = limits.open_files
    return {
        # the engine would remove the container together with the log of why it ended
        "auto_remove": False,
        "restart_policy": {"Name": "no"},
        "cap_drop": ["ALL"],
        "cap_add": capabilities,
        "security_opt": security,
        "mem_limit": memory,
        "memswap_limit": memory,  # as much again of swap is not given
        "cpu_period": CPU_PERIOD_US,
        "cpu_quota": int((profile.cpu or limits.cpu) * CPU_PERIOD_US),
        "pids_limit": limits.processes,
        "ulimits": [Ulimit(name="nofile", soft=files, hard=files)],
        "log_config": LogConfig(
            type=LogConfig.types.JSON,
            config={"max-size": f"{limits.log_mib}m", "max-file": "1"},
        ),
    }


def _rights(sudo: bool, chain: Chain) -> tuple[list[str], list[str]]:
    """Return capabilities and security options; docker-stacks' chain drops privileges by sudo."""
    if chain == "none":  # nothing in it would drop root's rights
        return [], ["no-new-privileges:true"]
    if chain == "docker-stacks" or sudo:
        return [*CHAIN_CAPABILITIES, "AUDIT_WRITE"], []
    return list(CHAIN_CAPABILITIES), ["no-new-privileges:true"]


class Containers:
    """Makes, starts and removes a hub's servers on the engine.

    Args:
        engine: The engine.
        log_folder: Where the last lines of each removed container's log are kept.
    """

    def __init__(self, engine: Engine, log_folder: Path) -> None:
        self._engine, self._log_folder = engine, log_folder

    async def create(self, name: str, kind: str, arguments: dict[str, Any]) -> str:
        """Create a container; return its id.

        Args:
            name: Its name.
            kind: `server` or `standby`.
            arguments: As `describe` returns them.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        made = await self._engine.call(
            "create_container", name=name, labels=labels(self._engine.hub_id, kind), **arguments
        )
        return str(made["Id"])

    async def start(self, container_id: str) -> Container:
        """Start a container; return where it is.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        await self._engine.call("start", container_id)
        found = await self._engine.call("inspect_container", container_id)
        networks = found["NetworkSettings"]["Networks"]
        ip = str(networks[network(self._engine.hub_id)]["IPAddress"])
        return Container(container_id, ip, found["State"]["Pid"])

    async def rename(self, container_id: str, name: str) -> None:
        """Give a standby its owner's name.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        await self._engine.call("rename", container_id, name)

    async def give_full_share(self, container_id: str) -> None:
        """Let a standby that has done its imports have as much of the processors as any server.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        await self._engine.call("update_container", container_id, cpu_shares=CPU_SHARES)

    async def remove(self, container: str) -> None:
        """Remove a container, after its log was kept where that is possible; none is fine.

        Args:
            container: Its name or id.

        Raises:
            EngineError: the engine refused, or could not be asked.
        """
        found = await self._engine.find("inspect_container", container)
        if found is None:
            return
        try:
            await self._keep_log(found["Id"], found["Name"].strip("/"))
        except (OSError, EngineError) as error:  # a full disk, say; it must not stay full by this
            _log.warning("The log of %s is lost: %s", found["Name"], error)
        await self._engine.find("remove_container", found["Id"], True, False, True)

    async def _keep_log(self, container_id: str, name: str) -> None:
        """Write the last lines of a container's log to data/logs/servers/, before it is lost."""
        log = await self._engine.call("logs", container_id, tail=LOG_LINES_KEPT)
        await asyncio.to_thread(self._log_folder.mkdir, mode=0o700, exist_ok=True)
        await asyncio.to_thread((self._log_folder / f"{name}.log").write_bytes, log)
