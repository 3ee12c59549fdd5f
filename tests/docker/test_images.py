"""Images that are followed by their tag, with a real registry on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from hub_config.settings import LOCAL_IMAGE
from tests.docker.conftest import HubMaker
from tests.support.hub import RunningHub
from tests.support.registry import LocalRegistry, push_variant
from tests.support.servers import container_of

PROFILE = '[[profile]]\nname = "course"\nimage = "{image}"\n[start]\ndigest_shared_s = 0\n'
PASSWORD_LINE = "lab:$2a$05$abcdefghijklmnopqrstuuPjvWZA9Te8qmmwSCy0c40HUw16Nv/I6"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    registry = LocalRegistry(tmp_path_factory.mktemp("registry"))
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def deploy(engine: docker.APIClient, registry: LocalRegistry) -> Iterator[str]:
    name = f"{registry.host}/course/notebook:deploy"
    push_variant(engine, LOCAL_IMAGE, name, "one", extra_bytes=4_000_000)
    yield name
    for image in engine.images(f"{registry.host}/course/notebook"):
        engine.remove_image(image["Id"], force=True, noprune=True)


@pytest.fixture(scope="module")
def hub(make_hub: HubMaker, deploy: str) -> RunningHub:
    return make_hub(PROFILE.format(image=deploy))


def version(hub: RunningHub, engine: docker.APIClient, name: str) -> str:
    found = container_of(hub, engine, name)
    assert found
    prefix = "LABHUB_TEST_VERSION="
    (value,) = [line for line in found["Config"]["Env"] if line.startswith(prefix)]
    return str(value.removeprefix(prefix))


def test_the_newest_image_on_restart(
    hub: RunningHub, engine: docker.APIClient, registry: LocalRegistry, deploy: str
) -> None:
    """A push to `deploy` reaches a server at its next restart; an unchanged tag costs one HEAD;
    with the registry away the last image starts and the page says so."""
    student = hub.sign_in("student")
    events = student.start_server()
    assert events[-1].get("ready"), events
    assert version(hub, engine, student.name) == "one"
    assert any("%" in event["message"] and "MB" in event["message"] for event in events)
    student.stop_server()

    asked = len(registry.requests_seen())
    student.start_server()
    assert [line.split()[0] for line in registry.requests_seen()[asked:]] == ["HEAD"]
    assert version(hub, engine, student.name) == "one"

    pushed = push_variant(engine, LOCAL_IMAGE, deploy, "two")
    assert version(hub, engine, student.name) == "one"
    student.stop_server()
    student.start_server()
    assert version(hub, engine, student.name) == "two"
    found = container_of(hub, engine, student.name)
    assert found and found["Image"] == pushed
    student.stop_server()

    registry.stop()
    events = student.start_server()
    assert events[-1].get("ready")
    assert version(hub, engine, student.name) == "two"
    assert any("the last one that was downloaded" in event["message"] for event in events)
    assert "the last one that was downloaded" in student.get("hub/home").text
    student.stop_server()
    registry.start()


def test_the_notice_goes_when_the_registry_is_back(hub: RunningHub) -> None:
    """A start that could ask the registry says nothing of the one that could not."""
    student = hub.sign_in("student")
    student.start_server()
    assert "the last one that was downloaded" not in student.get("hub/home").text
    student.stop_server()


def test_image_that_cannot_be_had(make_hub: HubMaker) -> None:
    """An image that is nowhere is said in words, with a next step."""
    hub = make_hub(PROFILE.format(image="127.0.0.1:1/nothing:deploy"))
    message = hub.sign_in("student").start_server()[-1]["message"]
    assert "could not be downloaded" in message
    assert "Try again" in message


def test_private_registry(
    make_hub: HubMaker,
    engine: docker.APIClient,
    stub_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With name and password file a private registry's image starts; the password is in no log."""
    folder = tmp_path_factory.mktemp("private")
    registry = LocalRegistry(folder, PASSWORD_LINE)
    registry.start()
    name = f"{registry.host}/private:deploy"
    auth = {"username": "lab", "password": "registry-pass"}
    try:
        push_variant(engine, stub_image, name, "private", auth)
        secret = folder / "password"
        secret.write_text("registry-pass\n")
        secret.chmod(0o600)
        toml = PROFILE.format(image=name) + (
            f'[registry]\nhost = "{registry.host}"\nusername = "lab"\n'
            f'password_file = "{Path(secret)}"\n'
        )
        hub = make_hub(toml)
        student = hub.sign_in("student")
        events = student.start_server()
        assert events[-1].get("ready"), events
        assert version(hub, engine, student.name) == "private"
        found = container_of(hub, engine, student.name)
        assert found and found["Config"]["User"].startswith("2000"), "no chain drops root's rights"
        student.stop_server()
        assert "registry-pass" not in hub.log()
        engine.remove_image(name, force=True)
    finally:
        registry.stop()
