"""What can go wrong, in words.

    CommandError            something a person can mend; has a fix
    +-- ProcessFailed       the hub or the proxy did not start, or ended; has its last log lines
    +-- EngineAway          the Docker Engine does not answer

`__main__` turns them into text in one place; nothing else prints an error or ends the program.
"""

from __future__ import annotations

from collections.abc import Sequence


class CommandError(Exception):
    """A problem that the person at the terminal can mend.

    Args:
        message: What is wrong, one sentence.
        fix: What to do next, most often a command. Empty: the message says it all.
        lines: Lines that explain it, such as the end of a log.
    """

    def __init__(self, message: str, fix: str = "", lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.lines = tuple(lines)


class ProcessFailed(CommandError):
    """The hub or the proxy did not start, or ended by itself."""


class EngineAway(CommandError):
    """The Docker Engine does not answer."""
