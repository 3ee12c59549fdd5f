"""Names of everything that belongs to one server: pure, and no two servers ever share one.

A person's slug is unique among the people of a hub (`hub_config.people`), the hub's id is unique
among the hubs of an engine, and `--` never occurs within a slug. So the parts joined below are
distinct for distinct servers, at most 63 characters, and valid DNS labels.
"""

from __future__ import annotations

from dataclasses import dataclass

from jupyterhub.slugs import safe_slug

from hub_config.people import Person

LABEL_HUB = "org.labhub.hub"
LABEL_KIND = "org.labhub.kind"


@dataclass(frozen=True)
class ServerNames:
    """The names of one server.

    Attributes:
        server_id: Key of its record and runtime directory.
        container: Container name and host name on the network.
        oauth_client: Id of its OAuth client in the hub.
    """

    server_id: str
    container: str
    oauth_client: str


def server_names(hub_id: str, person: Person, server_name: str = "") -> ServerNames:
    """Return the names of a person's server.

    Args:
        hub_id: 8 hex digits.
        person: The owner.
        server_name: JupyterHub's name of a named server; empty for the default one.
    """
    server_id = person.slug
    if server_name:
        server_id += "--" + safe_slug(server_name, max_length=12)
    return ServerNames(
        server_id=server_id,
        container=f"labhub-{hub_id}-{server_id}",
        oauth_client=f"jupyterhub-user-{server_id}",
    )


def standby_name(hub_id: str, standby_id: str) -> str:
    """Return the container's name of a server without an owner; no server has a `_` in its name."""
    return f"labhub-{hub_id}_{standby_id}"


def home_path(person: Person) -> str:
    """Return where a person's home is mounted inside the container."""
    return f"/home/{person.slug}"


def home_volume(hub_id: str, person: Person) -> str:
    """Return the name of the volume that holds a person's home."""
    return f"labhub-{hub_id}-home--{person.slug}"


def share_volume(hub_id: str, share: str) -> str:
    """Return the name of the volume that stands for a share on a file server."""
    return f"labhub-{hub_id}-share--{share}"


def network(hub_id: str) -> str:
    """Return the name of the network on which the hub meets its servers."""
    return f"labhub-{hub_id}"


def labels(hub_id: str, kind: str) -> dict[str, str]:
    """Return the labels of an engine object; they say only whose it is and what it is for.

    Args:
        hub_id: 8 hex digits.
        kind: `server`, `standby`, `helper`, `home`, `share` or `network`.
    """
    return {LABEL_HUB: hub_id, LABEL_KIND: kind}
