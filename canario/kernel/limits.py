"""What one request or message may cost; the same limits hold for every protocol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one server process."""

    longest_body_bytes: int = 16 * 1024 * 1024
    """As sent, and again after decompression."""
    most_rows: int = 10_000
    """In one request."""
    most_waiting: int = 64
    """Requests that wait for the model at once; one more is refused, so that those who wait are answered in time."""
