"""When findings become an alarm and when the alarm ends: a limit must be passed several looks in a row, and left well below.

Without this a distance near its limit would ring and fall silent with every look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many looks in a row it takes. A look that could not judge (too few rows) counts for neither."""

    looks_to_ring: int = 2
    looks_to_rest: int = 4
    rest_share: float = 0.8
    """A look is quiet when the distance lies below this share of its limit (0 to 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One column's alarm. The same looks always give the same alarm."""

    is_ringing: bool = False
    looks: int = 0
    """The latest looks in a row that speak for the other state."""

    def look(self, distance: float, limit: float, patience: Patience) -> Alarm:
        """The alarm after one more look."""
        if self.is_ringing:
            changes, needed = distance < limit * patience.rest_share, patience.looks_to_rest
        else:
            changes, needed = distance > limit, patience.looks_to_ring
        looks = self.looks + 1 if changes else 0
        if looks >= needed:
            return Alarm(is_ringing=not self.is_ringing)
        return replace(self, looks=looks)
