"""Hubs on the real engine; each has its own data folder and removes what it made."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from hub_config.settings import LOCAL_IMAGE
from tests.support.hub import RunningHub

HubMaker = Callable[..., RunningHub]


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.APIClient]:
    """The engine of this machine; without one, or without the image, the test fails."""
    client = docker.APIClient(version="auto", timeout=120)
    client.inspect_image(LOCAL_IMAGE)
    yield client
    client.close()


@pytest.fixture(scope="session")
def stub_image(engine: docker.APIClient) -> Iterator[str]:
    """A server of 2 MB that answers HTTP and does nothing else; without our start chain."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")  # Debian package busybox-static
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    name = f"labhub-test/stub:{os.getpid()}"
    script = "busybox httpd -p 8888 -h /; trap exit TERM; while :; do busybox sleep 9 & wait; done"
    command = json.dumps(["/bin/sh", "-c", script])
    engine.import_image_from_data(archive.getvalue(), *name.split(":"), changes=[f"CMD {command}"])
    yield name
    engine.remove_image(name, force=True)


@pytest.fixture(scope="module")
def make_hub(
    engine: docker.APIClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubMaker]:
    """Start hubs with the given settings; all are removed after the module."""
    stack = contextlib.ExitStack()  # each is removed, also when removing another one fails

    def make(toml: str = "", prepare: Callable[[Path], None] | None = None) -> RunningHub:
        folder = tmp_path_factory.mktemp("hub")
        if prepare:
            prepare(folder)
        hub = RunningHub(folder, toml)
        stack.callback(hub.stop)
        hub.start()
        return hub

    with stack:
        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the logs of the hubs that a failed test used."""
    report = yield
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, RunningHub):
                report.sections.append(("log of the hub", value.log()[-8000:]))
    return report
