"""What modules read from the environment while they are imported.

A preloaded interpreter is imported under the image's environment and serves under a person's. So it
is noted which variables were read meanwhile, and by whom: where one of them differs later, the
interpreter does not fit, unless `serve` sets right what that module made of it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Through these everybody reads; the reader is whoever called them.
PASSAGES = {"os", "posixpath", "pathlib", "collections.abc", "_collections_abc", __name__}
Reads = set[tuple[str, str]]
_reads: Reads = set()


class _Noting(os._Environ):  # type: ignore[type-arg] # os.environ and os.environb
    """An environment that notes who reads what."""

    def __getitem__(self, key: Any) -> Any:
        """Return a variable, and note its name and the module that asks."""
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals.get("__name__") in PASSAGES:
            frame = frame.f_back
        _reads.add((os.fsdecode(key), frame.f_globals.get("__name__", "")))
        return super().__getitem__(key)


@contextmanager
def noted_reads() -> Iterator[Reads]:
    """Note what is read from the environment.

    Returns:
        Pairs of a variable's name and the module that read it; complete at the end.
    """
    _reads.clear()
    kind = type(os.environ)
    os.environ.__class__ = os.environb.__class__ = _Noting
    try:
        yield _reads
    finally:
        os.environ.__class__ = os.environb.__class__ = kind  # type: ignore[assignment]
