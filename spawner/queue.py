"""The queue of starts: as many at once as the host does well, the others in order of arrival.

JupyterHub answers 429 to whoever comes when too many start; here they wait and are told their
place. A place is given back when its server answers, or after a while: a start that hangs in a hook
keeps a processor no busier than a finished one, and must not keep others waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PLACE_KEPT_S = 10.0
"""Longer than a start takes that goes well; then the next one's turn comes all the same."""

Tell = Callable[[int, int], None]
"""Takes the place in the queue, 1 for who is next, and how many wait."""


class Place:
    """One of the places at which servers start; `leave` gives it back."""

    def __init__(self, queue: StartQueue) -> None:
        self._queue: StartQueue | None = queue
        self._timer = asyncio.get_running_loop().call_later(queue.kept_s, self.leave)

    def leave(self) -> None:
        """Give the place to the next; once is enough, more often does nothing."""
        self._timer.cancel()
        if self._queue:
            queue, self._queue = self._queue, None
            queue.give_back()


class StartQueue:
    """Who may start a server now, and who waits.

    Args:
        places: How many start at once.
        kept_s: How long a start keeps its place at most, seconds.
    """

    def __init__(self, places: int, kept_s: float = PLACE_KEPT_S) -> None:
        self._free = places
        self.kept_s = kept_s
        self._waiting: list[tuple[asyncio.Future[None], Tell]] = []
        self._places = places

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody starts a server and nobody waits."""
        return self._free == self._places and not self._waiting

    async def enter(self, tell: Tell) -> Place:
        """Wait for a place; `tell` is called at once if there is a wait, and when it gets shorter.

        Whoever is cancelled leaves the queue.
        """
        if self._free and not self._waiting:
            self._free -= 1
            return Place(self)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, tell))
        tell(len(self._waiting), len(self._waiting))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came just then, and goes on to the next
                self.give_back()
            else:
                self._waiting = [each for each in self._waiting if each[0] is not turn]
                self._tell_places()
            raise
        return Place(self)

    def give_back(self) -> None:
        """Let the next one in; called by a place that is left."""
        while self._waiting:
            turn, _ = self._waiting.pop(0)
            if not turn.done():  # else it was cancelled just now
                turn.set_result(None)
                self._tell_places()
                return
        self._free += 1

    def _tell_places(self) -> None:
        for place, (_, tell) in enumerate(self._waiting, 1):
            tell(place, len(self._waiting))
