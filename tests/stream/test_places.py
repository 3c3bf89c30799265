"""The places of those who ask the router: never more than there are, and the last of them for urgent messages."""

from __future__ import annotations

import asyncio
import time

import pytest

from canario.model.stream import Priority
from canario.stream.places import KEPT_ONE_IN, Places


@pytest.mark.parametrize("number", [1, 2, 7, 8, 16, 40])
def test_the_last_places_are_for_urgent_messages(number: int) -> None:
    """Bulk fills all places but a few, urgent ones all; with few places nobody is favoured; what is given back may be taken again."""
    places, kept = Places(number), number // KEPT_ONE_IN
    for _ in range(number - kept):
        assert set(places.open_to()) == set(Priority)
        places.take()
    for _ in range(kept):
        assert list(places.open_to()) == [Priority.URGENT]
        places.take()
    assert list(places.open_to()) == []
    for _ in range(number):
        places.give()
    assert set(places.open_to()) == set(Priority)


def test_who_waits_for_a_place_hears_at_once() -> None:
    """A place that is given back wakes who waits for one; otherwise the wait ends by itself."""

    async def play() -> tuple[float, float]:
        places = Places(1)
        places.take()
        began = time.monotonic()
        await places.wait(0.1)
        alone = time.monotonic() - began
        asyncio.get_running_loop().call_later(0.05, places.give)
        began = time.monotonic()
        await places.wait(10.0)
        return alone, time.monotonic() - began

    alone, woken = asyncio.run(play())
    assert alone >= 0.1
    assert woken < 5.0
