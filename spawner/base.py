"""The sequence of a start, and its progress: what every engine's spawner shares.

A start goes through home, image, container, hooks and server; each stage is told to the page, each
wait has a deadline, and each failure ends in a diagnosis. Whatever becomes of a start, its
container is removed (after its log was kept) and its record forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

from docker.types import Mount
from jupyterhub.spawner import Spawner, SpawnException
from traitlets import default

from hub_config.people import Person
from hub_config.settings import Profile
from spawner import diagnosis, profiles
from spawner.chain import chain_mounts
from spawner.channels import Image, ImageMissing
from spawner.diagnosis import Diagnosis, StartFailed
from spawner.engine import EngineError
from spawner.homes import HomeError, prepare_home
from spawner.hooks import HookReport, keep_hook_logs
from spawner.naming import ServerNames, server_names
from spawner.progress import Progress
from spawner.records import REPORT, Record
from spawner.shared import Shared
from spawner.shares import share_mount, visible_shares
from spawner.waiting import ServerWait

LOG_TIMEOUT_S = 10


class StartSequence(Spawner):
    """A mixin before an engine's spawner class: start, stop, poll and progress of one server."""

    shared: ClassVar[Shared]  # set by the wiring: a trait's value would be copied for every server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = asyncio.Event()
        self.progress_of_start = Progress(self._tell_watchers)
        self.notices: list[str] = []
        self.mounts_used: list[Mount] = []
        try:
            self.oauth_client_id = self.names.oauth_client
        except StartFailed:  # `--` is in no slug, so this is never somebody else's id
            self.oauth_client_id = f"jupyterhub-user--{self.user.id if self.user else ''}"

    @default("object_name")
    def _object_name_default(self) -> str:
        """Return the container's name; DockerSpawner asks again when the image changed."""
        try:
            return self.names.container
        except StartFailed:
            return ""

    @property
    def person(self) -> Person:
        """Return the owner.

        Raises:
            StartFailed: nobody with this name ever signed in.
        """
        person = self.shared.people.find(self.user.name)
        if person is None:
            raise StartFailed(
                Diagnosis(
                    f"{self.user.name} has not signed in to this hub yet, so there is no home to "
                    "open. Ask them to sign in once; then their server can be started.",
                    f"{self.user.name} has no identity",
                    "never_signed_in",
                )
            )
        return person

    @property
    def names(self) -> ServerNames:
        """Return the names of this server."""
        return server_names(self.shared.state.hub_id, self.person, self.name)

    @property
    def groups(self) -> set[str]:
        """Return the names of the owner's groups."""
        return {group.name for group in self.user.groups}

    def choose(self, options: Any) -> Profile:
        """Return the profile that options ask for.

        Raises:
            profiles.OptionsRefused: they ask for what is not allowed.
        """
        allowed = profiles.allowed_profiles(self.shared.settings.profile, self.groups)
        return profiles.choose_profile(options, allowed)

    # --- called by JupyterHub -------------------------------------------------------------------

    async def start(self) -> tuple[str, int]:
        """Start the server; called once per start, within `start_timeout`.

        Returns:
            Address and port at which it answers.

        Raises:
            SpawnException: it cannot be started; its message is for the person.
        """
        self.progress_of_start = Progress(self._tell_watchers)
        limit_s = self.shared.settings.start.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._start()
        except (StartFailed, HomeError, ImageMissing, EngineError) as error:
            raise self._explained(_diagnosis(error)) from error
        except TimeoutError as error:
            stage = self.progress_of_start.stage
            raise self._explained(diagnosis.of_passed_deadline(stage, limit_s)) from error
        except Exception as error:  # a fault of ours: the log gets all of it, the page no part
            self.log.exception("%s: the start failed unexpectedly", self.user.name)
            raise self._explained(diagnosis.of_our_fault(error)) from error

    def _explained(self, found: Diagnosis) -> SpawnException:
        """Return the exception that JupyterHub shows to the person, and logs."""
        message = found.user.replace("{contact}", self.shared.settings.hub.contact)
        log_message = f"{self.user.name}: {found.reason}: {found.log}"
        error = SpawnException(
            message, reason=found.reason, log_message=log_message, status_code=503
        )
        error.jupyterhub_message = message  # what the pages show; without it they show the log's
        return error

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of the start under way; called for each page that watches it."""
        watched, sent = self.progress_of_start, 0
        while True:
            told = self._told
            if watched is not self.progress_of_start:  # who came early saw the start before
                watched, sent = self.progress_of_start, 0
            for event in watched.events[sent:]:
                yield event
                sent += 1
            await told.wait()

    def _tell_watchers(self) -> None:
        """Wake all who watch; who comes back waits for the next event."""
        self._told.set()
        self._told = asyncio.Event()

    async def poll(self) -> int | str | None:
        """Tell whether the server runs; called every 30 s and before most actions.

        Returns:
            None while it runs *or when that cannot be found out*: to raise, or to guess, would
            make JupyterHub forget a running server. Else how it ended.
        """
        if not self.object_id:
            return 0
        try:
            found = await self.shared.engine.find("inspect_container", self.object_id)
        except EngineError as error:
            self.log.warning("Cannot tell whether %s runs: %s", self.object_name, error)
            return None
        if found is None:
            return 0
        state = found["State"]
        if state["Running"] or state["Restarting"]:
            return None
        return f"ended with status {state['ExitCode']}"

    async def stop(self, now: bool = False) -> None:
        """Stop the server, with time for it to end by itself; called once per stop."""
        await self.stop_object()
        await self._clean_up()

    async def run_post_stop_hook(self) -> None:
        """Clean up; called when a server was stopped, ended by itself or could not be started."""
        try:
            await self._clean_up()
        except (EngineError, OSError) as error:
            self.log.error("%s could not be cleaned up: %s", self.object_name, error)

    def get_state(self) -> dict[str, Any]:
        """Return what is kept in the database while the server runs."""
        state: dict[str, Any] = super().get_state()
        if self.object_id:
            state["notices"] = self.notices
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a running server when the hub starts; its record knows best which that is."""
        super().load_state(state)
        self.notices = list(state.get("notices", []))
        try:
            person, names = self.person, self.names
        except StartFailed:
            return
        record = self.shared.records.read(names.server_id)
        if record and record.identity == person.identity:
            self.object_name, self.object_id = record.container, record.container_id

    def clear_state(self) -> None:
        """Forget the last server; called before a start and after a stop."""
        super().clear_state()
        self.object_id, self.notices = "", []

    # --- the stages -----------------------------------------------------------------------------

    async def _start(self) -> tuple[str, int]:
        person, names = self.person, self.names
        self.object_name = names.container  # an earlier start may have met a person unknown then
        profile = self.choose(self.user_options)
        await self._clean_up()
        by_helper = self.shared.settings.home.kind != "directory"
        # a home on this host is checked before a pull is begun; the other kinds need the image
        home = None if by_helper else await self._prepare_home(person, "")
        image = await self._image(profile)
        home = home or await self._prepare_home(person, image.id)
        await self._make_container(names, person, profile, image, home)
        return await self._wait_for_server(profile)

    async def _image(self, profile: Profile) -> Image:
        tell, settings = self.progress_of_start.tell, self.shared.settings
        tell("image", "running", "Looking for the newest environment.")
        image = await self.shared.channels.image_for_start(
            profile.image,
            lambda share, message: tell("image", "running", message, share),
        )
        required = "required" in (settings.hooks.as_root, settings.hooks.as_user)
        if image.chain == "none" and required:
            raise StartFailed(diagnosis.of_image_without_chain(profile.image))
        if image.notice:
            tell("image", "warning", image.notice, 1)
        else:
            tell("image", "done", "The environment is up to date.")
        return image

    async def _prepare_home(self, person: Person, image_id: str) -> Mount:
        tell = self.progress_of_start.tell
        tell("home", "running", "Opening your home.")
        settings = self.shared.settings
        mount, notice = await prepare_home(self.shared.engine, settings.home, person, image_id)
        tell("home", "warning" if notice else "done", notice or "Your home is ready.", 1)
        return mount

    async def _make_container(
        self,
        names: ServerNames,
        person: Person,
        profile: Profile,
        image: Image,
        home: Mount,
    ) -> None:
        """Write the record, then make and start the container."""
        self.progress_of_start.tell("container", "running", "Making your server.")
        records = self.shared.records
        runtime = await asyncio.to_thread(records.open_runtime, names.server_id)
        own = chain_mounts(self.shared.settings.hooks, str(runtime), image.chain)
        self.mounts_used = [home, *own, *self._share_mounts()]
        record = Record(
            server_id=names.server_id,
            identity=person.identity,
            user=person.name,
            server_name=self.name,
            container=names.container,
            image_id=image.id,
            digest=image.digest,
            profile=profile.name,
            mounts=[dict(mount) for mount in self.mounts_used],
            token=self.api_token,
        )
        await asyncio.to_thread(records.write, record)
        self.apply_limits(profile, image)
        made = await self.create_object()
        self.object_id = made[self.object_id_key]
        await asyncio.to_thread(records.write, replace(record, container_id=self.object_id))
        await self.start_object()
        self.progress_of_start.tell("container", "done", "Your server is made.")

    def _share_mounts(self) -> list[Mount]:
        hub_id, groups = self.shared.state.hub_id, self.groups
        shares = visible_shares(self.shared.settings.share, groups)
        return [share_mount(hub_id, share, groups) for share in shares]

    async def _wait_for_server(self, profile: Profile) -> tuple[str, int]:
        """Wait until the server answers; return where.

        Raises:
            StartFailed: the container ended, or the port stayed closed.
        """
        settings = self.shared.settings
        wait = ServerWait(
            self.shared.engine,
            self.object_id,
            HookReport(self.shared.records.runtime(self.names.server_id) / REPORT),
            self.progress_of_start,
            profile.memory_gib or settings.limits.memory_gib,
        )
        try:
            ip, port = await self.get_ip_and_port()
            await wait.until_open(ip, port, settings.start.port_timeout_s)
        finally:
            await self._keep_hook_logs()
        self.notices = list(self.progress_of_start.notices)
        return ip, port

    async def _keep_hook_logs(self) -> None:
        """Move what the hooks printed to the admins' folder; what is wrong there is a notice."""
        person, hooks = self.person, self.shared.settings.hooks
        source = self.shared.records.runtime(self.names.server_id) / "logs"
        try:
            async with asyncio.timeout(LOG_TIMEOUT_S):
                problems = await asyncio.to_thread(keep_hook_logs, source, hooks, person.slug)
        except (TimeoutError, OSError) as error:
            self.log.error("The hooks' logs of %s are lost: %r", person.name, error)
            problems = ["The hooks' logs could not be kept."]
        for problem in problems:
            self.progress_of_start.tell("hooks", "warning", problem, 1)

    async def _clean_up(self) -> None:
        """Keep the log of this server's container, remove it, forget its record."""
        if not self.object_name:
            return
        engine = self.shared.engine
        found = await engine.find("inspect_container", self.object_name)
        if found:
            self.object_id = found["Id"]
            await self.remove_object()
        self.object_id = ""
        await asyncio.to_thread(self.shared.records.forget, self.names.server_id)


def _diagnosis(error: Exception) -> Diagnosis:
    if isinstance(error, StartFailed):
        return error.diagnosis
    if isinstance(error, HomeError):
        return Diagnosis(str(error), error.log, error.reason)
    if isinstance(error, ImageMissing):
        return diagnosis.of_missing_image(error)
    missing = "bind source path does not exist" in str(error)
    return diagnosis.of_engine(error, missing_folder=missing)
