"""When a cohort may be judged: labels that come fast are not like the others, so figures of a young cohort say little.

A fraud that its victim reports within the hour is labelled long before a payment that nobody complains about: accuracy
over the labels that are here already is the accuracy on fast reporters. A cohort is judged once it is as old as nearly all
delays that were seen. Those delays are cut off themselves by how long there has been anything to label: in the first hour
no delay of a day can be seen. While the history is younger than twice the percentile the percentile is not believed (delays
that are cut off have theirs near the age of the history), and nothing is judged.
"""

from __future__ import annotations

from canario.model.quality import DELAY_BOUNDS_SECONDS, Cohort, Delays

MATURE_SHARE = 0.95
"""The share of the delays that a mature cohort has left behind."""
FEWEST_DELAYS = 20
"""With fewer than these a percentile is hearsay."""


def delay_quantile(delays: Delays, share: float) -> float | None:
    """The delay that `share` of the labels stayed within, in seconds, even inside a bin; None: none or beyond the bins."""
    wanted = share * delays.labelled
    passed = 0
    for number, count in enumerate(delays.counts[:-1]):
        if count and passed + count >= wanted:
            low = DELAY_BOUNDS_SECONDS[number - 1] if number else 0.0
            return low + (DELAY_BOUNDS_SECONDS[number] - low) * (wanted - passed) / count
        passed += count
    return None


def maturity_seconds(delays: Delays, history_seconds: float) -> float | None:
    """The age from which a cohort can be judged, in seconds after its end; None while that is not known.

    `history_seconds`: the age of the oldest answer.
    """
    if delays.labelled < FEWEST_DELAYS:
        return None
    longest = delay_quantile(delays, MATURE_SHARE)
    return longest if longest is not None and history_seconds >= 2 * longest else None


def is_mature(cohort: Cohort, maturity_seconds: float | None, now_seconds: float) -> bool:
    """Whether even the cohort's last answer is old enough."""
    return maturity_seconds is not None and cohort.ends_at_seconds + maturity_seconds <= now_seconds


def delay_bin(seconds: float) -> int:
    """The bin of a delay; a truth that is older than its answer, by two clocks that differ, took no time."""
    return next(
        (place for place, bound in enumerate(DELAY_BOUNDS_SECONDS) if seconds <= bound), len(DELAY_BOUNDS_SECONDS)
    )
