"""Look into the containers of a hub's servers."""

from __future__ import annotations

from typing import Any

import docker
import docker.errors

from hub_config.people import People
from spawner.naming import server_names
from tests.support.hub import RunningHub


def container_of(hub: RunningHub, engine: docker.APIClient, name: str) -> dict[str, Any] | None:
    """Return the engine's inspection of a person's server, None when there is none."""
    person = People(hub.state.people_file).find(name)
    assert person, f"{name} has not signed in"
    try:
        found: dict[str, Any] = engine.inspect_container(
            server_names(hub.state.hub_id, person).container
        )
    except docker.errors.NotFound:
        return None
    return found


def run_in(
    hub: RunningHub, engine: docker.APIClient, name: str, script: str, user: str = ""
) -> str:
    """Run a shell script in a person's server, as that person; return its output.

    Args:
        hub: The hub.
        engine: Its engine.
        name: Whose server.
        script: For /bin/sh.
        user: Another user id to run as.
    """
    person = People(hub.state.people_file).find(name)
    assert person
    found = container_of(hub, engine, name)
    assert found, f"{name} has no server"
    made = engine.exec_create(
        found["Id"],
        ["/bin/sh", "-c", script],
        user=user or f"{person.uid}:{person.gid}",
        environment={"HOME": f"/home/{person.slug}"},
    )
    output: bytes = engine.exec_start(made["Id"])
    status = engine.exec_inspect(made["Id"])["ExitCode"]
    assert status == 0, f"{script!r} ended with {status}: {output.decode(errors='replace')}"
    return output.decode()
