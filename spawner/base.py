"""The sequence of a start, and its progress: what every engine's spawner shares.

A start goes through image, home, container, hooks and server; each stage is told to the page, each
wait has a deadline, and each failure ends in a diagnosis. Whatever becomes of a start, its
container is removed (after its log was kept) and its record forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from docker.types import Mount
from jupyterhub.spawner import Spawner, SpawnException
from traitlets import default

from hub_config.people import People, Person
from hub_config.settings import Hooks, Profile, Settings
from hub_config.state import State
from spawner import diagnosis, profiles
from spawner.channels import Channels, Image, ImageMissing
from spawner.diagnosis import Diagnosis, StartFailed
from spawner.engine import Engine, EngineError
from spawner.homes import HomeError, prepare_home
from spawner.hooks import HookReport
from spawner.naming import ServerNames, server_names
from spawner.progress import Progress
from spawner.records import REPORT, Record, Records
from spawner.registry import Registry
from spawner.shares import extra_groups, share_mount, visible_shares

STARTUP_SCRIPTS = Path(__file__).parent.parent / "startup_scripts"
PORT_POLL_S = 0.05
STATE_POLL_S = 0.5
_SHARE_OF_STEP = {"running": 0.3, "done": 0.8, "skipped": 0.8, "warning": 0.8, "failed": 0.8}


@dataclass(frozen=True)
class Shared:
    """What all spawners of a hub share; made once, by the wiring."""

    settings: Settings
    state: State
    people: People
    engine: Engine
    channels: Channels
    records: Records

    @classmethod
    def make(cls, settings: Settings, state: State) -> Shared:
        """Make the shared parts from the settings; touches neither engine nor registry."""
        engine = Engine(settings.engine, state.hub_id)
        secret = settings.registry.password
        registry = Registry(
            settings.registry.host,
            settings.registry.username,
            secret.get_secret_value() if secret else "",
            settings.start.digest_timeout_s,
        )
        return cls(
            settings=settings,
            state=state,
            people=People(state.people_file, settings.start.first_uid),
            engine=engine,
            channels=Channels(engine, registry, settings.start.digest_shared_s),
            records=Records(state.servers_folder, settings.hub.runtime_folder / state.hub_id),
        )


class StartSequence(Spawner):
    """A mixin before an engine's spawner class: start, stop, poll and progress of one server."""

    shared: ClassVar[Shared]  # set by the wiring: a trait's value would be copied for every server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.progress_of_start = Progress()
        self.notices: list[str] = []
        self.image_used: Image | None = None
        self.mounts_used: list[Mount] = []
        with contextlib.suppress(StartFailed):
            self.oauth_client_id = self.names.oauth_client

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
        self.progress_of_start = Progress()
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
        sent = 0
        while True:
            events = self.progress_of_start.events
            for event in events[sent:]:
                yield event
            sent = len(events)
            await asyncio.sleep(0.1)

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
        """Take up what was kept, when the hub starts."""
        super().load_state(state)
        self.notices = list(state.get("notices", []))

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
        tell = self.progress_of_start.tell
        tell("image", "running", "Looking for the newest environment.")
        image = await self.shared.channels.image_for_start(
            profile.image,
            lambda share, message: tell("image", "running", message, share),
        )
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
        self.image_used = image
        own = own_mounts(self.shared.settings.hooks, str(runtime), image.is_ours)
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
        """Wait for the open port, telling the start chain's steps meanwhile.

        Raises:
            StartFailed: the container ended, or the port stayed closed.
        """
        limit_s = self.shared.settings.start.port_timeout_s
        deadline = time.monotonic() + limit_s
        ip, port = await self._address(profile)
        report = HookReport(self._report_path)
        next_look = time.monotonic() + STATE_POLL_S
        while not await _is_open(ip, port):
            self._tell_steps(report)
            if time.monotonic() > deadline:
                raise StartFailed(diagnosis.of_closed_port(limit_s))
            if time.monotonic() > next_look:
                await self._fail_if_ended(report, profile)
                next_look = time.monotonic() + STATE_POLL_S
            await asyncio.sleep(PORT_POLL_S)
        self._tell_steps(report)
        self.progress_of_start.tell("server", "done", "Your server answers.")
        self.notices = list(self.progress_of_start.notices)
        return ip, port

    async def _address(self, profile: Profile) -> tuple[str, int]:
        """Return where the server will answer; it has no address once it ended."""
        ip, port = await self.get_ip_and_port()
        if not ip:
            await self._fail_if_ended(HookReport(self._report_path), profile)
        return ip, port

    @property
    def _report_path(self) -> Path:
        return self.shared.records.runtime(self.names.server_id) / REPORT

    def _tell_steps(self, report: HookReport) -> None:
        for step in report.read_new():
            state = "done" if step.state == "skipped" else step.state
            stage = "server" if step.name == "server" else "hooks"
            share = 0.5 if stage == "server" else _SHARE_OF_STEP[step.state]
            self.progress_of_start.tell(stage, state, step.message, share)

    async def _fail_if_ended(self, report: HookReport, profile: Profile) -> None:
        found = await self.shared.engine.find("inspect_container", self.object_id)
        state = found["State"] if found else {"Running": False, "ExitCode": None}
        if not state["Running"]:
            self._tell_steps(report)
            memory_gib = profile.memory_gib or self.shared.settings.limits.memory_gib
            found_cause = diagnosis.of_ended_container(state, report.refusal(), memory_gib)
            raise StartFailed(found_cause)

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

    def user_environment(self) -> dict[str, str]:
        """Return what the start chain reads (startup_scripts/README.md)."""
        settings, person, names = self.shared.settings, self.person, self.names
        hooks = settings.hooks
        profile = self.choose(self.user_options)
        more = extra_groups(settings.share, self.groups)
        return {
            "NB_USER": names.account,
            "NB_UID": str(person.uid),
            "NB_GID": str(person.gid),
            "NB_UMASK": settings.start.umask,
            "HOME": names.home,
            "LABHUB_HOOK_FOLDER": "/run/labhub/hooks",
            "LABHUB_LOG_FOLDER": "/run/labhub/logs",
            "LABHUB_HOOK_AS_ROOT": hooks.as_root,
            "LABHUB_HOOK_AS_USER": hooks.as_user,
            "LABHUB_HOOK_TIME_LIMIT_S": str(hooks.time_limit_s),
            "LABHUB_HOOK_OUTPUT_LIMIT_KIB": str(hooks.output_limit_kib),
            "LABHUB_ADMIN_UID": str(hooks.admin_uid),
            "LABHUB_ADMIN_GID": str(hooks.admin_gid),
            "LABHUB_EXTRA_GROUPS": ",".join(f"{name}:{gid}" for name, gid in more.items()),
            **({"GRANT_SUDO": "yes"} if profile.sudo else {}),
        }


