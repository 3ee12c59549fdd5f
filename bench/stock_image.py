"""The image for stock DockerSpawner: the packages of our notebook image as pip installs them.

Top-level packages and all versions come from `images/notebook`. pip adds what our lock leaves out
on purpose (rfc3987-syntax): that is a part of what a stock start takes.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import docker

from cli import PROJECT_FOLDER
from cli.build import build_image, image_is_current
from cli.build_context import CA_FOLDER, Context
from cli.certificates import extra_ca_files, read_certificates
from cli.machine import Machine
from cli.steps import Steps
from hub_config.settings import Build, Settings

NAME = "bench-stock"
SOURCES = PROJECT_FOLDER / "bench" / "stock-image"
NOTEBOOK = PROJECT_FOLDER / "images" / "notebook"
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==[^\s;\\]+(\s*;[^\\]*)?")
_LEFT_OUT = re.compile(r"\s*;\s*sys_platform == 'never'")
"""The marker by which images/notebook/overrides.txt keeps a package out of our image."""

_NAMED = re.compile(r"[A-Za-z0-9._-]+")


@contextmanager
def stock_image(steps: Steps, client: docker.APIClient, settings: Settings) -> Iterator[str]:
    """Build the stock image for a while; one of the same sources that is there is used, and stays.

    Args:
        steps: Shows the build.
        client: The engine.
        settings: The base image and the certificate authorities.

    Yields:
        The image's tag.

    Raises:
        CommandError: it cannot be built.
    """
    context = stock_context(settings.build)
    if image_is_current(client, context):
        yield context.tag
        return
    build_image(steps, client, settings, Machine.this(), context)
    try:
        yield context.tag
    finally:
        client.remove_image(context.tag, force=True)


def stock_context(build: Build) -> Context:
    """Return what the image is built from."""
    folder = f"images/{NAME}"  # as the builder expects it; nothing lies there
    pins = read_pins((NOTEBOOK / "requirements.lock").read_text())
    names = read_names((NOTEBOOK / "requirements.in").read_text())
    # the hub's own version wins, as in the notebook image
    pins["jupyterhub"] = f"jupyterhub=={importlib.metadata.version('jupyterhub')}"
    files = {
        f"{folder}/Dockerfile": (0o644, (SOURCES / "Dockerfile").read_bytes()),
        f"{folder}/install.sh": (0o755, (SOURCES / "install.sh").read_bytes()),
        f"{folder}/requirements.txt": (0o644, _lines(pins[name] for name in names)),
        f"{folder}/constraints.txt": (
            0o644,
            _lines(_LEFT_OUT.sub("", pin) for pin in pins.values()),
        ),
        f"{folder}/{CA_FOLDER}/README.md": (0o644, b"Extra certificate authorities.\n"),
    }
    certificates = read_certificates(extra_ca_files(build.extra_ca_files, os.environ))
    for file, content in certificates.items():
        files[f"{folder}/{CA_FOLDER}/{file}"] = (0o644, content)
    return Context(NAME, files, {"BASE_IMAGE": build.base_image})


def read_pins(lock: str) -> dict[str, str]:
    """Return the packages of a lock by name: `name==version`, with their marker, without hashes."""
    found = (_PINNED.match(line) for line in lock.splitlines())
    return {match["name"].lower(): match[0].strip() for match in found if match}


def read_names(requirements: str) -> list[str]:
    """Return the names of the packages that a list of requirements asks for."""
    found = (_NAMED.match(line) for line in requirements.splitlines())
    return [match[0].lower() for match in found if match]


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
