"""Whether a candidate answers a file enough like stable to be put on trial: pass, fail, or too few rows to say; pure.

The file is taken for a sample of what clients ask. A share passes when the upper end of its 95 % interval (Wilson's) is
within the limit, and fails when the lower end is above it; in between more rows would tell. Rows that only the candidate
fails are no sample of anything: each is a client's request that would have failed, and they are counted as they are. A
class that is answered far more or less often fails once that is no chance; a few rows of a rare class hold nobody up.
"""

from __future__ import annotations

from collections.abc import Iterator

from canario.errors import UsageError
from canario.model.preflight import Comparison, PreflightGate, PreflightLimits, PreflightVerdict
from canario.model.verdict import Answer
from canario.quality.intervals import wilson

MOST_ROWS_NEEDED = 1_000_000_000


def check_limits(limits: PreflightLimits) -> None:
    """Raise UsageError, naming the option, for a limit that means nothing."""
    shares = {"disagreement": limits.disagreement_percent, "failed": limits.failed_percent}
    for name, percent in shares.items():
        if not 0 <= percent <= 100:
            raise UsageError(f"{percent:g} is no share", at=f"--preflight-{name}-percent", hint="from 0 to 100 percent")
    if not 1 <= limits.class_factor < float("inf"):
        raise UsageError(
            f"{limits.class_factor:g} is no factor", at="--preflight-class-factor", hint="1 or more; 2 is usual"
        )
    if limits.score_distance is not None and not 0 <= limits.score_distance < float("inf"):
        raise UsageError(
            f"{limits.score_distance:g} is no distance",
            at="--preflight-score-distance",
            hint="0 or more, as scores are",
        )


def judge_preflight(found: Comparison, limits: PreflightLimits) -> PreflightVerdict:
    """Hold a comparison against the limits."""
    gates = tuple(_gates(found, limits))
    answers = {gate.answer for gate in gates}
    together = next((each for each in (Answer.FAIL, Answer.UNKNOWN) if each in answers), Answer.PASS)
    return PreflightVerdict(answer=together, gates=gates)


def _gates(found: Comparison, limits: PreflightLimits) -> Iterator[PreflightGate]:
    yield _failed(found, limits.failed_percent)
    if not found.compared:
        yield PreflightGate(
            name="disagreement_percent",
            answer=Answer.UNKNOWN,
            reason=f"none of {found.rows:,} rows was answered by both, so nothing was compared",
        )
        return
    yield _disagreement(found, limits.disagreement_percent)
    if found.classes:
        yield _class_shares(found, limits.class_factor)
    if limits.score_distance is not None:
        is_near = found.mean_distance <= limits.score_distance
        yield PreflightGate(
            name="score_distance",
            answer=Answer.PASS if is_near else Answer.FAIL,
            reason=f"the scores lie {found.mean_distance:.3g} apart on average, allowed are {limits.score_distance:.3g}",
        )


def _failed(found: Comparison, most_percent: float) -> PreflightGate:
    answered = found.compared + found.only_candidate_failed
    share = 100 * found.only_candidate_failed / answered if answered else 0.0
    return PreflightGate(
        name="failed_percent",
        answer=Answer.PASS if share <= most_percent else Answer.FAIL,
        reason=(
            f"of {answered:,} rows that stable answers the candidate does not answer {found.only_candidate_failed:,}"
            f" ({share:.3g} %), allowed are {most_percent:.3g} %"
        ),
    )


def _disagreement(found: Comparison, most_percent: float) -> PreflightGate:
    low, high = (100 * end for end in wilson(found.changed, found.compared))
    share = 100 * found.changed / found.compared
    figures = (
        f"{found.changed:,} of {found.compared:,} answers changed: {share:.3g} % (95 %: {low:.3g} to {high:.3g} %),"
        f" allowed are {most_percent:.3g} %"
    )
    # With all or nothing allowed there is no sample to speak of: what is in the file decides.
    if high <= most_percent or share == 0 == most_percent or most_percent == 100:
        return PreflightGate(name="disagreement_percent", answer=Answer.PASS, reason=figures)
    if low > most_percent or most_percent == 0:
        return PreflightGate(name="disagreement_percent", answer=Answer.FAIL, reason=figures)
    needed = _rows_needed(share / 100, found.compared, most_percent / 100)
    more = f"; about {needed:,} more rows would tell" if needed else "; too close to the limit to tell"
    return PreflightGate(name="disagreement_percent", answer=Answer.UNKNOWN, reason=figures + more, rows_needed=needed)


def _class_shares(found: Comparison, factor: float) -> PreflightGate:
    """Of n answers of a class by either, the candidate's share is f/(1+f) when it gives f times as many as stable.

    Both answer the same rows, so the two counts go together, and the interval for independent ones is on the safe side.
    """
    shifted = []
    for each in found.classes:
        low, high = wilson(each.candidate, each.candidate + each.stable)
        if low > factor / (1 + factor) or high < 1 / (1 + factor):
            shifted.append(f"{each.name} is answered {each.candidate:,} times, by stable {each.stable:,} times")
    return PreflightGate(
        name="class_factor",
        answer=Answer.FAIL if shifted else Answer.PASS,
        reason=(", ".join(shifted) or "no class is answered far more or less often")
        + f", allowed is a factor of {factor:g}",
    )


def _rows_needed(share: float, rows: int, limit: float) -> int | None:
    """How many more rows with the same share would put the whole interval on one side of the limit."""

    def tells(number: int) -> bool:
        low, high = wilson(round(share * number), number)
        return high <= limit or low > limit

    enough = rows
    while not tells(enough):
        enough *= 2
        if enough > MOST_ROWS_NEEDED:
            return None
    too_few = max(rows, enough // 2)
    while enough - too_few > max(1, enough // 100):
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if tells(middle) else (middle, enough)
    return enough - rows
