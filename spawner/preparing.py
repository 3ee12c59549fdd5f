"""What a start needs before its container: the home, the image, the mounts, and a turn.

All of it may take long for reasons of its own, and is done before JupyterHub's `start_timeout`
runs; each part has a deadline of its own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from docker.types import Mount

from hub_config.people import Person
from hub_config.settings import Profile
from spawner import diagnosis
from spawner.chain import hook_mounts
from spawner.channels import Image
from spawner.diagnosis import StartFailed
from spawner.homes import ask_storage, prepare_home
from spawner.naming import ServerNames
from spawner.progress import Progress
from spawner.queue import Place
from spawner.shared import Shared
from spawner.shares import share_mount, visible_shares


@dataclass(frozen=True)
class Owner:
    """Whose server it is.

    Attributes:
        person: The owner.
        names: The names of the server.
        server_name: JupyterHub's name of a named server; empty for the default one.
        groups: Names of the owner's groups.
    """

    person: Person
    names: ServerNames
    server_name: str
    groups: set[str]


@dataclass(frozen=True)
class Prepared:
    """What a start has got.

    Attributes:
        image: What the container is made from.
        mounts: All that is the owner's in it: the home first, the shares, the hooks.
        place: The place at which the server starts.
    """

    image: Image
    mounts: list[Mount]
    place: Place


@dataclass(frozen=True)
class Preparation:
    """The first stages of one start.

    Attributes:
        shared: What all servers share.
        owner: Whose server.
        profile: The chosen profile.
        progress: Told each stage.
    """

    shared: Shared
    owner: Owner
    profile: Profile
    progress: Progress

    async def run(self) -> Prepared:
        """Open the home, get the image, and wait for a turn.

        Raises:
            HomeError: the home cannot be used.
            ImageMissing: there is no image.
            StartFailed: the image cannot do what is required, or the wait was too long.
            EngineError: the engine could not be asked.
        """
        by_helper = self.shared.settings.home.kind != "directory"
        # a home on this host is checked before a pull is begun; the other kinds need the image
        home = None if by_helper else await self._prepare_home("")
        image = await self._find_image()
        home = home or await self._prepare_home(image.id)
        mounts = [home, *self._share_mounts(), *await self._hook_mounts(image)]
        return Prepared(image, mounts, await self._wait_for_turn())

    async def _prepare_home(self, image_id: str) -> Mount:
        tell, engine = self.progress.tell, self.shared.engine
        tell("home", "running", "Opening your home.")
        home = self.shared.settings.home
        mount, notice = await prepare_home(engine, home, self.owner.person, image_id)
        tell("home", "warning" if notice else "done", notice or "Your home is ready.", 1)
        return mount

    async def _find_image(self) -> Image:
        tell, hooks = self.progress.tell, self.shared.settings.hooks
        tell("image", "running", "Looking for the newest environment.")
        image = await self.shared.channels.image_for_start(
            self.profile.image,
            lambda share, message: tell("image", "running", message, share),
        )
        if image.chain == "none" and "required" in (hooks.as_root, hooks.as_user):
            raise StartFailed(diagnosis.of_image_without_chain(self.profile.image))
        if image.notice:
            tell("image", "warning", image.notice, 1)
        else:
            tell("image", "done", "The environment is up to date.")
        return image

    async def _wait_for_turn(self) -> Place:
        def tell(place: int, waiting: int) -> None:
            message = f"Many servers start just now. You are number {place} of {waiting} in line."
            self.progress.tell("queue", "running", message, 1 - place / (waiting + 1))

        limit_s = self.shared.settings.start.queue_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                place = await self.shared.queue.enter(tell)
        except TimeoutError as error:
            raise StartFailed(diagnosis.of_long_queue(limit_s)) from error
        if self.progress.stage == "queue":
            self.progress.tell("queue", "done", "It is your turn.")
        return place

    def _share_mounts(self) -> list[Mount]:
        hub_id, groups = self.shared.state.hub_id, self.owner.groups
        shares = visible_shares(self.shared.settings.share, groups)
        return [share_mount(hub_id, share, groups) for share in shares]

    async def _hook_mounts(self, image: Image) -> list[Mount]:
        hooks = self.shared.settings.hooks
        try:
            return await ask_storage(hook_mounts, hooks, image.chain)
        except TimeoutError as error:
            raise StartFailed(diagnosis.of_mount("stalled", str(hooks.folder))) from error
