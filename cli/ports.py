"""Ports: whether one is free, and if not, whose it is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandError

LISTENING = "0A"


@dataclass(frozen=True)
class Claim:
    """A port that labhub wants.

    Attributes:
        address: Where it will listen.
        port: The port.
        setting: The setting that names the port.
        use: What the port is for.
    """

    address: str
    port: int
    setting: str
    use: str


def check_port(claim: Claim) -> None:
    """Check that nothing listens where labhub wants to.

    Raises:
        CommandError: something does, or the address is not one of this machine.
    """
    place = f"{claim.address}:{claim.port} ({claim.use})"
    family = socket.AF_INET6 if ":" in claim.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((claim.address, claim.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(
                    f"Port {place} is used by {describe_listener(claim.port)}",
                    f"stop that program, or set {claim.setting} to another port",
                ) from error
            if error.errno == errno.EADDRNOTAVAIL:
                raise CommandError(
                    f"This machine has no address {claim.address}",
                    "set hub.bind to one of its addresses, or to 0.0.0.0 for all",
                ) from error
            raise CommandError(
                f"Port {place} cannot be used: {error.strerror}", f"change {claim.setting}"
            ) from error


def describe_listener(port: int) -> str:
    """Name the program that listens on a port, as far as we may see it."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if sockets & set(_open_files(folder)):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue
    return "another program"


def _open_files(process: Path) -> Iterator[str]:
    for entry in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield str(entry.readlink())


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
