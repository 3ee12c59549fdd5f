"""What the settings say of the disk, looked at: secret files, certificates, links.

Everything else about settings is decided without I/O.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub_config.settings import Finding, Key, Settings
from hub_config.settings.exposure import mounted_folders
from hub_config.settings.paths import holds, system_folder

_LARGEST_SECRET = 65536
_OTHERS = 0o077
_OTHERS_BUT_A_READING_GROUP = 0o037


@dataclass
class FileRefused(Exception):
    """A file cannot be used.

    Attributes:
        message: Plain words that go on after the key.
        fix: The next step.
    """

    message: str
    fix: str


def _open(path: Path) -> int:
    """Open a regular file for reading, and wait for nothing.

    Raises:
        FileRefused: there is none, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FileRefused(
            "names a file that is not there", "Make the file, or correct the path."
        ) from None
    except OSError as error:
        raise FileRefused(
            f"names a file that cannot be read: {error.strerror}",
            "Correct the path, or the owner and mode of the file.",
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileRefused("names something that is not a file", "Correct the path.")
    return descriptor


def read_secret(path: Path) -> str:
    """Return the secret in a file, without the white space around it.

    Raises:
        FileRefused: it is missing, empty, more than one line, or others can read it.
    """
    descriptor = _open(path)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & _OTHERS:
            raise FileRefused("names a file that others can read", f"Run: chmod 600 {path}")
        content = file.read(_LARGEST_SECRET + 1)
    try:
        secret = content.decode().strip()
    except UnicodeDecodeError:
        raise FileRefused("names a file that is not text", "Write it anew.") from None
    if not secret:
        raise FileRefused("names a file that is empty", "Write the secret into it, in one line.")
    if len(content) > _LARGEST_SECRET or not secret.isprintable():
        raise FileRefused(
            "names a file that holds more than a secret in one line",
            "Write only the secret into it, in one line.",
        )
    return secret


def others_can_read(path: Path) -> bool:
    """Tell whether anyone but the owner may open a file."""
    return bool(path.stat().st_mode & _OTHERS)


def look(settings: Settings, root: Path) -> Iterator[Finding]:
    """Find what is wrong with the files and folders that the settings name.

    Args:
        settings: The settings.
        root: The folder of `hub.toml`, or of labhub itself.
    """
    yield from _certificate(settings)
    yield from _build(settings)
    yield from _links(settings, root)


def _certificate(settings: Settings) -> Iterator[Finding]:
    crt, key = settings.hub.certificate_crt, settings.hub.certificate_key
    crt_name: Key = ("hub", "certificate_crt")
    key_name: Key = ("hub", "certificate_key")
    found = [*_readable(crt_name, crt), *_readable(key_name, key)]
    if key is not None and not found and key.stat().st_mode & _OTHERS_BUT_A_READING_GROUP:
        found.append(
            Finding(key_name, "names a file that others can read", f"Run: chmod 600 {key}")
        )
    if crt is not None and key is not None and not found:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # a key with a pass phrase would make OpenSSL ask for it on the terminal
            context.load_cert_chain(crt, key, password=lambda: "")
        except ssl.SSLError as error:
            found.append(_mismatch(error, crt_name, key_name))
    yield from found


def _mismatch(error: ssl.SSLError, crt_name: Key, key_name: Key) -> Finding:
    if error.reason == "KEY_VALUES_MISMATCH":
        return Finding(
            key_name,
            "belongs to another certificate than hub.certificate_crt",
            "Name the key that the certificate was made with.",
            (crt_name,),
        )
    return Finding(
        crt_name,
        "and hub.certificate_key cannot be used together",
        "Both must be PEM files, and the key must have no pass phrase.",
        (key_name,),
    )


def _readable(key: Key, path: Path | None) -> Iterator[Finding]:
    if path is None:
        return
    try:
        os.close(_open(path))
    except FileRefused as error:
        yield Finding(key, error.message, error.fix)


def _build(settings: Settings) -> Iterator[Finding]:
    for index, path in enumerate(settings.build.extra_ca_files or ()):
        yield from _readable(("build", "extra_ca_files", index), path)


def _links(settings: Settings, root: Path) -> Iterator[Finding]:
    """Look where the folders that servers see really are; a link must not lead into the system."""
    data = Path(os.path.realpath(settings.hub.data_folder))
    for key, folder in mounted_folders(settings):
        real = Path(os.path.realpath(folder))
        reason = None
        if holds(real, Path(os.path.realpath(root))):
            reason = "holds hub.toml"
        elif real != folder:
            reason = system_folder(real)
            if not reason and holds(real, data):
                reason = "holds the hub's own data and secrets"
        if reason:
            link = f"leads through a link to {real}, which " if real != folder else ""
            yield Finding(
                key,
                link + reason,
                "Choose a folder made for this, such as /srv/labhub/NAME.",
                (("hub", "data_folder"),),
            )
