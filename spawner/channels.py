"""An image tag as a channel: which image a start gets, and at most one pull for all who wait.

At each start the registry is asked for the digest behind the tag; one answer serves everyone for a
while. Unchanged: go on. Changed: pull once. No answer, or a pull that fails: the last good image,
with a notice. An image without a registry was built on this host: its id is its identity.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from spawner.engine import Engine, EngineError
from spawner.progress import PullProgress
from spawner.registry import Reference, Registry, RegistryError

NOT_NEWEST = (
    "Whether a newer environment exists could not be found out, so you get the last one that was "
    "downloaded. A restart later tries again."
)

Chain = Literal["labhub", "docker-stacks", "none"]
Report = Callable[[float, str], None]
"""Takes the share done, 0 to 1, and one sentence."""


class ImageMissing(Exception):
    """There is no image to start; str() is a text for the log."""


@dataclass(frozen=True)
class Image:
    """What a server is made from.

    Attributes:
        id: The engine's id of the image.
        digest: Its digest in the registry; empty for an image that was built on this host.
        chain: The start chain that it runs: `labhub` (label org.labhub.image), `docker-stacks`, or
            `none`; such an image is started as the person, without hooks.
        waits: Whether its start chain can wait for an owner (label org.labhub.waiter).
        notice: A sentence for the page when the image may not be the newest; else empty.
    """

    id: str
    digest: str
    chain: Chain
    waits: bool = False
    notice: str = ""


@dataclass
class _Pull:
    """One pull under way and those who wait for it."""

    done: asyncio.Future[None]
    progress: PullProgress = field(default_factory=PullProgress)
    listeners: list[Report] = field(default_factory=list)

    def feed(self, event: dict[str, Any]) -> None:
        self.progress.feed(event)
        for listener in self.listeners:
            listener(self.progress.share, self.progress.message)


class Channels:
    """The images of a hub's profiles.

    Args:
        engine: Holds the images.
        registry: Asks for digests.
        shared_s: How long an answer of a registry, good or bad, serves all starts.
    """

    def __init__(self, engine: Engine, registry: Registry, shared_s: float) -> None:
        self._engine, self._registry, self._shared_s = engine, registry, shared_s
        self._answers: dict[str, tuple[float, asyncio.Task[str]]] = {}
        self._pulls: dict[str, _Pull] = {}

    async def image_for_start(self, name: str, report: Report) -> Image:
        """Return the image that a start of `name` gets now; pulls it when it changed.

        Args:
            name: Image reference of a profile.
            report: Told about a pull.

        Raises:
            ImageMissing: there is none on this host and none can be had.
            EngineError: the engine could not be asked.
        """
        reference = Reference.parse(name)
        local = await self._engine.find("inspect_image", name)
        if local and not _digests(local, reference):
            return _image(local, reference)
        if reference.is_pinned:
            if not local:
                await self._pulled(reference, report)
                local = await self._engine.call("inspect_image", name)
            return _image(local, reference)
        try:
            digest = await self._digest(reference)
            if local and digest in _digests(local, reference):
                return _image(local, reference)
            await self._pulled(reference, report)
        except (RegistryError, EngineError) as error:
            if not local:
                raise ImageMissing(
                    f"{name} is not on this host and cannot be had: {error}"
                ) from error
            return _image(local, reference, NOT_NEWEST)
        return _image(await self._engine.call("inspect_image", name), reference)

    async def local_image(self, name: str) -> Image | None:
        """Return the image behind a name on this host, without a question to any registry.

        Raises:
            EngineError: the engine could not be asked.
        """
        local = await self._engine.find("inspect_image", name)
        return _image(local, Reference.parse(name)) if local else None

    async def _digest(self, reference: Reference) -> str:
        """Return the digest behind a tag; one question for all who ask within `shared_s`."""
        key = f"{reference.repository}:{reference.tag}"
        asked, task = self._answers.get(key, (0.0, None))
        if task is None or (task.done() and time.monotonic() - asked > self._shared_s):
            task = asyncio.ensure_future(self._registry.digest(reference))
            self._answers[key] = (time.monotonic(), task)
        return await asyncio.shield(task)

    async def _pulled(self, reference: Reference, report: Report) -> None:
        """Wait until the image is pulled; join a pull that is under way.

        The pull goes on when one of those who wait gives up.
        """
        key = f"{reference.repository}:{reference.tag}"
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = _Pull(asyncio.get_running_loop().create_future())
            task = asyncio.ensure_future(
                self._engine.pull(
                    reference.repository,
                    reference.tag,
                    self._registry.credentials(reference),
                    pull.feed,
                )
            )
            task.add_done_callback(lambda ended: self._end(key, pull, ended))
        pull.listeners.append(report)
        report(pull.progress.share, "Downloading the new environment.")
        try:
            await asyncio.shield(pull.done)
        finally:
            pull.listeners.remove(report)

    def _end(self, key: str, pull: _Pull, task: asyncio.Task[None]) -> None:
        del self._pulls[key]
        error = task.exception()
        if error is None:
            pull.done.set_result(None)
        else:
            pull.done.set_exception(error)
            pull.done.exception()  # seen, should nobody wait any more


def _digests(local: dict[str, Any], reference: Reference) -> set[str]:
    """Return the digests under which a local image came from the reference's repository."""
    pairs = (text.partition("@") for text in local.get("RepoDigests") or ())
    return {digest for repository, _, digest in pairs if repository == reference.repository}


def _image(local: dict[str, Any], reference: Reference, notice: str = "") -> Image:
    digest = min(_digests(local, reference), default="")
    config = local.get("Config") or {}
    return Image(local["Id"], digest, chain_of(config), can_wait(config), notice)


def can_wait(config: dict[str, Any]) -> bool:
    """Tell whether containers of an image can wait for an owner, by the `Config` of its inspection.

    An image that was built on ours and has an entry point of its own cannot.
    """
    waiter = (config.get("Labels") or {}).get("org.labhub.waiter")
    entry_point = config.get("Entrypoint") or [""]
    return waiter == "1" and str(entry_point[-1]).endswith("/startup_scripts/start.sh")


def chain_of(config: dict[str, Any]) -> Chain:
    """Return the start chain that an image runs, by the `Config` of its inspection."""
    if "org.labhub.image" in (config.get("Labels") or {}):
        return "labhub"
    command = " ".join([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())])
    account = any(line.startswith("NB_USER=") for line in config.get("Env") or ())
    started = any(name in command for name in ("start.sh", "start-notebook", "start-singleuser"))
    return "docker-stacks" if account and started else "none"
