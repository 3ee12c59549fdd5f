"""What JupyterHub calls: start, stop, poll and progress of one server, for every engine.

The stages of a start are in `preparing.py` and `start.py`; each is told to the page, each wait has
a deadline, and each failure ends in a diagnosis. Whatever becomes of a start, its container is
removed (after its log was kept) and its record forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from jupyterhub.spawner import Spawner, SpawnException
from traitlets import default

from hub_config.people import Person
from hub_config.settings import Profile
from spawner import diagnosis, profiles
from spawner.channels import ImageMissing
from spawner.diagnosis import Diagnosis, StartFailed
from spawner.engine import EngineError
from spawner.homes import HomeError
from spawner.naming import ServerNames, server_names
from spawner.preparing import Owner, Preparation
from spawner.progress import Progress
from spawner.shared import Shared
from spawner.start import ServerStart


class StartSequence(Spawner):
    """A mixin before an engine's spawner class: start, stop, poll and progress of one server."""

    shared: ClassVar[Shared]  # set by the wiring: a trait's value would be copied for every server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = asyncio.Event()
        self.progress_of_start = Progress(self._tell_watchers)
        self.notices: list[str] = []
        self.under_way: ServerStart | None = None
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

    async def run_pre_spawn_hook(self) -> None:
        """Do what may take long, and wait for a turn; called before each start.

        JupyterHub's `start_timeout` does not run yet: each part has a deadline of its own.

        Raises:
            SpawnException: the server cannot be started; its message is for the person.
        """
        self.progress_of_start = Progress(self._tell_watchers)
        async with self._explaining():
            owner = Owner(self.person, self.names, self.name, self.groups)
            self.object_name = owner.names.container  # an earlier start may have met nobody known
            profile = self.choose(self.user_options)
            await self._clean_up()
            stages = (self.shared, owner, profile, self.progress_of_start)
            self.under_way = ServerStart(*stages, await Preparation(*stages).run())

    async def start(self) -> tuple[str, int]:
        """Start the server; called once per start, within `start_timeout`.

        Returns:
            Address and port at which it answers.

        Raises:
            SpawnException: it cannot be started; its message is for the person.
        """
        limit_s = self.shared.settings.start.timeout_s
        under_way = self.under_way
        if under_way is None:
            raise RuntimeError("run_pre_spawn_hook comes before start")
        try:
            async with self._explaining(limit_s), asyncio.timeout(limit_s):
                self.set_limits(under_way.profile, under_way.prepared.image)
                container = await under_way.make(self.get_env(), self.api_token)
                self.object_id = container.id
                await under_way.wait(container, self.port)
        finally:
            self._leave_queue()
        self.notices = list(self.progress_of_start.notices)
        return container.ip, self.port

    def _leave_queue(self) -> None:
        if self.under_way:
            self.under_way.prepared.place.leave()
        self.under_way = None

    @contextlib.asynccontextmanager
    async def _explaining(self, limit_s: int = 0) -> AsyncIterator[None]:
        """Turn whatever goes wrong into words for the person and words for the log.

        Args:
            limit_s: The deadline within, for its words.
        """
        try:
            yield
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
        await self.shared.engine.find("stop", self.object_id)
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
            # one that was not claimed when the hub was killed is cleaned up before the next start
            self.object_name = record.container
            self.object_id = record.container_id if record.is_claimed else ""

    def clear_state(self) -> None:
        """Forget the last server; called before a start and after a stop."""
        super().clear_state()
        self.object_id, self.notices = "", []

    async def _clean_up(self) -> None:
        """Remove this server's container, after its log was kept, and forget its record."""
        self._leave_queue()
        if not self.object_name:
            return
        records, server_id = self.shared.records, self.names.server_id
        record = records.read(server_id)
        if record and record.container_id:  # a standby has its name only at the end of its claim
            await self.shared.containers.remove(record.container_id)
        await self.shared.containers.remove(self.object_name)
        self.object_id = ""
        for runtime_id in {server_id, record.runtime if record else ""} - {""}:
            await asyncio.to_thread(self.shared.runtimes.close, runtime_id)
        await asyncio.to_thread(records.forget, server_id)


def _diagnosis(error: Exception) -> Diagnosis:
    if isinstance(error, StartFailed):
        return error.diagnosis
    if isinstance(error, HomeError):
        return Diagnosis(str(error), error.log, error.reason)
    if isinstance(error, ImageMissing):
        return diagnosis.of_missing_image(error)
    if "bind source path does not exist" in str(error):
        return diagnosis.of_mount("missing", str(error))
    return diagnosis.of_engine(error)