def own_mounts(hooks: Hooks, runtime: str, is_ours: bool) -> list[Mount]:
    """Return the mounts through which the start chain works.

    Args:
        hooks: `[hooks]` of the settings.
        runtime: The server's runtime directory.
        is_ours: Whether the image holds our start chain; docker-stacks' gets ours as a drop-in.
    """
    mounts = [
        Mount("/run/labhub", runtime, type="bind"),
        Mount("/run/labhub/logs", str(hooks.log_folder), type="bind"),
    ]
    if hooks.folder.is_dir():
        mounts.append(Mount("/run/labhub/hooks", str(hooks.folder), type="bind", read_only=True))
    if not is_ours:
        drop_in = "before-notebook.d/50-operator-hooks.sh"
        for target, source in (
            ("/opt/labhub/startup_scripts", STARTUP_SCRIPTS),
            (f"/usr/local/bin/{drop_in}", STARTUP_SCRIPTS / drop_in),
        ):
            mounts.append(Mount(target, str(source), type="bind", read_only=True))
    return mounts


def _diagnosis(error: Exception) -> Diagnosis:
    if isinstance(error, StartFailed):
        return error.diagnosis
    if isinstance(error, HomeError):
        return Diagnosis(str(error), error.log, error.reason)
    if isinstance(error, ImageMissing):
        return diagnosis.of_missing_image(error)
    missing = "bind source path does not exist" in str(error)
    return diagnosis.of_engine(error, missing_folder=missing)


async def _is_open(ip: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(ip, port)
    except OSError:  # refused, unreachable, or the second is over
        return False
    writer.close()
    return True
