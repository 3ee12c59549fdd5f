"""Who is who: identity -> name, slug, uid and gid, kept for ever in `data/people.sqlite`.

A name alone says nothing for long: logins are renamed, freed and registered anew. So a home is
bound to an *identity*, the immutable id that the provider of a sign-in knows a person by. The first
sign-in claims a name for an identity; from then on no other identity can have it. The hub is the
only writer; anyone may read. Rows are never removed: a uid is given once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyterhub.slugs import safe_slug

SLUG_LENGTH = 30
"""Long enough to recognise a name, short enough for useradd (32) and for container names (63)."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    identity TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    uid INTEGER NOT NULL UNIQUE,
    since TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)
"""


class NameTaken(Exception):
    """Another identity holds the name; str() is a text for the person who signs in."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The name {name!r} belongs to another account on this hub, so its files stay closed "
            "to you. If it was yours before you changed your account, an admin can link it to you."
        )
        self.name = name


@dataclass(frozen=True)
class Person:
    """One human being as the hub knows them.

    Attributes:
        identity: Provider and immutable id, such as `github:1024025`.
        name: User name in JupyterHub.
        slug: Safe for containers, volumes, paths and Unix accounts; unique; 30 characters at most.
        uid: Numeric user id that owns the home.
        gid: Numeric group id; equals uid.
    """

    identity: str
    name: str
    slug: str
    uid: int

    @property
    def gid(self) -> int:
        """Return the numeric group id that goes with the home."""
        return self.uid


class People:
    """The map of identities, in one SQLite file on local disk.

    Args:
        path: The file; made with mode 0600 when missing.
        first_uid: uid of the first person; later ones count up.
    """

    def __init__(self, path: Path, first_uid: int = 20000) -> None:
        self._path = path
        self._first_uid = first_uid
        path.touch(mode=0o600)
        with self._connect() as db:
            db.execute(_SCHEMA)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._path, timeout=10)
        try:
            with db:
                yield db
        finally:
            db.close()

    def find(self, name: str) -> Person | None:
        """Return the person who holds a name, or None."""
        return self._one("name", name)

    def find_identity(self, identity: str) -> Person | None:
        """Return the person behind an identity, or None."""
        return self._one("identity", identity)

    def _one(self, column: str, value: str) -> Person | None:
        query = f"SELECT identity, name, slug, uid FROM people WHERE {column} = ?"  # noqa: S608 (our own column names)
        with self._connect() as db:
            row = db.execute(query, (value,)).fetchone()
        return Person(*row) if row else None

    def claim(self, identity: str, name: str) -> Person:
        """Return the person of an identity, made on the first call.

        A person whose login was renamed keeps name, home and uid: the name given here is used on
        the first claim only.

        Args:
            identity: Provider and immutable id.
            name: Normalised JupyterHub user name.

        Raises:
            NameTaken: another identity holds the name.
        """
        with self._connect() as db:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute(
                "SELECT identity, name, slug, uid FROM people WHERE identity = ?", (identity,)
            ).fetchone()
            if row:
                return Person(*row)
            if db.execute("SELECT 1 FROM people WHERE name = ?", (name,)).fetchone():
                raise NameTaken(name)
            highest = db.execute("SELECT max(uid) FROM people").fetchone()[0]
            uid = self._first_uid if highest is None else max(highest + 1, self._first_uid)
            person = Person(identity, name, self._free_slug(db, identity, name), uid)
            db.execute(
                "INSERT INTO people (identity, name, slug, uid) VALUES (?, ?, ?, ?)",
                (person.identity, person.name, person.slug, person.uid),
            )
            return person

    @staticmethod
    def _free_slug(db: sqlite3.Connection, identity: str, name: str) -> str:
        """Return the slug of a name; where two names share one, the identity tells them apart."""
        for text in (name, f"{name} {identity}"):
            slug = str(safe_slug(text, max_length=SLUG_LENGTH))
            taken = db.execute("SELECT 1 FROM people WHERE slug = ?", (slug,)).fetchone()
            if slug not in RESERVED and not taken:
                return slug
        raise RuntimeError(f"no free slug for {identity}")  # two sha256 prefixes collided twice


RESERVED = frozenset({"root", "admin", "daemon", "bin", "sys", "nobody", "jovyan", "lost", "users"})
"""Accounts and directories that exist in images; nobody's slug."""
