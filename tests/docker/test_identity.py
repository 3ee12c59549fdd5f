"""Two identities never share a home, whatever they are called."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import docker
import pytest

from hub_config.people import People, Person
from tests.docker.conftest import HubMaker
from tests.support.hub import RunningHub
from tests.support.servers import container_of, run_in

NAMES = [
    "é" * 60,
    unicodedata.normalize("NFC", "josé"),
    unicodedata.normalize("NFD", "josé"),
    "jose",
    "a-b",
    "a.b",
    "root",
    "$(touch x);`id`",
]


@pytest.fixture(scope="module")
def people(make_hub: HubMaker) -> tuple[RunningHub, list[Person]]:
    """A hub that knows people with names that differ in punctuation or normal form."""
    hub = make_hub("[limits]\nmemory_gib = 1\n")
    known = People(hub.state.people_file)
    persons = [known.claim(f"test:{number}", name) for number, name in enumerate(NAMES)]
    admin = hub.sign_in("admin")
    for name in NAMES:
        answer = admin.api("POST", f"users/{quote(name, safe='')}")
        assert answer.status_code == 201, answer.text
    return hub, persons


def test_nasty_names_get_servers_and_homes_of_their_own(
    people: tuple[RunningHub, list[Person]], engine: docker.APIClient
) -> None:
    """Each of them starts, sees an empty home that is theirs, and writes where nobody else does."""
    hub, persons = people
    admin = hub.sign_in("admin")
    for number, person in enumerate(persons):
        path = f"users/{quote(person.name, safe='')}/server"
        answer = admin.api("POST", path)
        assert answer.status_code in (201, 202), (person.name, answer.text)
        assert container_of(hub, engine, person.name)
        assert run_in(hub, engine, person.name, "ls ~ && echo $$ > ~/mine") == ""
        run_in(hub, engine, person.name, f"echo {number} > ~/mine && test $(id -u) = {person.uid}")
        assert admin.api("DELETE", path).status_code in (202, 204)
    homes = hub.settings.home.folder
    found = {person.slug: (homes / person.slug / "mine").read_text() for person in persons}
    assert sorted(found.values()) == sorted(f"{number}\n" for number in range(len(NAMES)))
    assert sorted(path.name for path in homes.iterdir()) == sorted(found)
    assert len({person.uid for person in persons}) == len(NAMES)
