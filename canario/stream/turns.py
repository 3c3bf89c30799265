"""Chooses whose turn it is among the classes of messages: the urgent first, and nobody passed over for ever. Pure.

Each class that waits is passed over at most `most_passed_over` times in a row. That is exact also while two starve at once:
the first of them gets its turn a little earlier, so that the second is not late.
"""

from __future__ import annotations

from collections.abc import Collection

from canario.model.stream import Priority

LEAST_PASSED_OVER = len(Priority) - 1
"""With a smaller bound three classes that all wait could not all keep it."""


class Turns:
    """Who goes next, by who went before. It forgets a class's waiting once it was served or had nothing.

    Of `most_passed_over` + 1 turns in a row during which urgent waits, it gets at least `most_passed_over` - 1 (8 of 10 by default),
    and all of them while nobody else waits.
    """

    def __init__(self, most_passed_over: int = 9) -> None:
        """Raises ValueError for a bound that three classes cannot keep."""
        if most_passed_over < LEAST_PASSED_OVER:
            raise ValueError(f"most_passed_over is at least {LEAST_PASSED_OVER}, not {most_passed_over}")
        self._most_passed_over = most_passed_over
        self._passed_over = dict.fromkeys(Priority, 0)

    def order(self) -> tuple[Priority, ...]:
        """In which order to try the queues now; the first that has a message is served."""
        by_haste = sorted(Priority, key=self._left)
        # The first in haste needs one of the next turns that it can wait for, the second one after that, and so on: nobody
        # less hasty goes before as soon as one of them could not wait another turn longer.
        pressed = max((place for place, each in enumerate(by_haste, 1) if self._left(each) < place), default=0)
        return (*by_haste[:pressed], *(each for each in Priority if each not in by_haste[:pressed]))

    def served(self, priority: Priority, waiting: Collection[Priority]) -> None:
        """One message of `priority` was taken while those of `waiting` may have had messages: all but those that were tried in vain."""
        for each in Priority:
            self._passed_over[each] = self._passed_over[each] + 1 if each in waiting and each != priority else 0

    def _left(self, priority: Priority) -> int:
        return self._most_passed_over - self._passed_over[priority]
