"""What this machine is, what labhub needs from it, and what is missing.

The facts are read once, in `Machine.this()`; everything else here is values in, values out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("24.04",)}
PROGRAMS = ("dockerd", "iptables", "apparmor_parser", "mount", "apt-get", "debootstrap")
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Machine:
    """The facts about a machine.

    Attributes:
        system: Id of the distribution, such as `debian`.
        version: Its version, such as `12`.
        title: Its name for people.
        is_root: Whether this command runs as root.
        has_systemd: Whether systemd runs the services.
        has_apparmor: Whether the kernel enforces AppArmor profiles.
        has_ca_bundle: Whether the certificate authorities that programs trust are installed.
        programs: Those of PROGRAMS that are installed.
    """

    system: str
    version: str
    title: str
    is_root: bool
    has_systemd: bool
    has_apparmor: bool
    has_ca_bundle: bool
    programs: frozenset[str]

    @classmethod
    def this(cls, os_release: Path = Path("/etc/os-release")) -> Machine:
        """Look at this machine."""
        facts = parse_os_release(os_release.read_text()) if os_release.exists() else {}
        apparmor = Path("/sys/module/apparmor/parameters/enabled")
        path = f"{os.environ.get('PATH', '')}:{SEARCH}"  # a user's PATH lacks the sbin folders
        return cls(
            system=facts.get("ID", "unknown"),
            version=facts.get("VERSION_ID", ""),
            title=facts.get("PRETTY_NAME", "this system"),
            is_root=os.geteuid() == 0,
            has_systemd=Path("/run/systemd/system").is_dir(),
            has_apparmor=apparmor.exists() and apparmor.read_text().strip() == "Y",
            has_ca_bundle=CA_BUNDLE.exists(),
            programs=frozenset(name for name in PROGRAMS if shutil.which(name, path=path)),
        )

    @property
    def is_supported(self) -> bool:
        """Tell whether labhub installs packages on this system by itself."""
        return self.version in SUPPORTED.get(self.system, ())

    @property
    def has_apt(self) -> bool:
        """Tell whether packages come from apt."""
        return "apt-get" in self.programs


@dataclass(frozen=True)
class Piece:
    """Something that a start needs and the machine lacks.

    Attributes:
        name: What it is, for people.
        reason: What it is needed for.
        packages: Debian packages that bring it.
    """

    name: str
    reason: str
    packages: tuple[str, ...]


def missing_pieces(machine: Machine, engine_answers: bool) -> list[Piece]:
    """Return what a start needs and the machine lacks.

    Args:
        machine: The facts.
        engine_answers: Whether a Docker Engine answers at the address of the settings; what such
            an engine needs is then there, wherever it runs.
    """
    pieces = []
    if not engine_answers:
        if "dockerd" not in machine.programs:
            pieces.append(Piece("Docker Engine", "runs the servers", ("docker.io",)))
        if "iptables" not in machine.programs:
            pieces.append(Piece("iptables", "the engine's networks", ("iptables",)))
        if machine.has_apparmor and "apparmor_parser" not in machine.programs:
            pieces.append(Piece("AppArmor's tools", "the engine's profiles", ("apparmor",)))
    if "mount" not in machine.programs:
        pieces.append(Piece("mount", "the servers' runtime folder", ("mount",)))
    if not machine.has_ca_bundle:
        reason = "registries are reached by TLS"
        pieces.append(Piece("certificate authorities", reason, ("ca-certificates",)))
    return pieces


def install_command(packages: Iterable[str]) -> str:
    """Return the exact command that installs packages."""
    names = " ".join(sorted(set(packages)))
    return f"apt-get update && apt-get install -y --no-install-recommends {names}"


def explain_missing(machine: Machine, pieces: list[Piece]) -> tuple[list[str], str]:
    """Say what is missing and what to do about it.

    Returns:
        One line per piece, and the fix.
    """
    lines = [f"missing: {piece.name} ({piece.reason})" for piece in pieces]
    if not machine.is_root:
        lines.append("missing: root rights (homes belong to their people, folders are mounted)")
    packages = [package for piece in pieces for package in piece.packages]
    command = install_command(packages)
    if machine.has_apt and packages:
        if machine.is_root:
            return lines, command
        return lines, f"sudo ./labhub up, or first: sudo sh -c '{command}'"
    if packages:
        names = ", ".join(piece.name for piece in pieces)
        return lines, f"install {names} with the tools of {machine.title}, then ./labhub up as root"
    return lines, "sudo ./labhub up"


def parse_os_release(text: str) -> dict[str, str]:
    """Return the values of /etc/os-release."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("'\"") for key, value in pairs}
