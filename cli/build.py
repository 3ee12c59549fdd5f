"""Building images with the engine's own builder.

The engine reports a failed build within its stream and with status 200, so the stream is read to
its end: an error in it is an error here, and so is a stream that ends without an image.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
import requests.exceptions

from cli.base_image import ensure_base_image
from cli.build_context import SOURCE_LABEL, Context, proxy_arguments, read_context
from cli.errors import CommandError
from cli.machine import Machine
from cli.steps import Step, Steps
from hub_config.settings import Settings

BUILD_SILENCE_S = 1800
LAST_LINES = 25
_STAGE = re.compile(r"Step (\d+)/(\d+) : (.*)")
_LOOPBACK = ("localhost", "127.", "[::1]", "::1")


def image_is_current(client: docker.APIClient, context: Context) -> bool:
    """Tell whether the image exists and was built from exactly these sources."""
    try:
        image = client.inspect_image(context.tag)
    except docker.errors.ImageNotFound:
        return False
    labels = image["Config"].get("Labels") or {}
    return bool(labels.get(SOURCE_LABEL) == context.hash())


def ensure_image(
    steps: Steps, client: docker.APIClient, settings: Settings, machine: Machine, name: str
) -> bool:
    """Build an image unless the one that is there was built from the same sources.

    Returns:
        Whether it was built.

    Raises:
        CommandError: it cannot be built.
    """
    context = read_context(name, settings.build, os.environ)
    if image_is_current(client, context):
        return False
    build_image(steps, client, settings, machine, context)
    return True


def build_image(
    steps: Steps, client: docker.APIClient, settings: Settings, machine: Machine, context: Context
) -> None:
    """Build an image, and its base where that is missing.

    Raises:
        CommandError: the build failed; the error holds its last lines.
    """
    ensure_base_image(steps, client, settings.build.base_image, machine)
    with steps.step(f"Building the image {context.tag}", long=True) as step:
        try:
            stream = client.build(
                fileobj=context.tar(),
                custom_context=True,
                dockerfile=context.dockerfile,
                tag=context.tag,
                buildargs={**context.arguments, **proxy_arguments(os.environ)},
                labels={SOURCE_LABEL: context.hash()},
                network_mode=_network(os.environ),
                rm=True,
                forcerm=True,
                decode=True,
                timeout=BUILD_SILENCE_S,
            )
            read_build_stream(stream, step, context.tag)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise CommandError(
                f"The engine could not build {context.tag}: {error}", "./labhub doctor"
            ) from error
        step.text = f"Built the image {context.tag}"


def read_build_stream(events: Iterable[Mapping[str, Any]], step: Step, tag: str) -> None:
    """Follow a build to its end.

    Args:
        events: What the engine sends.
        step: Shows how far the build is.
        tag: The image, for the error.

    Raises:
        CommandError: the build failed, or the stream ended without an image.
    """
    lines: deque[str] = deque(maxlen=LAST_LINES)
    stage, stages, is_built = 0, 0, False
    for event in events:
        if "error" in event:
            cause = str(event["error"]).strip()
            raise CommandError(
                f"The image {tag} could not be built: {cause}", _advice(lines), list(lines)
            )
        is_built = is_built or "ID" in (event.get("aux") or {})
        for line in str(event.get("stream", "")).splitlines():
            if not line.strip():
                continue
            lines.append(line.rstrip())
            if found := _STAGE.match(line):
                stage, stages = int(found[1]), int(found[2])
            is_built = is_built or line.startswith("Successfully built ")
            step.advance_to(stage, stages or None, line)
    if not is_built:
        raise CommandError(
            f"The build of {tag} broke off", "try again; if it lasts: ./labhub doctor", list(lines)
        )


def _advice(lines: Iterable[str]) -> str:
    text = "\n".join(lines).lower()
    if "certificate" in text and ("verify" in text or "unknown" in text or "self-signed" in text):
        return (
            "a proxy with its own certificates stands between: put its CA (PEM, *.crt) into "
            "/usr/local/share/ca-certificates, or set build.extra_ca_files"
        )
    if any(word in text for word in ("could not resolve", "temporary failure", "name resolution")):
        return "a build cannot resolve names: check the engine's DNS, and HTTP(S)_PROXY"
    return "the lines above say why"


def _network(environ: Mapping[str, str]) -> str | None:
    """Return the network of a build: the host's own when an HTTP proxy listens on its loopback."""
    for value in proxy_arguments(environ).values():
        host = urlsplit(value).hostname or ""
        if host.startswith(_LOOPBACK):
            return "host"
    return None
