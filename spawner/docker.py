"""The spawner for one Docker Engine: DockerSpawner with our sequence of a start."""

from __future__ import annotations

import asyncio
from typing import Any

from docker.types import LogConfig, Mount, Ulimit
from dockerspawner import DockerSpawner

from hub_config.settings import Limits, Profile
from spawner import profiles
from spawner.base import StartSequence
from spawner.chain import chain_environment
from spawner.channels import Chain, Image
from spawner.engine import EngineError
from spawner.naming import home_path, labels
from spawner.shares import extra_groups

CHAIN_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETPCAP", "SETUID")
"""What the start chain needs as root; our images drop all of them before the server runs."""

LOG_LINES_KEPT = 1000


class LabhubDockerSpawner(StartSequence, DockerSpawner):
    """One server in one container; see StartSequence for what happens when."""

    async def docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call the engine; DockerSpawner's own way has one thread for all users."""
        return await self.shared.engine.call(method, *args, **kwargs)

    @property
    def client(self) -> Any:
        """Return the client that the engine's lane shares."""
        return self.shared.engine.client

    @property
    def mount_binds(self) -> list[Mount]:
        """Return the mounts of the start under way, for `create_object`."""
        return self.mounts_used

    def profile_form(self) -> str:
        """Return the form of profiles; called, as `options_form`, when the spawn page is shown."""
        allowed = profiles.allowed_profiles(self.shared.settings.profile, self.groups)
        return profiles.render_form(allowed, (self.user_options or {}).get("profile", ""))

    def get_env(self) -> dict[str, str]:
        """Return the environment of the container."""
        settings = self.shared.settings
        url = settings.openbis.url
        chain = chain_environment(
            settings.hooks,
            self.person,
            settings.start.umask,
            extra_groups(settings.share, self.groups),
            self.choose(self.user_options).sudo,
        )
        return {**super().get_env(), **({"OPENBIS_URL": url} if url else {}), **chain}

    def apply_limits(self, profile: Profile, image: Image) -> None:
        """Set what `create_object` passes to the engine for a profile and an image."""
        limits = self.shared.settings.limits
        self.image = image.id
        self.mem_limit = int((profile.memory_gib or limits.memory_gib) * 2**30)
        self.cpu_limit = profile.cpu or limits.cpu
        self.extra_create_kwargs = {
            "user": "0:0",
            "labels": labels(self.shared.state.hub_id, "server"),
            "hostname": self.person.slug,
        }
        if image.chain == "none":  # nothing in it would drop root's rights
            person = self.person
            as_person = {"user": f"{person.uid}:{person.gid}", "working_dir": home_path(person)}
            self.extra_create_kwargs |= as_person
        self.extra_host_config = host_config(limits, self.mem_limit, profile.sudo, image.chain)

    async def stop_object(self) -> None:
        """Stop the container; one that is gone is stopped."""
        await self._unless_gone("stop", self.object_id)

    async def remove_object(self) -> None:
        """Remove the container, after its log was kept where that is possible."""
        try:
            await self._keep_log()
        except (OSError, EngineError) as error:  # a full disk, say; it must not stay full by this
            self.log.warning("The log of %s is lost: %s", self.object_name, error)
        await self._unless_gone("remove_container", self.object_id, v=True, force=True)

    async def _unless_gone(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return await self.docker(method, *args, **kwargs)
        except EngineError as error:
            if not error.is_missing:
                raise
            return None

    async def _keep_log(self) -> None:
        """Write the last lines of the container's log to data/logs/servers/, before it is lost."""
        log = await self._unless_gone("logs", self.object_id, tail=LOG_LINES_KEPT)
        folder = self.shared.state.logs_folder / "servers"
        await asyncio.to_thread(folder.mkdir, mode=0o700, exist_ok=True)
        await asyncio.to_thread((folder / f"{self.object_name}.log").write_bytes, log or b"")


def host_config(limits: Limits, memory: int, sudo: bool, chain: Chain) -> dict[str, Any]:
    """Return the part of the engine's HostConfig that bounds and confines a server.

    Args:
        limits: `[limits]` of the settings.
        memory: Memory, bytes; as much again of swap is not given.
        sudo: Whether the profile grants sudo.
        chain: The image's start chain; docker-stacks' drops privileges by sudo.
    """
    capabilities = [] if chain == "none" else list(CHAIN_CAPABILITIES)
    security = ["no-new-privileges:true"]
    if chain == "docker-stacks" or (sudo and chain == "labhub"):
        capabilities.append("AUDIT_WRITE")
        security = []
    files = limits.open_files
    return {
        # the engine would remove the container together with the log of why it ended
        "auto_remove": False,
        "restart_policy": {"Name": "no"},
        "cap_drop": ["ALL"],
        "cap_add": capabilities,
        "security_opt": security,
        "memswap_limit": memory,
        "pids_limit": limits.processes,
        "ulimits": [Ulimit(name="nofile", soft=files, hard=files)],
        "log_config": LogConfig(
            type=LogConfig.types.JSON,
            config={"max-size": f"{limits.log_mib}m", "max-file": "1"},
        ),
    }
