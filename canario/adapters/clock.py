"""The real time."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's own clock, as canario.ports.rollout.Clock wants it."""

    def now_seconds(self) -> float:
        """Seconds since 1970 (UTC)."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)
