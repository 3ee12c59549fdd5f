"""Two identities never share anything, whatever their names."""

from __future__ import annotations

import re
import unicodedata
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_config.people import NameTaken, People, Person
from spawner.naming import home_path, home_volume, server_names

NASTY = [
    "alice",
    "alice-prod",
    "alice.prod",
    "alice_prod",
    "alice--prod",
    "a" * 63,
    "a" * 64,
    "é" * 60,
    unicodedata.normalize("NFD", "josé"),
    unicodedata.normalize("NFC", "josé"),
    "jose",
    "..a",
    "%2e%2e",
    "root",
    "admin",
    "lost+found",
    "-rf",
    "名前",
    "🦆",
    "a b",
    "a\tb",
    "$(id)",
    "{username}",
]


def distinct_parts(people: list[Person]) -> list[tuple[object, ...]]:
    parts = []
    for person in people:
        names = server_names("0123abcd", person)
        volume = home_volume("0123abcd", person)
        parts.append((names.container, home_path(person), names.oauth_client, volume, person.uid))
    return parts


def assert_pairwise_distinct_and_valid(people: list[Person]) -> None:
    for left, right in combinations(distinct_parts(people), 2):
        assert not set(left) & set(right)
    for person in people:
        names = server_names("0123abcd", person, "ä server with a long name")
        assert len(names.container) <= 63
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", names.container)
        assert re.fullmatch(r"[a-z][a-z0-9-]{0,31}", person.slug)


def test_nasty_names_share_nothing(tmp_path: Path) -> None:
    """Names that differ only in punctuation or normal form get homes of their own."""
    people = People(tmp_path / "people.sqlite")
    assert_pairwise_distinct_and_valid([people.claim(f"test:{name}", name) for name in NASTY])


@settings(max_examples=30, deadline=None)
@given(st.sets(st.text(min_size=1, max_size=70), min_size=2, max_size=6))
def test_any_names_share_nothing(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    """Whatever text a provider calls people by, nothing of theirs collides."""
    encodable = [name for name in names if name.encode(errors="ignore").decode() == name]
    people = People(tmp_path_factory.mktemp("people") / "people.sqlite")
    assert_pairwise_distinct_and_valid([people.claim(f"t:{name}", name) for name in encodable])


def test_second_identity_with_a_name_is_refused(tmp_path: Path) -> None:
    """Who takes over a freed login does not get the home that belongs to the first one."""
    people = People(tmp_path / "people.sqlite")
    first = people.claim("github:1", "alice")
    with pytest.raises(NameTaken, match="belongs to another account"):
        people.claim("github:2", "alice")
    assert people.find("alice") == first
    assert people.find_identity("github:2") is None


def test_renamed_login_keeps_everything(tmp_path: Path) -> None:
    """An identity that comes back under another name keeps name, home and uid."""
    path = tmp_path / "people.sqlite"
    first = People(path).claim("github:1", "alice")
    assert People(path).claim("github:1", "alice-renamed") == first


def test_uids_are_given_once(tmp_path: Path) -> None:
    """Uids count up from the first one, also after a restart with another first uid."""
    path = tmp_path / "people.sqlite"
    uids = [People(path, 20000).claim(f"t:{name}", name).uid for name in ("a", "b")]
    assert [*uids, People(path, 30000).claim("t:c", "c").uid] == [20000, 20001, 30000]
    assert People(path, 20000).claim("t:d", "d").uid == 30001


def test_file_is_private(tmp_path: Path) -> None:
    """Nobody else on the machine may read who is who."""
    path = tmp_path / "people.sqlite"
    People(path)
    assert path.stat().st_mode & 0o777 == 0o600
