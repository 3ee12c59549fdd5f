"""Bind a person's folders into a container that runs already.

A standby gets its owner's home when it is claimed, and a cold start is a standby that is claimed at
once. The mounts exist in the container's mount namespace only: nothing is mounted on the host, so
nothing can be left over there, and they end with the container (`mount_helper`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from docker.types import Mount

from spawner.mount_helper import MissingSource, opened

HELPER = Path(__file__).with_name("mount_helper.py")
MOUNT_TIMEOUT_S = 10
FAILURES_BORNE = 4
"""A standby that was killed cannot be mounted into; the cold start that follows can. Where that
fails, too, again and again, the engine mounts from then on.
"""

MountFault = Literal["missing", "refused", "stalled", "failed"]


class MountError(Exception):
    """Folders could not be bound into a container.

    Attributes:
        fault: `missing`: a folder of the host is not there. `refused`: its path goes through a link
            that others than root may have made. `stalled`: its disk does not answer. `failed`: it
            could not be done here.
    """

    def __init__(self, message: str, fault: MountFault = "failed") -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True)
class Bind:
    """A folder of the host and where a container sees it."""

    source: str
    target: str
    read_only: bool


def split_mounts(mounts: Iterable[Mount]) -> tuple[list[Mount], list[Bind]]:
    """Part mounts into those that the engine must make and those that can be bound late.

    Only folders of this host can be bound late; what a volume driver or a file server provides is
    mounted by the engine when the container starts.

    Returns:
        The mounts for the engine, and the binds, those above others first.
    """
    given, binds = [], []
    for mount in mounts:
        if mount["Type"] == "bind":
            binds.append(Bind(mount["Source"], mount["Target"], bool(mount["ReadOnly"])))
        else:
            given.append(mount)
    return given, sorted(binds, key=lambda bind: bind.target.count("/"))


def check_sources(sources: Iterable[str]) -> None:
    """Open folders as the helper does. Blocks: call it in a thread.

    Raises:
        RefusedSource: a path goes through a link that others than root may have made.
    """
    for source in sources:
        with contextlib.suppress(MissingSource):  # the engine says that better
            os.close(opened(source))


class Mounter:
    """Binds folders into containers, through a helper process that can be killed.

    Attributes:
        why_not: Why nothing can be bound late here, a sentence for the log and `doctor`; empty when
            it can.
    """

    def __init__(self) -> None:
        self.why_not = "it was not tried yet"
        self._failed = 0  # in succession

    @property
    def works(self) -> bool:
        """Tell whether folders can be bound into running containers here."""
        return not self.why_not

    async def try_out(self, folder: Path, engine: dict[str, Any], socket: str) -> None:
        """Find out whether it works here; sets `why_not`.

        Args:
            folder: Any folder of this host.
            engine: The engine's answer to `info`.
            socket: `engine.socket` of the settings.
        """
        options = " ".join(engine.get("SecurityOptions") or ())
        if not socket.startswith("unix://"):
            self.why_not = "the engine is on another machine"
        elif "name=rootless" in options:
            self.why_not = "the engine is rootless"
        elif "name=userns" in options:
            self.why_not = "the engine maps user ids (userns-remap)"
        elif os.geteuid() != 0:
            self.why_not = "the hub does not run as root"
        else:
            try:
                await _help({"probe": str(folder)})
                self.why_not = ""
            except MountError as error:
                self.why_not = f"the hub may not mount: {error}"

    async def bind(self, pid: int, runtime: Path, binds: list[Bind]) -> None:
        """Bind folders into the container of a process.

        Args:
            pid: The container's first process, as the host counts.
            runtime: The container's runtime directory, by which it is recognised.
            binds: The folders, those above others first.

        Raises:
            MountError: it failed; nothing is left of it but perhaps some of the mounts, which end
                with the container.
        """
        found = os.stat(runtime)  # noqa: PTH116 (a tmpfs: it does not block)
        job = {
            "pid": pid,
            "runtime": [found.st_dev, found.st_ino],
            "binds": [vars(bind) for bind in binds],
        }
        try:
            await _help(job)
            self._failed = 0
        except MountError as error:
            self._failed += error.fault == "failed"
            if self._failed >= FAILURES_BORNE:
                self.why_not = f"mounting failed {self._failed} times in succession: {error}"
            raise


async def _help(job: dict[str, Any]) -> None:
    helper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(HELPER)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(MOUNT_TIMEOUT_S):
            output, errors = await helper.communicate(json.dumps(job).encode())
    except TimeoutError as error:
        raise MountError(f"no answer within {MOUNT_TIMEOUT_S} s", "stalled") from error
    finally:
        if helper.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                helper.kill()
    try:
        answer = json.loads(output)
    except ValueError as error:
        text = errors.decode(errors="replace").strip()
        raise MountError(f"the helper ended with {helper.returncode}: {text[-300:]}") from error
    if "error" in answer:
        raise MountError(answer["error"], answer.get("fault", "failed"))
