"""The judge: from counts to pass, fail or unknown, with the figures; what follows from a verdict is for decide.

Fail is sequential and compares. While the router deals requests at random with a share w to the candidate, each bad event (an
error, a slow answer, a wrong label, a missed positive) is the candidate's with a chance of at most w if the candidate is no worse than stable, however
bad both are and however the traffic moves. chance.log_e_above(s, f, w) measures how far s bad events of the candidate and f of
stable speak against that; at ln(1/alpha) the gate fails. It may be read after every event and is multiplied on over the steps, so
alpha holds for the whole rollout.

Where the deal is not random (a preview by header, sticky users) or there is one arm only (the watch), a gate is judged by rates and
says so: the candidate's bad share against a limit, by the same e-value. In the watch the limit is the plan's. Otherwise it is
stable's upper bound plus the margin; half of alpha pays for that bound, and the k-th baseline gets the part 1/(k(k+1)) of it, so that
all baselines together spend no more than alpha.

Pass is another question, and the silence of the first is no answer to it: the upper end of the candidate's confidence sequence minus
the lower end of stable's, each with half of the doubt, lies below the margin. Both ends hold at every moment, so that bound too may
be read after every request, unlike Wilson's or Newcombe's, whose promise is for one look; at 0 bad events it asks for about 1.8
times as many requests. Each step begins afresh, so `confidence` is a step's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from canario.model.evidence import Counts, Evidence
from canario.model.rollout import Gate, GateKind, RolloutSpec, RolloutState
from canario.model.verdict import Answer, GateVerdict, Method, Verdict
from canario.rollout.chance import events_to_prove_below, log_e_above, lower_bound, upper_bound
from canario.rollout.counting import compares, seen, seen_pairs, what_is_lost
from canario.rollout.plan import LABELLED
from canario.rollout.queries import judge_query
from canario.rollout.steering import is_last, runs, step_of
from canario.rollout.words import odds, percent, points, seconds

_SURELY_NOT_RANDOM = log(1e6)
"""The evidence that the candidate gets more than its share from which the deal is not taken for random: by chance once in a million."""

_ALMOST_ALL = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Arm:
    """One version's bad events among all of its events."""

    bad: int
    all: int

    @property
    def good(self) -> int:
        return self.all - self.bad

    @property
    def share(self) -> float:
        return self.bad / self.all if self.all else 0.0

    def __str__(self) -> str:
        return f"{self.bad:,} of {self.all:,} ({percent(self.share)})" if self.all else "none"


@dataclass(frozen=True, slots=True)
class _Look:
    """What all gates of one step rest on."""

    spec: RolloutSpec
    state: RolloutState
    weight: float
    """The share that the router really gives to the candidate (0 to 1)."""
    is_random: bool
    candidate: Counts
    stable: Counts
    requests: int
    """The candidate's requests since the baseline (shadow: pairs)."""

    @property
    def requests_missing(self) -> int:
        return max(0, step_of(self.spec, self.state).minimum_requests - self.requests)


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """How far the counts speak against the candidate."""

    log_e_value: float
    method: Method
    words: str
    """What was compared with what, to follow the counts in a sentence."""


def judge(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now_seconds: float) -> Verdict:
    """Answer the gates of the present step from what was counted since its baseline.

    Without a baseline, or with a source that cannot be read, every answer is unknown. The verdict fails if one gate fails, and
    passes if every blocking one passes and the candidate has had the step's minimum of requests; silence is never a pass.
    """
    gates = gates_now(spec, state)
    obstacle = what_is_lost(spec, state, evidence)
    if not obstacle and (state.step_since_seconds is None or not runs(evidence, state.asked)):
        obstacle = "the router does not run the step's split yet"
    if obstacle or state.step_since_seconds is None:
        unknown = tuple(
            GateVerdict(
                gate=gate.kind,
                name=gate.name,
                answer=Answer.UNKNOWN,
                method=Method.NONE,
                reason=f"{gate.name or gate.kind.value}: {obstacle}",
            )
            for gate in gates
        )
        return Verdict(answer=Answer.UNKNOWN, gates=unknown, reason=f"not judged: {obstacle}")
    look = _look(spec, state, evidence)
    verdicts = tuple(
        judge_query(gate, state, evidence, now_seconds)
        if gate.kind is GateKind.QUERY
        else _judge_gate(look, gate, evidence)
        for gate in gates
    )
    return _together(look, gates, verdicts, f"after {seconds(max(0.0, now_seconds - state.step_since_seconds))}")


