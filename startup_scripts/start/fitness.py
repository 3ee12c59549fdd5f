"""Whether this interpreter may become the owner's server, or a new one must be started.

What the environment would have changed in it is for `server.preload.fits` to say.
"""

import os
import sys


class Before:
    """What the server's packages were before they were imported."""

    def __init__(self) -> None:
        self._changed = {path: changed(path) for path in sys.path}

    def reasons(self) -> list[str]:
        """Return why a new interpreter is needed; nothing where this one will do."""
        threads = len(os.listdir("/proc/self/task"))
        new = any(changed(path) != when for path, when in self._changed.items())
        return [
            *([f"{threads} threads"] if threads > 1 else []),
            *(["open descriptors"] if open_descriptors() else []),
            *(["changed packages"] if new else []),
        ]


def changed(path: str) -> int:
    """Return when a folder of packages was last changed, in ns since 1970; 0 if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def open_descriptors() -> list[int]:
    """Return all descriptors but the first three."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # the one that lists them has ended again
        try:
            os.fstat(int(name))
        except OSError:
            continue
        found.append(int(name))
    return [descriptor for descriptor in found if descriptor > 2]


def close_descriptors() -> None:
    """Close them: what root has opened must not be the user's."""
    os.closerange(3, max([2, *open_descriptors()]) + 1)
