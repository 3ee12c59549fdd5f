"""What cannot be asked is unknown, not gone."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from tests.docker.conftest import HubMaker
from tests.support.engine_proxy import EngineProxy
from tests.support.servers import container_of


@pytest.mark.parametrize("fault", ["500", "close"])
def test_engine_that_hiccups(
    make_hub: HubMaker, engine: docker.APIClient, tmp_path: Path, fault: str
) -> None:
    """While the engine answers 500 or nothing, a running server stays known and reachable, a new
    start is refused in words, and afterwards everything goes on."""
    proxy = EngineProxy(tmp_path / "engine.sock")
    hub = make_hub(f'[engine]\nsocket = "{proxy.url}"\n')
    student, ta = hub.sign_in("student"), hub.sign_in("ta")
    student.start_server()
    before = container_of(hub, engine, student.name)

    proxy.spoil(fault)
    # asking to start a server that runs makes the hub look whether it does
    answer = student.api("POST", f"users/{student.name}/server")
    assert (answer.status_code, "already running" in answer.text) == (400, True)
    assert student.get(f"user/{student.name}/api").status_code == 200
    assert "does not answer properly" in ta.start_server()[-1]["message"]

    proxy.spoil("pass")
    after = container_of(hub, engine, student.name)
    assert before and after and before["Id"] == after["Id"]
    assert ta.start_server()[-1].get("ready")
    ta.stop_server()
    student.stop_server()
    assert container_of(hub, engine, student.name) is None
    hub.stop_hub()
    proxy.close()
