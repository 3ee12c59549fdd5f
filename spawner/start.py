"""One start of one server: its stages, from the home to the open port.

What takes long for reasons of its own comes first, each part with a deadline of its own: the home,
the image, the queue. Then a container is *claimed*: a standby that waits, or a new container that
waits as soon as it runs; record, mounts and environment are the same for both. Images that cannot
wait get all of it when their container is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from docker.types import Mount

from hub_config.people import Person
from hub_config.settings import Profile
from spawner import diagnosis
from spawner.chain import hook_mounts, runtime_mounts
from spawner.channels import Image
from spawner.claim import ClaimFailed, NotWaiting, hand_over
from spawner.containers import Container, describe, memory_gib
from spawner.diagnosis import StartFailed
from spawner.engine import EngineError
from spawner.homes import ask_storage, prepare_home
from spawner.hooks import HookReport, keep_hook_logs
from spawner.mount_helper import RefusedSource
from spawner.mounting import Bind, MountError, check_sources, split_mounts
from spawner.naming import ServerNames, home_path, network
from spawner.progress import Progress
from spawner.queue import Place
from spawner.records import REPORT, Record
from spawner.shared import Shared
from spawner.shares import share_mount, visible_shares
from spawner.waiting import ServerWait
from spawner.warming import Standby

_log = logging.getLogger("labhub")


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


@dataclass
class ServerStart:
    """One start.

    Attributes:
        shared: What all servers share.
        owner: Whose server.
        profile: The chosen profile.
        progress: Told each stage.
        place: The place at which it starts, once its turn has come.
        image: What it is made from, once that is known.
    """

    shared: Shared
    owner: Owner
    profile: Profile
    progress: Progress
    place: Place | None = None
    image: Image = field(init=False)
    _mounts: list[Mount] = field(init=False)
    _runtime: Path = field(init=False)
    _report: HookReport = field(init=False)

    # --- before JupyterHub's clock runs ---------------------------------------------------------

    async def prepare(self) -> None:
        """Open the home, get the image, and wait for a place to start at.

        Raises:
            HomeError: the home cannot be used.
            ImageMissing: there is no image.
            StartFailed: the image cannot do what is required, or the wait was too long.
            EngineError: the engine could not be asked.
        """
        by_helper = self.shared.settings.home.kind != "directory"
        # a home on this host is checked before a pull is begun; the other kinds need the image
        home = None if by_helper else await self._prepare_home("")
        self.image = await self._find_image()
        home = home or await self._prepare_home(self.image.id)
        self._mounts = [home, *self._share_mounts(), *await self._hook_mounts()]
        await self._queue_up()

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

    async def _queue_up(self) -> None:
        def tell(place: int, waiting: int) -> None:
            message = f"Many servers start just now. You are number {place} of {waiting} in line."
            self.progress.tell("queue", "running", message, 1 - place / (waiting + 1))

        limit_s = self.shared.settings.start.queue_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                self.place = await self.shared.queue.enter(tell)
        except TimeoutError as error:
            raise StartFailed(diagnosis.of_long_queue(limit_s)) from error
        if self.progress.stage == "queue":
            self.progress.tell("queue", "done", "It is your turn.")

    # --- while JupyterHub's clock runs ----------------------------------------------------------

    async def make(self, environment: Mapping[str, str], token: str) -> Container:
        """Get a container that is the owner's: a standby, or a new one.

        Raises:
            StartFailed: it ended, or nobody claimed it in time.
            EngineError: the engine refused, or could not be asked.
        """
        self.progress.tell("container", "running", "Making your server.")
        record = self._record(token)
        given, binds = split_mounts(self._mounts)
        # taken before the first await: nobody else gets the same one
        standby = self.shared.standbys.take(self.profile.name, self.image, given)
        container = await self._claim_standby(standby, record, binds, environment)
        container = container or await self._make_cold(record, given, binds, environment)
        self.progress.tell("container", "done", "Your server is made.")
        return container

    async def _claim_standby(
        self,
        standby: Standby | None,
        record: Record,
        binds: list[Bind],
        environment: Mapping[str, str],
    ) -> Container | None:
        """Make a standby the owner's; None when there is none or it failed, and then it is gone."""
        if standby is None:
            return None
        container = standby.container
        record = replace(record, container_id=container.id, runtime=standby.id)
        self._use_runtime(standby.id)
        try:
            await self._keep(record)
            await asyncio.gather(
                self.shared.containers.give_name(container.id, record.container),
                self._bind(container, binds),
            )
            await hand_over(self._runtime, dict(environment))
            await self._keep(replace(record, is_claimed=True))
        except (ClaimFailed, NotWaiting, MountError, EngineError, OSError) as error:
            _log.warning("%s: standby %s failed: %s", record.user, standby.id, error)
            # it may have the home: it must be gone before another one gets it
            await self.shared.containers.remove(container.id)
            await asyncio.to_thread(self.shared.runtimes.close, standby.id)
            return None
        return container

    async def _keep(self, record: Record) -> None:
        """Write the record; who cancels the start waits for it, and so cleans up after it."""
        writing = asyncio.ensure_future(asyncio.to_thread(self.shared.records.write, record))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            raise

    async def _make_cold(
        self,
        record: Record,
        given: list[Mount],
        binds: list[Bind],
        environment: Mapping[str, str],
    ) -> Container:
        """Make a new container that is claimed at once, its mounts bound late where possible."""
        if self.image.waits and self.shared.mounter.works:
            try:
                return await self._make_new(record, given, binds, environment)
            except MountError as error:
                if error.is_missing:
                    raise StartFailed(diagnosis.of_engine(error, missing_folder=True)) from error
                if error.is_refused:
                    raise StartFailed(diagnosis.of_unsafe_folder(str(error))) from error
                _log.error("%s: mounting failed: %s", record.user, error)
            await self.shared.containers.remove(record.container)
        await self._refuse_unsafe_folders()
        return await self._make_new(record, self._mounts, [], environment)

    async def _make_new(
        self,
        record: Record,
        mounts: list[Mount],
        binds: list[Bind],
        environment: Mapping[str, str],
    ) -> Container:
        self._use_runtime(record.server_id)
        record = replace(record, runtime=record.server_id)
        container = await self._new_container(record, mounts, environment)
        if self.image.waits:
            try:
                await self._bind(container, binds)
            except MountError:
                await self._wait(container).fail_if_ended()
                raise
            await self._claim_new(container, environment)
            await self._keep(replace(record, container_id=container.id, is_claimed=True))
        return container

    async def _new_container(
        self, record: Record, mounts: list[Mount], environment: Mapping[str, str]
    ) -> Container:
        settings = self.shared.settings
        runtime = await asyncio.to_thread(self.shared.runtimes.open, record.runtime)
        # before the container, where that gets the home at once
        await self._keep(record)
        mounts = [*mounts, *runtime_mounts(str(runtime), self.image.chain)]
        hub_network = network(self.shared.state.hub_id)
        arguments = describe(self.image, settings.limits, self.profile, hub_network, mounts)
        if not self.image.waits:
            arguments |= self._ownership(environment)
        container_id = await self.shared.containers.create(record.container, "server", arguments)
        is_claimed = not self.image.waits
        await self._keep(replace(record, container_id=container_id, is_claimed=is_claimed))
        return await self.shared.containers.start(container_id)

    def _ownership(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """Return what makes a container somebody's that cannot wait for it."""
        person = self.owner.person
        owned: dict[str, Any] = {"environment": dict(environment), "hostname": person.slug}
        if self.image.chain == "none":  # nothing in it would drop root's rights
            owned |= {"user": f"{person.uid}:{person.gid}", "working_dir": home_path(person)}
        return owned

    async def _claim_new(self, container: Container, environment: Mapping[str, str]) -> None:
        async def is_claimed() -> bool:
            try:
                await hand_over(self._runtime, dict(environment), self._wait_limit_s)
            except NotWaiting:
                return False
            return True

        try:
            await self._wait(container).until(is_claimed, self._wait_limit_s)
        except ClaimFailed as error:
            await self._wait(container).fail_if_ended()
            raise StartFailed(diagnosis.of_refused_claim(str(error))) from error

    async def _bind(self, container: Container, binds: list[Bind]) -> None:
        if binds:
            await self.shared.mounter.bind(container.pid, self._runtime, binds)

    async def wait(self, container: Container, port: int) -> None:
        """Wait until the server answers; the hooks' logs are kept, however it ends.

        Raises:
            StartFailed: the container ended, or the port stayed closed.
        """
        wait = self._wait(container)
        try:
            await wait.until_open(container.ip, port, self._wait_limit_s)
        finally:
            await self._keep_hook_logs()

    # --- parts ----------------------------------------------------------------------------------

    @property
    def _wait_limit_s(self) -> int:
        return self.shared.settings.start.port_timeout_s

    def _use_runtime(self, runtime_id: str) -> None:
        self._runtime = self.shared.runtimes.path(runtime_id)
        self._report = HookReport(self._runtime / REPORT)

    async def _refuse_unsafe_folders(self) -> None:
        """Look at the folders that the engine will mount by their paths, as the mounter does.

        Raises:
            StartFailed: a link is among them that others than root may have made.
        """
        _, binds = split_mounts(self._mounts)
        try:
            await ask_storage(check_sources, [bind.source for bind in binds])
        except RefusedSource as error:
            raise StartFailed(diagnosis.of_unsafe_folder(str(error))) from error
        except TimeoutError as error:
            raise StartFailed(diagnosis.of_stalled_folders()) from error

    def _wait(self, container: Container) -> ServerWait:
        memory = memory_gib(self.shared.settings.limits, self.profile)
        return ServerWait(self.shared.engine, container.id, self._report, self.progress, memory)

    def _share_mounts(self) -> list[Mount]:
        hub_id, groups = self.shared.state.hub_id, self.owner.groups
        shares = visible_shares(self.shared.settings.share, groups)
        return [share_mount(hub_id, share, groups) for share in shares]

    async def _hook_mounts(self) -> list[Mount]:
        hooks = self.shared.settings.hooks
        try:
            return await ask_storage(hook_mounts, hooks, self.image.chain)
        except TimeoutError as error:
            raise StartFailed(diagnosis.of_stalled_folders()) from error

    def _record(self, token: str) -> Record:
        return Record(
            server_id=self.owner.names.server_id,
            identity=self.owner.person.identity,
            user=self.owner.person.name,
            server_name=self.owner.server_name,
            container=self.owner.names.container,
            image_id=self.image.id,
            digest=self.image.digest,
            profile=self.profile.name,
            mounts=[dict(mount) for mount in self._mounts],
            token=token,
            is_claimed=False,
        )

    async def _keep_hook_logs(self) -> None:
        """Move what the hooks printed to the admins' folder; what is wrong there is a notice."""
        person, hooks = self.owner.person, self.shared.settings.hooks
        source = self._runtime / "logs"
        try:
            problems = await ask_storage(keep_hook_logs, source, hooks, person.slug)
        except (TimeoutError, OSError) as error:
            _log.error("The hooks' logs of %s are lost: %r", person.name, error)
            problems = ["The hooks' logs could not be kept."]
        for problem in problems:
            self.progress.tell("hooks", "warning", problem, 1)
