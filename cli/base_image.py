"""The image that the notebook image starts from.

An image that is there is never replaced. Where Docker Hub answers it is pulled; where it does not,
Debian's own base is made on this machine from Debian's signed packages (debootstrap).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from cli.errors import CommandError
from cli.machine import SEARCH, Machine
from cli.packages import install_packages
from cli.steps import Step, Steps

DEBIAN_BASE = "debian:bookworm-slim"
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
REGISTRY_TIMEOUT_S = 10
PULL_TIMEOUT_S = 1800
DEBOOTSTRAP_TIMEOUT_S = 1800
NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log/bootstrap.log",
    "var/log/apt",
)
_FAILURES = (docker.errors.DockerException, requests.exceptions.RequestException)


def ensure_base_image(steps: Steps, client: docker.APIClient, image: str, machine: Machine) -> None:
    """Pull or make the base image unless it is there.

    Args:
        steps: Shows the steps.
        client: The engine.
        image: The image, `build.base_image`.
        machine: Whether packages may be installed.

    Raises:
        CommandError: it can be neither pulled nor made.
    """
    if image_exists(client, image):
        return
    if registry_answers(client, image):
        with steps.step(f"Pulling {image}", long=True) as step:
            pull_image(client, image, step)
            step.text = f"Pulled {image}"
        return
    if image != DEBIAN_BASE:
        raise CommandError(
            f"The base image {image} is not here and its registry does not have it",
            f"check build.base_image, then try by hand: docker pull {image}",
        )
    steps.say(f"        No registry gives {image}: it is made from Debian's packages")
    make_debian_base(steps, client, machine)


def image_exists(client: docker.APIClient, image: str) -> bool:
    """Tell whether the engine has an image."""
    try:
        client.inspect_image(image)
    except docker.errors.ImageNotFound:
        return False
    return True


def registry_answers(client: docker.APIClient, image: str) -> bool:
    """Tell whether the image's registry has it, and says so within a short time."""
    usual_s, client.timeout = client.timeout, REGISTRY_TIMEOUT_S
    try:
        client.inspect_distribution(image)
    except _FAILURES:
        return False
    finally:
        client.timeout = usual_s
    return True


def pull_image(client: docker.APIClient, image: str, step: Step) -> None:
    """Pull an image.

    Raises:
        CommandError: it failed, also when the engine said so within the stream.
    """
    try:
        # The whole reference: docker-py parts digests and registries with a port rightly.
        read_pull_stream(client.pull(image, stream=True, decode=True), step, image)
    except _FAILURES as error:
        raise CommandError(f"{image} could not be pulled: {error}", "try again") from error


def read_pull_stream(events: Iterable[Mapping[str, Any]], step: Step, image: str) -> None:
    """Follow a pull to its end.

    Raises:
        CommandError: the stream held an error, or lasted too long.
    """
    deadline = time.monotonic() + PULL_TIMEOUT_S
    layers: dict[str, tuple[int, int]] = {}
    for event in events:
        if "error" in event:
            raise CommandError(f"{image} could not be pulled: {event['error']}", "try again")
        if time.monotonic() > deadline:
            raise CommandError(f"{image} could not be pulled within 30 minutes", "try again")
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and detail.get("total"):
            layers[str(event.get("id"))] = (detail["current"], detail["total"])
        done = sum(layer[0] for layer in layers.values())
        total = sum(layer[1] for layer in layers.values())
        step.advance_to(done, total or None, f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")


def make_debian_base(steps: Steps, client: docker.APIClient, machine: Machine) -> None:
    """Make Debian's base image with debootstrap.

    Raises:
        CommandError: debootstrap is missing and may not be installed, or failed.
    """
    wanted = [] if "debootstrap" in machine.programs else ["debootstrap"]
    wanted += [] if KEYRING.exists() else ["debian-archive-keyring"]  # Ubuntu lacks it
    if wanted:
        install_packages(steps, machine, wanted, "Making the base image")
    with (
        steps.step(f"Making {DEBIAN_BASE}", long=True) as step,
        tempfile.TemporaryDirectory(prefix="labhub-base-", dir="/var/tmp") as folder,
    ):
        root = Path(folder, "root")
        _debootstrap(root, step)
        _trim(root)
        step.tell("importing")
        _import(client, root)
        step.text = f"Made {DEBIAN_BASE}"


def _debootstrap(root: Path, step: Step) -> None:
    command = [
        "debootstrap",
        "--variant=minbase",
        "--force-check-gpg",
        f"--keyring={KEYRING}",
        SUITE,
        str(root),
        MIRROR,
    ]
    environment = {**os.environ, "PATH": SEARCH, **_apt_proxy(os.environ)}
    lines: list[str] = []
    deadline = time.monotonic() + DEBOOTSTRAP_TIMEOUT_S
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            step.tell(line.removeprefix("I: "))
            if time.monotonic() > deadline:
                process.kill()
                lines.append("stopped: it took longer than 30 minutes")
    if process.returncode != 0:
        raise CommandError(
            f"debootstrap could not make {DEBIAN_BASE}",
            f"check that this machine reaches {MIRROR}",
            lines[-10:],
        )


def _apt_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return apt's own HTTP proxy as the variable that debootstrap's download program reads."""
    if environ.get("http_proxy") or not shutil.which("apt-config"):
        return {}
    done = subprocess.run(
        ["apt-config", "shell", "proxy", "Acquire::http::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    )
    value = done.stdout.partition("=")[2].strip().strip("'")
    return {"http_proxy": value} if value.startswith("http") else {}


def _trim(root: Path) -> None:
    """Leave out what an image has no use for, and name Debian's three sources of packages."""
    for name in NOT_NEEDED:
        path = root / name
        if path.is_dir():
            for child in path.iterdir():
                _remove(child)
        else:
            _remove(path)
    (root / "etc/apt/sources.list").write_text(
        f"deb {MIRROR} {SUITE} main\n"
        f"deb {MIRROR} {SUITE}-updates main\n"
        f"deb {SECURITY_MIRROR} {SUITE}-security main\n"
    )
    (root / "etc/apt/apt.conf.d/no-cache").write_text(
        'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\nAcquire::Languages "none";\n'
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _import(client: docker.APIClient, root: Path) -> None:
    repository, _, tag = DEBIAN_BASE.partition(":")
    with subprocess.Popen(
        ["tar", "-C", str(root), "--numeric-owner", "-c", "."], stdout=subprocess.PIPE
    ) as tar:
        try:
            client.import_image_from_stream(
                tar.stdout, repository=repository, tag=tag, changes=['CMD ["bash"]']
            )
        except _FAILURES as error:
            raise CommandError(f"{DEBIAN_BASE} could not be imported: {error}") from error
    if tar.returncode != 0 or not image_exists(client, DEBIAN_BASE):
        raise CommandError(f"{DEBIAN_BASE} could not be imported", "is the disk full? df -h")
