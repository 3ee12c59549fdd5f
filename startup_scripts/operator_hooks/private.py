"""Run what was read of a hook from a copy of our own, which only root can change."""

import os
import shutil

import environment
from limited import Outcome, run_limited
from output import Output
from script import command_words
from settings import Settings
from trust import Refused


def run_copy(settings: Settings, step: str, content: bytes, output: Output) -> Outcome:
    """Run the content of as-root.sh as root, or that of as-user.sh as the user."""
    as_user, path = step == "as-user", f"{settings.hook_folder}/{step}.sh"
    environ = (environment.of_user if as_user else environment.of_root)(settings, os.environ)
    user = environment.identity(settings, os.environ) if as_user else None
    words = command_words(content, path, environ["PATH"])
    folder = new_path()
    try:
        os.mkdir(folder, 0o700)
        try:
            copy = write_copy(f"{folder}/{step}.sh", content, as_user)
            return run_limited([*words, copy], environ, settings.time_limit_s, output, user)
        finally:
            shutil.rmtree(folder)
    except OSError as error:
        raise Refused(f"{path} could not be started: {error.strerror}") from error


def new_path() -> str:
    """Return a path that nobody can guess, on local disk."""
    above = "/run" if os.geteuid() == 0 else os.environ.get("TMPDIR") or "/tmp"  # noqa: S108
    return f"{above}/labhub-{os.urandom(8).hex()}"


def write_copy(path: str, content: bytes, as_user: bool) -> str:
    """Write the copy; the user may read that of as-user.sh, and nobody that of as-root.sh."""
    with open(path, "wb") as copy:
        copy.write(content)
    os.chmod(path, 0o555 if as_user else 0o500)
    os.chmod(os.path.dirname(path), 0o755 if as_user else 0o700)
    return path