def gates_now(spec: RolloutSpec, state: RolloutState) -> tuple[Gate, ...]:
    """The gates of the present step.

    The watch always asks for errors and slow answers, for labels where the plan sets a limit, and queries as before.
    """
    if not is_last(spec, state):
        return spec.gates
    if spec.watch_seconds == 0:
        return ()
    planned: dict[GateKind, Gate] = {gate.kind: gate for gate in spec.gates if gate.kind is not GateKind.QUERY}
    kinds: list[GateKind] = [GateKind.ERRORS, GateKind.SLOW]
    kinds += [GateKind.WRONG_LABELS] * (spec.watch_wrong_percent is not None)
    kinds += [GateKind.RECALL] * (spec.watch_missed_percent is not None)
    asked = (gate for gate in spec.gates if gate.kind is GateKind.QUERY)
    return (*(planned.get(kind) or Gate(kind=kind) for kind in kinds), *asked)


def _look(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> _Look:
    split = evidence.router_split
    assert split is not None  # noqa: S101 - what_is_lost has said so
    candidate = seen(state, evidence, state.candidate)
    return _Look(
        spec=spec,
        state=state,
        weight=split.weight_percent / 100,
        is_random=split.is_random,
        candidate=candidate,
        stable=seen(state, evidence, state.stable),
        requests=seen_pairs(state, evidence).pairs if compares(spec, state) else candidate.requests,
    )


def _together(look: _Look, gates: tuple[Gate, ...], verdicts: tuple[GateVerdict, ...], when: str) -> Verdict:
    failed = [verdict.reason for verdict in verdicts if verdict.answer is Answer.FAIL]
    held = [
        verdict.reason
        for gate, verdict in zip(gates, verdicts, strict=True)
        if gate.blocking and verdict.answer is Answer.UNKNOWN
    ]
    if failed:
        return Verdict(answer=Answer.FAIL, gates=verdicts, reason=f"{when}, {'; '.join(failed)}")
    if held:
        return Verdict(answer=Answer.UNKNOWN, gates=verdicts, reason=f"{when}, not enough is known: {'; '.join(held)}")
    if look.requests_missing:
        reason = f"{when}, {look.state.candidate} has had {look.requests:,} requests and needs {look.requests_missing:,} more"
        return Verdict(answer=Answer.UNKNOWN, gates=verdicts, reason=reason)
    passed = "; ".join(verdict.reason for verdict in verdicts if verdict.answer is Answer.PASS)
    return Verdict(answer=Answer.PASS, gates=verdicts, reason=f"{when}, {passed or 'there is no gate to pass'}")


def _judge_gate(look: _Look, gate: Gate, evidence: Evidence) -> GateVerdict:
    if gate.kind is GateKind.SCORE_DISTANCE:
        return _judge_distance(look, gate, evidence)
    if gate.kind is GateKind.DISAGREEMENT:
        pairs = seen_pairs(look.state, evidence)
        return _judge_against_limit(look, gate, _arm(pairs.flips, pairs.pairs), gate.margin_percent / 100)
    candidate, stable = _arm_of(look.candidate, gate.kind), _arm_of(look.stable, gate.kind)
    if is_last(look.spec, look.state):
        return _judge_against_limit(look, gate, candidate, watch_limit(look.spec, gate.kind))
    return _judge_against_stable(look, gate, candidate, stable)


def _judge_against_stable(look: _Look, gate: Gate, candidate: Arm, stable: Arm) -> GateVerdict:
    """A gate with two arms: fail by the suspicion, pass by the bound of the difference."""
    suspicion = _suspicion(look, gate, candidate, stable)
    counts = f"{look.state.candidate} {candidate}, {look.state.stable} {stable}"
    if _is_enough(look, gate, suspicion):
        return _failure(look, gate, suspicion, counts)
    doubt, margin = (1 - gate.confidence) / 2, gate.margin_percent / 100
    floor = lower_bound(stable.bad, stable.good, doubt)
    bound = upper_bound(candidate.bad, candidate.good, doubt) - floor
    words = f"{counts}; at most {points(bound)} worse, and the margin is {points(margin)}"
    if bound < margin and not look.requests_missing:
        return _verdict(look, gate, suspicion, Answer.PASS, words, upper_bound_percent=100 * bound)
    proof = events_to_prove_below(candidate.share, min(floor + margin, _ALMOST_ALL), doubt)
    needed = _requests_needed(look, candidate, proof)
    return _verdict(
        look, gate, suspicion, Answer.UNKNOWN, words, upper_bound_percent=100 * bound, requests_needed=needed
    )


def _judge_against_limit(look: _Look, gate: Gate, arm: Arm, limit: float) -> GateVerdict:
    """A gate with one arm and a fixed limit (0 to 1): the watch, and the pairs of a shadow."""
    log_e = log_e_above(arm.bad, arm.good, limit) if limit < 1 else 0.0
    suspicion = _Suspicion(log_e, Method.RATES, f"more than the limit of {percent(limit)}")
    counts = f"{look.state.candidate} {arm}"
    if _is_enough(look, gate, suspicion):
        return _failure(look, gate, suspicion, counts)
    doubt = 1 - gate.confidence
    bound = upper_bound(arm.bad, arm.good, doubt)
    words = f"{counts}; at most {percent(bound)}, and the limit is {percent(limit)}"
    if (bound < limit or limit >= 1) and not look.requests_missing:
        return _verdict(look, gate, suspicion, Answer.PASS, words)
    needed = _requests_needed(look, arm, events_to_prove_below(arm.share, min(limit, _ALMOST_ALL), doubt))
    return _verdict(look, gate, suspicion, Answer.UNKNOWN, words, requests_needed=needed)


def _judge_distance(look: _Look, gate: Gate, evidence: Evidence) -> GateVerdict:
    """The plain mean distance of the scores, over at least the step's minimum of pairs: its spread is not recorded, so no bound."""
    pairs = seen_pairs(look.state, evidence)
    mean = pairs.distance_sum / pairs.pairs if pairs.pairs else 0.0
    nothing = _Suspicion(0.0, Method.RATES, "")
    words = f"{mean:.4g} on average over {pairs.pairs:,} pairs, and the margin is {gate.margin_percent:.4g}"
    if look.requests_missing or not pairs.pairs:
        return _verdict(look, gate, nothing, Answer.UNKNOWN, words, requests_needed=max(1, look.requests_missing))
    return _verdict(look, gate, nothing, Answer.PASS if mean <= gate.margin_percent else Answer.FAIL, words)


def _suspicion(look: _Look, gate: Gate, candidate: Arm, stable: Arm) -> _Suspicion:
    """The e-value of this baseline, by the best method that the split allows."""
    weight = percent(look.weight)
    if look.is_random and 0 < look.weight < 1:
        if not stable.all:
            return _Suspicion(0.0, Method.SEQUENTIAL, f"{look.state.stable} has none to compare with")
        if not _gets_too_much(candidate.all, stable.all, look.weight):
            log_e = log_e_above(candidate.bad, stable.bad, look.weight)
            return _Suspicion(log_e, Method.SEQUENTIAL, f"more than its share at a weight of {weight}")
        why = (
            f"it got {percent(candidate.all / (candidate.all + stable.all))} at a weight of {weight}, so not at random"
        )
    elif look.weight == 0:
        why = "a preview is not dealt at random"
    else:
        why = "sticky users are not dealt at random"
    ceiling = _stable_ceiling(look.state, gate, stable) + gate.margin_percent / 100
    log_e = log_e_above(candidate.bad, candidate.good, ceiling) - log(2) if ceiling < 1 else 0.0
    limit = (
        f"above {percent(ceiling)}, the upper bound of {look.state.stable} plus the margin"
        if stable.all
        else "no limit known"
    )
    return _Suspicion(log_e, Method.RATES, f"{limit}; judged by rates: {why}")


def _stable_ceiling(state: RolloutState, gate: Gate, stable: Arm) -> float:
    baseline = max(1, state.baselines)
    return upper_bound(stable.bad, stable.good, gate.alpha / 2 / (baseline * (baseline + 1)))


def _gets_too_much(candidate: int, stable: int, weight: float) -> bool:
    """Whether the candidate gets surely more than its share, by requests with its header, say: then the deal is not random."""
    if candidate <= weight * (candidate + stable):
        return False
    return log_e_above(candidate, stable, weight) >= _SURELY_NOT_RANDOM


def _is_enough(look: _Look, gate: Gate, suspicion: _Suspicion) -> bool:
    return _total(look, gate, suspicion) >= -log(gate.alpha)


def _total(look: _Look, gate: Gate, suspicion: _Suspicion) -> float:
    return look.state.log_e_values.get(gate.kind.value, 0.0) + suspicion.log_e_value


def _failure(look: _Look, gate: Gate, suspicion: _Suspicion, counts: str) -> GateVerdict:
    rarity = odds(_total(look, gate, suspicion))
    words = f"{counts}: {suspicion.words}; by chance at most once in {rarity} rollouts, and once in {1 / gate.alpha:,.0f} is the limit"
    return _verdict(look, gate, suspicion, Answer.FAIL, words)


def _verdict(
    look: _Look,
    gate: Gate,
    suspicion: _Suspicion,
    answer: Answer,
    words: str,
    *,
    upper_bound_percent: float | None = None,
    requests_needed: int | None = None,
) -> GateVerdict:
    more = f"; about {requests_needed:,} more requests needed" if requests_needed else ""
    return GateVerdict(
        gate=gate.kind,
        answer=answer,
        method=suspicion.method,
        reason=f"{gate.kind.value}: {words}{more}",
        log_e_value=_total(look, gate, suspicion),
        upper_bound_percent=upper_bound_percent,
        requests_needed=requests_needed,
    )


def _requests_needed(look: _Look, arm: Arm, proof: int | None) -> int | None:
    """How many more requests, from how many events the proof takes in all; at least 1, as what is unknown needs something."""
    if proof is None:
        return None
    requests_per_event = look.requests / arm.all if arm.all else 1.0
    return max(look.requests_missing, round((proof - arm.all) * requests_per_event), 1)


def labelled_arm(counts: Counts, kind: GateKind) -> Arm:
    """What late truths say of one version."""
    return _arm(counts.missed, counts.positives) if kind is GateKind.RECALL else _arm(counts.wrong, counts.labelled)


def _arm_of(counts: Counts, kind: GateKind) -> Arm:
    if kind in LABELLED:
        return labelled_arm(counts, kind)
    return _arm(counts.slow if kind is GateKind.SLOW else counts.errors, counts.requests)


def _arm(bad: int, total: int) -> Arm:
    """Counts that were read a moment apart may show more errors than requests; they are requests too."""
    return Arm(bad, max(bad, total))


def watch_limit(spec: RolloutSpec, kind: GateKind) -> float:
    """The share of bad events (0 to 1) above which the watch fails."""
    limits = {
        GateKind.ERRORS: spec.watch_error_percent,
        GateKind.SLOW: spec.watch_slow_percent,
        GateKind.WRONG_LABELS: spec.watch_wrong_percent,
        GateKind.RECALL: spec.watch_missed_percent,
    }
    return (limits[kind] or 0.0) / 100
