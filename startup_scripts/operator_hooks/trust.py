"""Whose files are run: root's and the admins', and only where nobody else can write."""

import os
import stat
from typing import NamedTuple


class Refused(Exception):
    """A hook was not run; the text says why and what its operator can do."""


class Admin(NamedTuple):
    """The account that the operators' files belong to."""

    uid: int
    gid: int

    def check(self, path: str, found: os.stat_result) -> None:
        """Refuse a file or folder that someone else than root or an admin may have written.

        Args:
            path: What the message calls it.
            found: Its state, taken from an open descriptor.
        """
        mode = stat.S_IMODE(found.st_mode)
        if mode & stat.S_IWOTH:
            raise Refused(f"everybody may write to {path} (mode {mode:04o}): run chmod o-w on it")
        if mode & stat.S_IWGRP and found.st_gid not in (0, self.gid):
            raise Refused(f"group {found.st_gid} may write to {path}: run chmod g-w on it")
        if found.st_uid not in (0, self.uid) and found.st_gid != self.gid:
            raise Refused(
                f"{path} belongs to user {found.st_uid}: run chown {self.uid}:{self.gid} on it"
            )
