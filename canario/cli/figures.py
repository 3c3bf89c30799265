"""Figures as people read them: times, ages, shares, scores; every table and sentence of the CLI takes them from here."""

from __future__ import annotations

import math
import time
from datetime import datetime

from canario.model.version import Score

SHORT_DIGEST_CHARACTERS = 12


def local_time(seconds: float) -> str:
    """A moment, in seconds since 1970, as the clock on this machine's wall had it: `2025-03-01 14:05:09`."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock_time(seconds: float) -> str:
    """The same without its day: `14:05:09`."""
    return local_time(seconds).partition(" ")[2]


def duration(seconds: float) -> str:
    """A length of time in at most two units: `4.2s`, `3m12s`, `5h07m`, `12d`."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 48 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d"


def age(seconds: float) -> str:
    """How long ago a moment was, in one unit: `12s`, `3m`, `5h`, `12d`."""
    past = max(0, int(time.time() - seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if past >= size:
            return f"{past // size}{unit}"
    return f"{past}s"


def percent(share: float) -> str:
    """A share that is in percent already: `10 %`, `0.05 %`."""
    return f"{share:.4g} %"


def count(number: int) -> str:
    """A count with its thousands apart: `12,345`."""
    return f"{number:,}"


def figure(value: float) -> str:
    """A measured value with as many digits as a person compares: `0.913`, `1,234`."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def score(measured: Score, *, interval: bool = False) -> str:
    """A score: `recall 0.75`, or with its interval `0.75 (0.71 to 0.79)`."""
    unit = f" {measured.unit}" if measured.unit else ""
    if not interval:
        return f"{measured.name} {figure(measured.value)}{unit}"
    return f"{figure(measured.value)}{unit} ({figure(measured.low)} to {figure(measured.high)})"


def short_digest(digest: str) -> str:
    """The beginning of a digest, enough to tell versions apart."""
    return digest.removeprefix("sha256:")[:SHORT_DIGEST_CHARACTERS]
