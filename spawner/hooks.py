"""Take in what the hooks of a server left in its runtime directory: the report and the logs.

Both are written by root in the container, where a user with sudo is root too: so nothing in them is
trusted beyond being shown as text, and they are read with bounds and without following links.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from hub_config.settings import Hooks

MOST_BYTES = 64 * 1024
MOST_STEPS = 200
STEP_STATES = frozenset({"running", "done", "failed", "skipped", "warning"})


@dataclass(frozen=True)
class Step:
    """One line of the report: a step of the start chain and how it went."""

    name: str
    state: str
    message: str


class HookReport:
    """The report of one start, read as it grows.

    Args:
        path: The file on the host; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self.steps: list[Step] = []

    def read_new(self) -> list[Step]:
        """Return the steps that were added since the last call."""
        self._rest += self._read()
        *lines, self._rest = self._rest.split(b"\n")
        new = [step for line in lines if (step := _step(line))]
        new = new[: MOST_STEPS - len(self.steps)]
        self.steps += new
        return new

    def refusal(self) -> str:
        """Return why the start chain refused to go on, or "" when it did not."""
        return next((step.message for step in self.steps if step.state == "failed"), "")

    def _read(self) -> bytes:
        if self._offset >= MOST_BYTES:
            return b""
        new = _read_plain(self._path, MOST_BYTES - self._offset, self._offset)
        self._offset += len(new)
        return new


def keep_hook_logs(source: Path, hooks: Hooks, slug: str) -> list[str]:
    """Move a server's hook logs to the admins' folder. Blocks: call it in a thread.

    A log is written beside and renamed into place, so what has its name is never opened: a link
    there is replaced, and said.

    Args:
        source: `logs` in the server's runtime directory.
        hooks: Names the folder, the owner and the size limit.
        slug: The server's owner.

    Returns:
        What is wrong, in sentences for the page.
    """
    try:
        left = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return []
    try:
        return [
            problem
            for step in ("as-root", "as-user")
            if (problem := _keep_log(left, f"{slug}-{step}.log", hooks))
        ]
    finally:
        os.close(left)


def _keep_log(left: int, name: str, hooks: Hooks) -> str:
    """Move one log out of the open folder `left`; return what is wrong, or ""."""
    if name not in os.listdir(left):
        return ""
    text = _read_plain(name, (hooks.output_limit_kib + 1) * 1024, folder=left)
    try:
        os.unlink(name, dir_fd=left)
        if _replace(hooks, name, text):
            return f"The log {name} was a link or no file; it has been replaced."
    except OSError as error:
        return f"The log {name} could not be kept: {error.strerror}."
    return ""


def _replace(hooks: Hooks, name: str, text: bytes) -> bool:
    """Write a log, closed to others from its first byte; tell whether a link had its name."""
    folder = os.open(hooks.log_folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        draft = f".{name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(draft, flags, 0o600, dir_fd=folder), "wb") as file:
            file.write(text)
            os.fchown(file.fileno(), hooks.admin_uid, hooks.admin_gid)
            os.fchmod(file.fileno(), 0o640)
        try:
            old = os.stat(name, dir_fd=folder, follow_symlinks=False)
            odd = not stat.S_ISREG(old.st_mode) or old.st_nlink != 1
        except FileNotFoundError:
            odd = False
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)
    return odd


def _read_plain(path: Path | str, most: int, offset: int = 0, folder: int | None = None) -> bytes:
    """Return up to `most` bytes of a plain file; nothing of anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, most, offset)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _step(line: bytes) -> Step | None:
    """Return the step in a line; None when the line is none."""
    try:
        fields = json.loads(line)
        name, state, message = fields["step"], fields["state"], fields["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(text, str) for text in (name, state, message)):
        return None
    if state not in STEP_STATES:
        return None
    text = "".join(character if character.isprintable() else " " for character in message)
    return Step(name[:40], state, text[:300])
