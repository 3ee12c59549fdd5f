"""Standbys: servers that wait for an owner, their program already imported.

This module keeps as many as the settings want: they are made one at a time and only while nobody
starts a server; those that are too old, dead or of another image are replaced, and all are removed
when the hub ends. What a hub that was killed left behind is removed when the next one starts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from docker.types import Mount

from hub_config.settings import Profile, Settings
from spawner.channels import Channels, Image
from spawner.engine import EngineError
from spawner.mounting import Mounter
from spawner.queue import StartQueue
from spawner.warming import Standby, StandbyFailed, Warming

CHECK_S = 15.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
"""After a standby that could not be made: how long none is tried."""

TYPICAL_KIB = 80 * 1024
"""What one is taken to need before the first has told what it needs."""

_log = logging.getLogger("labhub")


@dataclass
class Standbys:
    """Keeps a hub's standbys.

    Attributes:
        settings: All settings.
        warming: Makes them.
        channels: Knows the images.
        mounter: Without it there are none.
        queue: Whoever starts a server goes before.
    """

    settings: Settings
    warming: Warming
    channels: Channels
    mounter: Mounter
    queue: StartQueue
    _ready: list[Standby] = field(default_factory=list)
    _removals: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _began: float = field(default_factory=time.time)
    _checked_at: float = 0.0
    _not_before: float = 0.0
    _pause_s: float = FIRST_PAUSE_S

    def take(self, profile: str, image: Image, given: list[Mount]) -> Standby | None:
        """Take a standby that fits off the list; None when there is none.

        There is no await in it: two people who come at the same instant never get the same one.

        Args:
            profile: Name of the profile.
            image: What the server must be made from.
            given: What the engine must have mounted.
        """
        self._wake.set()
        for standby in self._ready:
            fits = (standby.profile, standby.image_id) == (profile, image.id)
            if fits and standby.given == given and not self._is_old(standby):
                self._ready.remove(standby)
                return standby
        self._checked_at = 0.0  # those that are there may be of an image before
        return None

    async def keep(self) -> None:
        """Keep the standbys, until it is cancelled; then remove them."""
        try:
            begun = False
            while True:
                self._wake.clear()
                try:
                    begun = begun or await self._begin()
                    busy = not begun or await self._look_after_all()
                except Exception:  # a fault of ours; without standbys everything still works
                    _log.exception("The standbys could not be looked after")
                    busy = False
                try:
                    async with asyncio.timeout(1 if busy else CHECK_S):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            for standby in list(self._ready):
                self._discard(standby)
            if self._removals:
                await asyncio.wait(self._removals)

    async def _begin(self) -> bool:
        """Find out what works here, and clean up after a hub that was killed.

        Returns:
            Whether the engine answered.
        """
        settings = self.settings
        try:
            engine = await self.warming.engine.call("info")
            socket, folder = settings.engine.socket, settings.hub.runtime_folder
            await self.mounter.try_out(folder, engine, socket)
            await self.warming.remove_left_over(self._began)
        except (EngineError, OSError) as error:
            _log.warning("What an earlier hub left could not be removed yet: %s", error)
            return False
        if reason := self.mounter.why_not:
            _log.warning("There are no standbys, every start is a cold one: %s.", reason)
        return True

    async def _look_after_all(self) -> bool:
        """Replace what does not fit, and make what is missing; tell whether more is to be made."""
        wanted = wanted_standbys(self.settings) if self.mounter.works else {}
        check_all = time.monotonic() - self._checked_at >= CHECK_S
        try:
            for profile in self.settings.profile:
                image = await self.channels.local_image(profile.image)
                if check_all:
                    await self._drop_unfit(profile, image)
                    self._checked_at = time.monotonic()
                while image and image.waits and self._lacks(profile, wanted.get(profile.name, 0)):
                    if not self.queue.is_idle:
                        return True
                    if time.monotonic() < self._not_before:
                        return False
                    self._ready.append(await self.warming.make(profile, image))
                    self._pause_s = FIRST_PAUSE_S
        except (EngineError, StandbyFailed, OSError) as error:
            _log.warning("No standby can be made for %g s: %s", self._pause_s, error)
            self._not_before = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return False

    def _lacks(self, profile: Profile, count: int) -> bool:
        """Tell whether a profile has fewer standbys than `count`, and memory allows one more."""
        have = sum(standby.profile == profile.name for standby in self._ready)
        sizes = [standby.memory_kib for standby in self._ready]
        needed = sum(sizes) + max(sizes, default=TYPICAL_KIB)
        return have < count and needed <= self.settings.standby.memory_gib * 2**20

    def _is_old(self, standby: Standby) -> bool:
        return time.monotonic() - standby.made_at > self.settings.standby.max_age_s

    async def _drop_unfit(self, profile: Profile, image: Image | None) -> None:
        """Remove the standbys of a profile that are too old, of another image, or not alive."""
        for standby in [each for each in self._ready if each.profile == profile.name]:
            fits = image is not None and image.id == standby.image_id and not self._is_old(standby)
            is_fit = fits and await self.warming.is_alive(standby)
            if not is_fit and standby in self._ready:  # else it was claimed meanwhile
                self._discard(standby)

    def _discard(self, standby: Standby) -> None:
        """Take a standby off the list and remove it in the background."""
        self._ready.remove(standby)
        task = asyncio.ensure_future(self.warming.remove(standby.id, standby.container.id))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)


def wanted_standbys(settings: Settings) -> dict[str, int]:
    """Return how many standbys each profile is to have, by its name.

    None where the home cannot be bound late: only folders of this host can.
    """
    if settings.home.kind != "directory":
        return {}
    return {
        profile.name: profile.standbys if profile.standbys is not None else 2 * (place == 0)
        for place, profile in enumerate(settings.profile)
    }
