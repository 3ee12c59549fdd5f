"""Back-off after failures, in bounded memory.

The first few failures of a key are free; after that each one doubles the time for which the key has
to wait, up to a bound. Failures are forgotten after a quiet while, and the least recent key is
forgotten when there are too many, so a flood of made-up keys costs a fixed amount of memory.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Failures:
    count: int
    last: float
    waits_until: float


class Backoff:
    """Counts failures by key and says how long a key has to wait.

    Args:
        free: Failures that cost nothing.
        longest_s: The longest wait, seconds.
        forget_s: Quiet time after which the failures of a key are forgotten, seconds.
        capacity: Keys remembered at most.
        clock: Monotonic time, seconds.
    """

    def __init__(
        self,
        free: int,
        longest_s: float = 60,
        forget_s: float = 900,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = free
        self._longest_s = longest_s
        self._forget_s = forget_s
        self._capacity = capacity
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, key: str) -> int:
        """Return how long a key still has to wait, in whole seconds; 0 when it need not."""
        found = self._failures.get(key)
        return max(0, math.ceil(found.waits_until - self._clock())) if found else 0

    def failed(self, key: str) -> None:
        """Count a failure of a key that did not have to wait."""
        now = self._clock()
        found = self._failures.pop(key, None)
        if found is None or now - found.last > self._forget_s:
            found = _Failures(count=0, last=now, waits_until=now)
        found.count += 1
        found.last = now
        beyond = found.count - self._free
        if beyond > 0:
            # the exponent is bounded as well: 2.0**1024 overflows
            found.waits_until = now + min(2.0 ** min(beyond - 1, 30), self._longest_s)
        self._failures[key] = found
        while len(self._failures) > self._capacity:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)
