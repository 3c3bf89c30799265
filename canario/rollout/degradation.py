"""Whether going back would help: both versions' labels when the watch has failed by labels; what follows is for decide.

A promoted version that misses too much is thrown back, unless the old one is no better. Then going back would only bring the old
mistakes again, at the price of a switch: what is needed is a new version. "No better" is said of truths that arrived since the
rollout began, as older ones speak of another world, and it must be shown, not just not be refuted:

    the lower end of the old version's confidence sequence lies above the plan's limit: it would fail the same question, and
    the candidate's lower end does not lie above the old version's upper end: it is not surely the worse of the two.

With too few labels of the old version nothing is shown, and the rollout goes back, as it does after any other failure.
"""

from __future__ import annotations

from canario.model.evidence import Counts, Evidence
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec, RolloutState
from canario.model.verdict import Answer, Verdict
from canario.rollout.chance import lower_bound, upper_bound
from canario.rollout.judge import gates_now, labelled_arm, watch_limit
from canario.rollout.plan import LABELLED
from canario.rollout.steering import active_phase
from canario.rollout.words import percent


def fails_by_labels_alone(state: RolloutState, verdict: Verdict) -> bool:
    """Whether the watch has failed, and by nothing but labels."""
    failed = [gate.gate for gate in verdict.gates if gate.answer is Answer.FAIL]
    return active_phase(state) is Phase.WATCHING and bool(failed) and all(kind in LABELLED for kind in failed)


def why_neither_will_do(spec: RolloutSpec, state: RolloutState, evidence: Evidence, verdict: Verdict) -> str:
    """Why going back would not help, with the figures; empty when it would, or when nobody can say."""
    failed = {gate.gate for gate in verdict.gates if gate.answer is Answer.FAIL}
    gates = [gate for gate in gates_now(spec, state) if gate.kind in failed]
    compared = [_compared(spec, state, evidence, gate) for gate in gates]
    return "; ".join(compared) if all(compared) else ""


def _compared(spec: RolloutSpec, state: RolloutState, evidence: Evidence, gate: Gate) -> str:
    doubt, limit = (1 - gate.confidence) / 2, watch_limit(spec, gate.kind)
    bounds, words = {}, {}
    for version in (state.candidate, state.stable):
        arm = labelled_arm(_since_the_start(state, evidence, version), gate.kind)
        bounds[version] = lower_bound(arm.bad, arm.good, doubt), upper_bound(arm.bad, arm.good, doubt)
        words[version] = f"{version} {arm}, so {' to '.join(map(percent, bounds[version]))}"
    is_no_better = bounds[state.stable][0] > limit and bounds[state.candidate][0] <= bounds[state.stable][1]
    what = "misses" if gate.kind is GateKind.RECALL else "is wrong"
    told = f"{words[state.candidate]}; {words[state.stable]}; the limit is {percent(limit)}"
    return f"{state.candidate} {what} too often and {state.stable} was no better ({told})" if is_no_better else ""


def _since_the_start(state: RolloutState, evidence: Evidence, version: str) -> Counts:
    """What was counted of a version since the rollout began; nothing where its source has begun anew."""
    counts = (evidence.counts or {}).get(version, Counts()) - (state.counts_at_start or {}).get(version, Counts())
    labels = (counts.labelled, counts.wrong, counts.positives, counts.missed)
    return Counts() if min(labels) < 0 else counts
