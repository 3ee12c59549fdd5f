"""A hub's database with thousands of people in it, and some running servers among them.

What JupyterHub and `hub_config.people` would have written after so many sign-ins: a user row with
its role, its group, its encrypted auth state and its spawner row, and an identity. A running server
adds a server row, the spawner's state, its token, its OAuth client and our record.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jupyterhub import crypto, orm
from sqlalchemy.orm import Session

from hub_config.people import People, Person
from hub_config.settings import Settings
from hub_config.state import State
from spawner.naming import server_names
from spawner.records import Record, Records

PORT = 8888
PEOPLE_PER_TA = 50
PEOPLE_PER_ADMIN = 400


@dataclass(frozen=True)
class Server:
    """A stub server that runs.

    Attributes:
        person: Its owner.
        container: Name of the container.
        container_id: The engine's id of the container.
        ip: Its address on the hub's network.
    """

    person: Person
    container: str
    container_id: str
    ip: str


def role_of(index: int) -> str:
    """Return the role of the person with a number: `admin`, `ta` or `student`."""
    if index % PEOPLE_PER_ADMIN == 1:
        return "admin"
    return "ta" if index % PEOPLE_PER_TA == 0 else "student"


def add_people(settings: Settings, state: State, db: Session, first: int, end: int) -> list[Person]:
    """Add the people with the numbers `first` to `end` - 1 to both databases.

    Args:
        settings: The hub's settings.
        state: The hub's state folder.
        db: The hub's database, in which JupyterHub has already made its roles.
        first: Number of the first one.
        end: Number after the last one.

    Returns:
        The students among them.
    """
    named = [(index, f"{role_of(index)}-{index:04}") for index in range(first, end)]
    people = People(state.people_file, settings.start.first_uid)
    persons = {name: people.claim(f"bench:{index}", name) for index, name in named}
    sealed = _sealed_states(state, [persons[name].identity for _, name in named])
    groups = {
        "admin": _group(db, settings.groups.admins),
        "ta": _group(db, settings.groups.tas),
        "student": _group(db, settings.groups.students),
    }
    user_role, admin_role = (orm.Role.find(db, name) for name in ("user", "admin"))
    now = datetime.now(UTC).replace(tzinfo=None)  # as JupyterHub keeps times
    for (index, name), auth_state in zip(named, sealed, strict=True):
        role = role_of(index)
        seen = now - timedelta(hours=index % 700)
        user = orm.User(
            name=name,
            admin=role == "admin",
            created=now - timedelta(days=60),
            last_activity=seen,
            encrypted_auth_state=auth_state,
        )
        db.add(user)  # first, as what refers to it looks for it in the session
        user.roles = [user_role, admin_role] if role == "admin" else [user_role]
        user.groups = [groups[role]]
        db.add(orm.Spawner(name="", user=user, last_activity=seen, state={}))
    db.commit()
    return [persons[name] for index, name in named if role_of(index) == "student"]


def add_servers(
    settings: Settings, state: State, db: Session, servers: Sequence[Server], image_id: str
) -> None:
    """Write for running servers what a hub had written when it started them.

    Args:
        settings: The hub's settings.
        state: The hub's state folder.
        db: The hub's database, with the owners in it.
        servers: The servers.
        image_id: The engine's id of their image.
    """
    records = Records(state.servers_folder)
    now = datetime.now(UTC).replace(tzinfo=None)
    for server in servers:
        names = server_names(state.hub_id, server.person)
        user = orm.User.find(db, server.person.name)
        client = orm.OAuthClient(
            identifier=names.oauth_client,
            description=f"Server at /user/{user.name}/",
            secret="",
            redirect_uri=f"/user/{user.name}/oauth_callback",
            allowed_scopes=[f"access:servers!server={user.name}/"],
        )
        db.add(client)
        token = user.new_api_token(note=f"Server at /user/{user.name}/")
        row = orm.Server(proto="http", ip=server.ip, port=PORT, base_url=f"/user/{user.name}/")
        spawner = user.orm_spawners[""]
        spawner.server, spawner.oauth_client = row, client
        spawner.started = spawner.last_activity = now
        spawner.state = {
            "api_token": token,
            "object_id": server.container_id,
            "object_name": server.container,
            "notices": [],
        }
        records.write(
            Record(
                server_id=names.server_id,
                identity=server.person.identity,
                user=user.name,
                server_name="",
                container=server.container,
                image_id=image_id,
                digest="",
                profile=settings.profile[0].name,
                mounts=[],
                token=token,
                container_id=server.container_id,
            )
        )
    db.commit()


def _group(db: Session, name: str) -> orm.Group:
    group = orm.Group.find(db, name)
    if group is None:
        group = orm.Group(name=name)
        db.add(group)
    return group


def _sealed_states(state: State, identities: Sequence[str]) -> list[bytes]:
    """Return the encrypted auth state of each identity."""
    os.environ[crypto.KEY_ENV] = state.crypt_key  # where JupyterHub looks for its key
    crypto.CryptKeeper.clear_instance()

    async def seal() -> list[bytes]:
        return list(await asyncio.gather(*_sealing(identities)))

    try:
        return asyncio.run(seal())
    finally:
        del os.environ[crypto.KEY_ENV]
        crypto.CryptKeeper.clear_instance()


def _sealing(identities: Sequence[str]) -> Iterator[asyncio.Future[bytes]]:
    for identity in identities:
        yield crypto.encrypt({"identity": identity})
