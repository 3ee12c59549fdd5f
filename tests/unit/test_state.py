"""The state below the data folder."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from hub_config.database import QuickCommits
from hub_config.state import State


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    """Folders are 0700, files 0600, and a second start has the same secrets."""
    first = State(tmp_path / "data").prepare()
    second = State(tmp_path / "data").prepare()
    names = ("hub_id", "crypt_key", "proxy_token", "cli_token")
    assert [getattr(first, name) for name in names] == [getattr(second, name) for name in names]
    assert len(first.hub_id) == 8
    for path in [first.folder, *first.folder.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_open_modes_are_mended(tmp_path: Path) -> None:
    """A data folder that others could read is closed again."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    State(folder).prepare()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_two_hubs_have_two_ids(tmp_path: Path) -> None:
    """Hubs on one engine tell their containers apart."""
    assert State(tmp_path / "a").prepare().hub_id != State(tmp_path / "b").prepare().hub_id


def test_commits_do_not_wait_for_the_disk(tmp_path: Path) -> None:
    """The hub's database has a write-ahead log, and what was committed is there for others."""
    file = tmp_path / "hub.sqlite"
    with contextlib.closing(sqlite3.connect(file, factory=QuickCommits)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
        with database:
            database.execute("CREATE TABLE kept (x)")
        with contextlib.closing(sqlite3.connect(file)) as other:
            assert other.execute("SELECT count(*) FROM kept").fetchone() == (0,)
