"""One question and one pull for all who start, with a real registry and a real engine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from hub_config.settings import Engine as EngineSettings
from spawner.channels import Channels, Image, ImageMissing
from spawner.engine import Engine
from spawner.registry import Registry
from tests.support.registry import LocalRegistry, push_variant


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[LocalRegistry]:
    registry = LocalRegistry(tmp_path)
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture
def name(engine: docker.APIClient, registry: LocalRegistry) -> Iterator[str]:
    """The tag that is followed; its images are removed afterwards."""
    repository = f"{registry.host}/channel"
    yield f"{repository}:deploy"
    for image in engine.images(repository):
        engine.remove_image(image["Id"], force=True, noprune=True)


def channels(shared_s: float = 30) -> Channels:
    engine = Engine(EngineSettings(), "00000000")
    return Channels(engine, Registry("", "", "", 3), shared_s)


def silent(share: float, message: str) -> None:
    """Be told and do nothing."""


def asked(registry: LocalRegistry) -> list[str]:
    """Return the requests for the tag itself: one HEAD a question, one more and a GET a pull."""
    seen = registry.requests_seen()
    return [line for line in seen if line.endswith("/v2/channel/manifests/deploy")]


async def test_twenty_starts_cause_one_question_and_one_pull(
    engine: docker.APIClient, registry: LocalRegistry, name: str, stub_image: str
) -> None:
    """Twenty who start at once get the new image by one pull, and each sees its percent; the
    twenty-first is served by the same answer."""
    pushed = push_variant(engine, stub_image, name, "one", extra_bytes=4_000_000)
    before = len(asked(registry))
    followed = channels()
    told: list[list[str]] = [[] for _ in range(20)]
    starts = [
        followed.image_for_start(name, lambda _, text, heard=heard: heard.append(text))
        for heard in told
    ]
    images = await asyncio.gather(*starts)
    assert {image.id for image in images} == {pushed}
    assert all("100%" in heard[-1] for heard in told)
    assert (await followed.image_for_start(name, silent)).id == pushed
    questions = asked(registry)[before:]
    assert len([line for line in questions if line.startswith("GET")]) <= 1
    assert len([line for line in questions if line.startswith("HEAD")]) <= 2


async def test_an_answer_grows_old(
    engine: docker.APIClient, registry: LocalRegistry, name: str, stub_image: str
) -> None:
    """An answer serves for a while only; then a push is seen."""
    push_variant(engine, stub_image, name, "one")
    followed, patient = channels(shared_s=0), channels(shared_s=300)
    first = await followed.image_for_start(name, silent)
    await patient.image_for_start(name, silent)
    second = push_variant(engine, stub_image, name, "two")
    engine.pull(name.rpartition(":")[0], tag="deploy")
    assert (await followed.image_for_start(name, silent)).id == second != first.id


async def test_who_gives_up_does_not_end_the_pull(
    engine: docker.APIClient, registry: LocalRegistry, name: str, stub_image: str
) -> None:
    """A start that is stopped while it waits leaves the pull to the others."""
    pushed = push_variant(engine, stub_image, name, "one")
    followed = channels()
    impatient = asyncio.ensure_future(followed.image_for_start(name, silent))
    patient = asyncio.ensure_future(followed.image_for_start(name, silent))
    await asyncio.sleep(0)
    impatient.cancel()
    found: Image = await patient
    assert found.id == pushed
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_pull_that_breaks_gives_the_last_good_image(
    engine: docker.APIClient,
    registry: LocalRegistry,
    name: str,
    stub_image: str,
    tmp_path: Path,
) -> None:
    """An error within the pull's stream counts: the last good image starts, with a notice; without
    one the start is refused in words."""
    push_variant(engine, stub_image, name, "one")
    followed = channels(shared_s=0)
    good = await followed.image_for_start(name, silent)
    push_variant(engine, good.id, f"{name}-next", "two")
    engine.pull(f"{registry.host}/channel", tag="deploy-next")
    engine.tag(f"{name}-next", name.rpartition(":")[0], "deploy")
    for event in engine.push(name.rpartition(":")[0], "deploy", stream=True, decode=True):
        assert "error" not in event
    engine.tag(good.id, name.rpartition(":")[0], "deploy")
    engine.remove_image(f"{name}-next", force=True)
    shutil.rmtree(tmp_path / "store" / "docker" / "registry" / "v2" / "blobs")
    found = await followed.image_for_start(name, silent)
    assert found.id == good.id
    assert "last one that was downloaded" in found.notice
    engine.remove_image(name, force=True)
    with pytest.raises(ImageMissing, match="cannot be had"):
        await followed.image_for_start(name, silent)
