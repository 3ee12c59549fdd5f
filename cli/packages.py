"""Installing Debian packages: only as root, only what is asked for, and with the end of apt's words
when it fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from cli.errors import CommandError
from cli.machine import Machine, install_command
from cli.steps import Steps

APT_TIMEOUT_S = 1800


def install_packages(steps: Steps, machine: Machine, packages: Sequence[str], reason: str) -> None:
    """Install packages, or say the command when we may not.

    Args:
        steps: Shows the step.
        machine: Whether we may, and whether apt is there.
        packages: Debian packages.
        reason: What lacks them, for people.

    Raises:
        CommandError: not root, not a system we know, or apt failed.
    """
    names = sorted(set(packages))
    if not (machine.is_root and machine.is_supported and machine.has_apt):
        raise CommandError(f"{reason} needs {', '.join(names)}", install_command(names))
    with steps.step(f"Installing {', '.join(names)}", long=True) as step:
        step.tell("apt-get update")
        _apt(["update"], names)
        step.tell("apt-get install")
        _apt(["install", "-y", "--no-install-recommends", *names], names)
        step.text = f"Installed {', '.join(names)}"


def _apt(arguments: list[str], names: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=APT_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(
            f"apt-get {arguments[0]} did not end within {APT_TIMEOUT_S // 60} minutes",
            install_command(names),
        ) from error
    if done.returncode != 0:
        raise CommandError(
            f"apt-get {arguments[0]} failed", install_command(names), done.stdout.splitlines()[-15:]
        )
