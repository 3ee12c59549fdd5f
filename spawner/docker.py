"""The spawner for one Docker Engine: DockerSpawner with our sequence of a start."""

from __future__ import annotations

from typing import Any

from dockerspawner import DockerSpawner

from hub_config.settings import Profile
from spawner import profiles
from spawner.base import StartSequence
from spawner.chain import chain_environment
from spawner.channels import Image
from spawner.containers import memory_gib
from spawner.shares import extra_groups


class LabhubDockerSpawner(StartSequence, DockerSpawner):
    """One server in one container; see StartSequence for what happens when."""

    async def docker(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call the engine; DockerSpawner's own way has one thread for all users."""
        return await self.shared.engine.call(method, *args, **kwargs)

    @property
    def client(self) -> Any:
        """Return the client that the engine's lane shares."""
        return self.shared.engine.client

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

    def set_limits(self, profile: Profile, image: Image) -> None:
        """Set what `get_env` tells the server about its image and limits."""
        limits = self.shared.settings.limits
        self.image = image.id
        self.mem_limit = int(memory_gib(limits, profile) * 2**30)
        self.cpu_limit = profile.cpu or limits.cpu
