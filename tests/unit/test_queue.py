"""The queue of starts: order, places, and that no place is ever lost."""

from __future__ import annotations

import asyncio

import pytest

from spawner.queue import Place, StartQueue


class Person:
    """Somebody who wants a place, and what they were told."""

    def __init__(self, queue: StartQueue) -> None:
        self.told: list[tuple[int, int]] = []
        self.task: asyncio.Task[Place] = asyncio.ensure_future(
            queue.enter(lambda *place: self.told.append(place))
        )

    @property
    def is_in(self) -> bool:
        return self.task.done()


async def settle() -> None:
    """Let all that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def arrive(queue: StartQueue, count: int) -> list[Person]:
    people = [Person(queue) for _ in range(count)]
    await settle()
    return people


async def test_turns_come_in_order_of_arrival() -> None:
    """Who does not get in at once is told the place, and each step forward."""
    queue = StartQueue(2)
    people = await arrive(queue, 5)
    assert [person.is_in for person in people] == [True, True, False, False, False]
    assert people[0].told == []
    assert [person.told for person in people[2:]] == [[(1, 1)], [(2, 2)], [(3, 3)]]
    people[0].task.result().leave()
    await settle()
    assert [person.is_in for person in people] == [True, True, True, False, False]
    assert [person.told[-1] for person in people[3:]] == [(1, 2), (2, 2)]


async def test_a_place_is_given_back_once() -> None:
    """Leaving twice lets only one in."""
    queue = StartQueue(1)
    first, *others = await arrive(queue, 3)
    place = first.task.result()
    place.leave()
    place.leave()
    await settle()
    assert [person.is_in for person in others] == [True, False]


async def test_who_gives_up_loses_nobody_a_turn() -> None:
    """Whoever is cancelled leaves the line, also in the very moment in which the turn comes."""
    queue = StartQueue(1)
    first, second, third, fourth = await arrive(queue, 4)
    third.task.cancel()
    await settle()
    assert fourth.told[-1] == (2, 2)
    second.task.cancel()
    first.task.result().leave()  # before the cancelled one could run
    await settle()
    assert fourth.is_in
    fourth.task.result().leave()
    assert queue.is_idle
    first, second = await arrive(queue, 2)
    first.task.result().leave()
    second.task.cancel()  # the turn was given, and nobody comes to take it
    await settle()
    assert queue.is_idle
    with pytest.raises(asyncio.CancelledError):
        second.task.result()


async def test_a_start_that_hangs_holds_up_nobody() -> None:
    """After a while the next one's turn comes, although the first has not left."""
    queue = StartQueue(1, kept_s=0.05)
    hung, waiting = await arrive(queue, 2)
    place = await asyncio.wait_for(waiting.task, 10)
    hung.task.result().leave()
    assert not queue.is_idle  # the one place is the second's
    place.leave()
    assert queue.is_idle
