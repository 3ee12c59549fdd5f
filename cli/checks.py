"""What `doctor` finds: one check, and how checks are run so that one that breaks stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cli.errors import CommandError


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was looked at.
        message: What was found, one line.
        fix: What to do; empty when all is well.
    """

    name: str
    message: str
    fix: str = ""

    @property
    def is_well(self) -> bool:
        """Tell whether nothing has to be done."""
        return not self.fix


def run_checks(checks: Iterable[tuple[str, Callable[[], Iterable[Check]]]]) -> Iterator[Check]:
    """Run named checks; what one cannot find out is a problem of its own."""
    for name, check in checks:
        try:
            yield from check()
        except CommandError as error:
            yield Check(name, error.message, error.fix or "see the message")
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            is_closed = isinstance(error, PermissionError)
            fix = "run the command with sudo" if is_closed else "mend it, then look again"
            yield Check(name, f"{place}{error.strerror}", fix)


def describe_room(name: str, path: str, free: int, total: int, unit: str) -> Check | None:
    """Return a problem when less than 5 % of something is left.

    Args:
        name: What the check is called.
        path: The folder that was asked.
        free: How much is left.
        total: How much there is; 0 where the file system does not count it.
        unit: What is counted, such as `bytes` or `inodes`.
    """
    if not total or free / total >= 0.05:
        return None
    return Check(name, f"{path}: only {free / total:.1%} of the {unit} is left", "make room there")
