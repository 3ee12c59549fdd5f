"""Look at the standbys of a hub, and at what is left over on the host."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import docker

from hub_config.settings import LOCAL_IMAGE
from spawner.naming import LABEL_HUB, LABEL_KIND
from tests.support.hub import RunningHub

READY_TIMEOUT_S = 120


def settings_of(count: int, image: str = LOCAL_IMAGE) -> str:
    """Return the part of hub.toml that asks for some standbys of one profile."""
    return (
        f'\n[[profile]]\nname = "notebook"\nimage = "{image}"\nmemory_gib = 1\n'
        f"standbys = {count}\n[standby]\nmemory_gib = 8\n"
    )


def runtimes(hub: RunningHub) -> list[Path]:
    """Return the runtime directories of all servers and standbys of a hub."""
    return sorted((hub.settings.hub.runtime_folder / hub.state.hub_id).iterdir())


def containers_of(hub: RunningHub, engine: docker.APIClient, *more: str) -> list[dict[str, Any]]:
    """Return a hub's containers that have some more labels too, also those that ended."""
    labels = [f"{LABEL_HUB}={hub.state.hub_id}", *more]
    found: list[dict[str, Any]] = engine.containers(all=True, filters={"label": labels})
    return found


def standbys_of(hub: RunningHub, engine: docker.APIClient) -> list[dict[str, Any]]:
    """Return the containers of those that wait for an owner."""
    found = containers_of(hub, engine, f"{LABEL_KIND}=standby")
    return [each for each in found if "_standby_" in each["Names"][0]]


def wait_for_standbys(hub: RunningHub, engine: docker.APIClient, count: int) -> list[str]:
    """Return the ids of the containers of a hub's standbys when just so many are ready."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        ready = [
            each
            for each in runtimes(hub)
            if (each / "ready.json").exists() and not (each / "claimed").exists()
        ]
        found = standbys_of(hub, engine)
        if len(ready) == len(found) == count:
            time.sleep(0.5)  # the hub looks every 0.1 s
            return [each["Id"] for each in found]
        assert time.monotonic() < deadline, f"{len(ready)} of {count} standbys: {hub.log()[-3000:]}"
        time.sleep(0.1)


def is_from_standby(container: dict[str, Any] | None) -> bool:
    """Tell by its inspection whether a server was claimed from a standby."""
    assert container
    return bool(container["Config"]["Labels"][LABEL_KIND] == "standby")
