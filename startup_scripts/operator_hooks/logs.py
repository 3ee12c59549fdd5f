"""Keep a hook's output in the admins' log folder, where no link leads root astray.

The log is written to a new file of its own, closed to others from its first byte, and takes the
old log's name at the end. What has that name is never opened: a link there is replaced.
"""

import os
import stat
from typing import Optional

from beneath import open_folder
from trust import Admin, Refused


class Log:
    """The log of one hook, opened by `open` and given its name by `keep`.

    Attributes:
        descriptor: Where to write, None where there is no log.
        problem: What is wrong with the log, in words; empty where all is well.
    """

    def __init__(self, path: str, admin: Admin):
        self._folder, self._name = os.path.split(path)
        self._new = f".{self._name}.new"
        self._admin = admin
        self._at = -1
        self.descriptor: Optional[int] = None
        self.problem = ""

    def open(self) -> None:
        """Make the new file; where that fails there is a problem and no descriptor."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            self._at = open_folder(self._folder, self._admin)
            if self._new in os.listdir(self._at):  # of a start that was cut off
                os.unlink(self._new, dir_fd=self._at)
            self.descriptor = os.open(self._new, flags, 0o600, dir_fd=self._at)
            os.fchown(self.descriptor, self._admin.uid, self._admin.gid)
            os.fchmod(self.descriptor, 0o640)
        except Refused as refused:
            self.problem = str(refused)
        except OSError as error:
            self.problem = f"{self._folder}: {error.strerror}"

    def keep(self) -> None:
        """Give the new file the log's name, and say what stood there if it was no plain file."""
        if self.descriptor is None:
            return
        try:
            if self._name in os.listdir(self._at):
                old = os.lstat(self._name, dir_fd=self._at)
                if not stat.S_ISREG(old.st_mode) or old.st_nlink != 1:
                    self.problem = f"{self._name} was a link or no file; it has been replaced"
            os.rename(self._new, self._name, src_dir_fd=self._at, dst_dir_fd=self._at)
        except OSError as error:
            self.problem = f"{self._name}: {error.strerror}"
