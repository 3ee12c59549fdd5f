"""What a machine lacks, and the exact words about it: facts in, words out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from rich.console import Console

from cli.errors import CommandError
from cli.machine import (
    PROGRAMS,
    Machine,
    explain_missing,
    install_command,
    missing_pieces,
    parse_os_release,
)
from cli.packages import install_packages
from cli.steps import Steps

FRESH = Machine(
    system="debian",
    version="12",
    title="Debian GNU/Linux 12 (bookworm)",
    is_root=True,
    has_systemd=True,
    has_apparmor=True,
    has_ca_bundle=False,
    programs=frozenset({"apt-get", "mount"}),
)
COMPLETE = dataclasses.replace(FRESH, has_ca_bundle=True, programs=frozenset(PROGRAMS))


def packages(machine: Machine, *, engine_answers: bool = False) -> list[str]:
    pieces = missing_pieces(machine, engine_answers)
    return sorted(name for piece in pieces for name in piece.packages)


@pytest.mark.parametrize(
    ("text", "system", "version", "supported"),
    [
        ('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"', "debian", "12", True),
        ('ID=debian\nVERSION_ID="13"', "debian", "13", True),
        ('NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="24.04"', "ubuntu", "24.04", True),
        ("ID=ubuntu\nVERSION_ID='22.04'", "ubuntu", "22.04", False),
        ('ID="fedora"\nVERSION_ID=42', "fedora", "42", False),
        ("# a comment\n\nID=debian", "debian", "", False),
        ("", "unknown", "", False),
    ],
)
def test_system_is_read_from_os_release(
    tmp_path: Path, text: str, system: str, version: str, supported: bool
) -> None:
    file = tmp_path / "os-release"
    file.write_text(text)
    machine = Machine.this(file)
    assert (machine.system, machine.version) == (system, version)
    assert machine.is_supported is supported


def test_missing_os_release_is_an_unknown_system(tmp_path: Path) -> None:
    machine = Machine.this(tmp_path / "none")
    assert machine.system == "unknown"
    assert not machine.is_supported


def test_os_release_values_lose_their_quotes() -> None:
    assert parse_os_release("A=\"x = y\"\nB='z'\nC=1\n") == {"A": "x = y", "B": "z", "C": "1"}


def test_fresh_debian_lacks_the_engine_and_what_it_needs() -> None:
    assert packages(FRESH) == ["apparmor", "ca-certificates", "docker.io", "iptables"]


def test_kernel_without_apparmor_needs_none_of_its_tools() -> None:
    assert "apparmor" not in packages(dataclasses.replace(FRESH, has_apparmor=False))


def test_engine_that_answers_is_complete_wherever_it_runs() -> None:
    assert packages(FRESH, engine_answers=True) == ["ca-certificates"]


def test_complete_machine_lacks_nothing() -> None:
    assert packages(COMPLETE) == []


def test_each_missing_piece_is_named_with_the_exact_command() -> None:
    user = dataclasses.replace(FRESH, is_root=False)
    lines, fix = explain_missing(user, missing_pieces(user, False))
    text = "\n".join(lines)
    for name in ("Docker Engine", "iptables", "AppArmor", "certificate authorities", "root rights"):
        assert name in text
    names = "apparmor ca-certificates docker.io iptables"
    assert f"apt-get install -y --no-install-recommends {names}" in fix
    assert "sudo ./labhub up" in fix


def test_system_without_apt_is_told_what_to_install() -> None:
    fedora = dataclasses.replace(
        FRESH, system="fedora", title="Fedora 42", programs=frozenset({"mount"})
    )
    _, fix = explain_missing(fedora, missing_pieces(fedora, False))
    assert "apt-get" not in fix
    assert "Docker Engine" in fix
    assert "Fedora 42" in fix


def test_user_on_a_complete_machine_lacks_only_root_rights() -> None:
    user = dataclasses.replace(COMPLETE, is_root=False)
    lines, fix = explain_missing(user, [])
    assert len(lines) == 1
    assert fix == "sudo ./labhub up"


@pytest.mark.parametrize(
    "machine",
    [
        dataclasses.replace(FRESH, is_root=False),
        dataclasses.replace(FRESH, version="11"),
        dataclasses.replace(FRESH, system="fedora", version="42"),
        dataclasses.replace(FRESH, programs=frozenset()),
    ],
)
def test_nothing_is_installed_where_we_may_not(machine: Machine) -> None:
    """The exact command is the fix, each package once and in order."""
    with pytest.raises(CommandError) as caught:
        install_packages(Steps(Console(quiet=True)), machine, ["b", "a", "b"], "A test")
    assert caught.value.fix == install_command(["a", "b"])
    assert caught.value.fix.endswith("--no-install-recommends a b")
