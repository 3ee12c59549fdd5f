"""Our images on the real engine, built as `labhub images build` builds them."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from rich.console import Console

from cli.build import ensure_image, read_build_stream
from cli.build_context import Context, read_context
from cli.machine import Machine
from cli.steps import Step, Steps
from hub_config.settings import LOCAL_IMAGE, Settings
from tests.support.containers import Containers, Host

DOCKER_STACKS = Path(__file__).parent / "docker_stacks"


@pytest.fixture(scope="session")
def client() -> Iterator[docker.APIClient]:
    """The engine of this machine; without one every test fails."""
    with_engine = docker.APIClient(version="auto", timeout=600)
    yield with_engine
    with_engine.close()


@pytest.fixture(scope="session")
def containers(client: docker.APIClient) -> Iterator[Containers]:
    """Containers of this test run, removed at its end."""
    made = Containers(client, secrets.token_hex(4))
    yield made
    made.remove_all()


@pytest.fixture(scope="session")
def image(client: docker.APIClient) -> str:
    """The notebook image, built if its sources have changed."""
    steps = Steps(Console(file=io.StringIO()))
    ensure_image(steps, client, Settings(), Machine.this(), "notebook")
    return LOCAL_IMAGE


@pytest.fixture
def host(containers: Containers, image: str, tmp_path: Path) -> Host:
    """The folders of one server, and the way to start it."""
    return Host(containers, image, tmp_path / "host")


@pytest.fixture(scope="session")
def stacks(client: docker.APIClient) -> str:
    """An image that starts as those of docker-stacks do today."""
    return _build_stacks(client, "today", {})


@pytest.fixture(scope="session")
def old_stacks(client: docker.APIClient, stacks: str) -> str:
    """The same as before July 2026, when a hook that failed stopped the start."""
    return _build_stacks(client, "old", {"STOPS_AT_FAILURE": "yes"})


@pytest.fixture(scope="session")
def image_on_stacks(client: docker.APIClient, stacks: str) -> str:
    """The notebook image, built on the base of docker-stacks."""
    build = Settings().build.model_copy(update={"base_image": stacks})
    context = read_context("notebook", build, os.environ)
    return _build(client, context, context.dockerfile, "labhub-test/notebook-on-docker-stacks")


def _build_stacks(client: docker.APIClient, name: str, arguments: dict[str, str]) -> str:
    files = {
        path.name: (path.stat().st_mode & 0o777, path.read_bytes())
        for path in DOCKER_STACKS.iterdir()
    }
    tag = f"labhub-test/docker-stacks:{name}"
    return _build(client, Context(name, files, arguments), "Dockerfile", tag)


def _build(client: docker.APIClient, context: Context, dockerfile: str, tag: str) -> str:
    stream = client.build(
        fileobj=context.tar(),
        custom_context=True,
        dockerfile=dockerfile,
        tag=tag,
        buildargs=dict(context.arguments),
        rm=True,
        forcerm=True,
        decode=True,
    )
    read_build_stream(stream, Step(None, tag), tag)
    return tag
