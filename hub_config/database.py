"""How the hub's SQLite database is opened.

Each start commits about ten times, on the event loop that serves everyone, and SQLite's default
waits for the disk two or three times in each commit. With a write-ahead log and `synchronous =
NORMAL` a commit waits for nothing. A hub that is killed loses nothing; when the machine itself
fails, the last commits may be lost, and the database stays whole (sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
from typing import Any


class QuickCommits(sqlite3.Connection):
    """A connection whose commits do not wait for the disk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # On a file system without shared memory SQLite keeps to its journal, and it stays safe.
        if self.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
            self.execute("PRAGMA synchronous = NORMAL")
