"""One start of one server that has its turn: from the container to the open port.

A container is *claimed*: a standby that waits, or a new container that waits as soon as it runs;
record, mounts and environment are the same for both. Images that cannot wait get all of it when
their container is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from docker.types import Mount

from hub_config.settings import Profile
from spawner import diagnosis
from spawner.chain import runtime_mounts
from spawner.claim import ClaimFailed, NotWaiting, hand_over
from spawner.containers import Container, describe, memory_gib
from spawner.diagnosis import StartFailed
from spawner.engine import EngineError
from spawner.homes import ask_storage
from spawner.hooks import HookReport, keep_hook_logs
from spawner.mount_helper import RefusedSource
from spawner.mounting import Bind, MountError, check_sources, split_mounts
from spawner.naming import home_path, network
from spawner.preparing import Owner, Prepared
from spawner.progress import Progress
from spawner.records import REPORT, Record
from spawner.shared import Shared
from spawner.waiting import ServerWait
from spawner.warming import Standby

_log = logging.getLogger("labhub")


@dataclass
class ServerStart:
    """The start of one server that has its turn.

    Attributes:
        shared: What all servers share.
        owner: Whose server.
        profile: The chosen profile.
        progress: Told each stage.
        prepared: Image, mounts and place.
    """

    shared: Shared
    owner: Owner
    profile: Profile
    progress: Progress
    prepared: Prepared
    _runtime: Path = field(init=False)
    _report: HookReport = field(init=False)

    async def make(self, environment: Mapping[str, str], token: str) -> Container:
        """Get a container that is the owner's: a standby, or a new one.

        Raises:
            StartFailed: it ended, or nobody claimed it in time.
            EngineError: the engine refused, or could not be asked.
        """
        self.progress.tell("container", "running", "Making your server.")
        record = self._record(token)
        given, binds = split_mounts(self.prepared.mounts)
        # taken before the first await: nobody else gets the same one
        standby = self.shared.standbys.take(self.profile.name, self.prepared.image, given)
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
                self.shared.containers.rename(container.id, record.container),
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
        if self.prepared.image.waits and self.shared.mounter.works:
            try:
                return await self._make_new(record, given, binds, environment)
            except MountError as error:
                if error.fault != "failed":
                    raise StartFailed(diagnosis.of_mount(error.fault, str(error))) from error
                _log.error("%s: mounting failed: %s", record.user, error)
            await self.shared.containers.remove(record.container)
        await self._refuse_unsafe_folders()
        return await self._make_new(record, self.prepared.mounts, [], environment)

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
        if self.prepared.image.waits:
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
        mounts = [*mounts, *runtime_mounts(str(runtime), self.prepared.image.chain)]
        hub_network = network(self.shared.state.hub_id)
        arguments = describe(
            self.prepared.image, settings.limits, self.profile, hub_network, mounts
        )
        if not self.prepared.image.waits:
            arguments |= self._ownership(environment)
        container_id = await self.shared.containers.create(record.container, "server", arguments)
        is_claimed = not self.prepared.image.waits
        await self._keep(replace(record, container_id=container_id, is_claimed=is_claimed))
        return await self.shared.containers.start(container_id)

    def _ownership(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """Return what makes a container somebody's that cannot wait for it."""
        person = self.owner.person
        owned: dict[str, Any] = {"environment": dict(environment), "hostname": person.slug}
        if self.prepared.image.chain == "none":  # nothing in it would drop root's rights
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
        _, binds = split_mounts(self.prepared.mounts)
        try:
            await ask_storage(check_sources, [bind.source for bind in binds])
        except RefusedSource as error:
            raise StartFailed(diagnosis.of_mount("refused", str(error))) from error
        except TimeoutError as error:
            raise StartFailed(diagnosis.of_mount("stalled", str(error))) from error

    def _wait(self, container: Container) -> ServerWait:
        memory = memory_gib(self.shared.settings.limits, self.profile)
        return ServerWait(self.shared.engine, container.id, self._report, self.progress, memory)

    def _record(self, token: str) -> Record:
        return Record(
            server_id=self.owner.names.server_id,
            identity=self.owner.person.identity,
            user=self.owner.person.name,
            server_name=self.owner.server_name,
            container=self.owner.names.container,
            image_id=self.prepared.image.id,
            digest=self.prepared.image.digest,
            profile=self.profile.name,
            mounts=[dict(mount) for mount in self.prepared.mounts],
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
