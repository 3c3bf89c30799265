"""Which counts are evidence: those between two confirmations that the router runs the step's split; weighing them is for judge.

Counting starts when the router is read back with the asked split, and ends when it is seen with another. Both moments are chosen by
what the router runs, never by who failed, so the e-value of what lies between is as valid as one from the beginning. Requests that
were dealt before the start and are counted after it were dealt at a smaller weight: they can only make the candidate look better.
Each stretch's e-value multiplies on the ones before (state.log_e_values), with the weight that was in force: still a martingale.
"""

from __future__ import annotations

from dataclasses import fields, replace

from canario.model.evidence import Comparison, Counts, Evidence
from canario.model.rollout import RolloutSpec, RolloutState, StrategyKind
from canario.model.split import Split
from canario.rollout.steering import is_last, runs, step_split


def compares(spec: RolloutSpec, state: RolloutState) -> bool:
    """Whether the present step looks at pairs of answers."""
    return spec.strategy is StrategyKind.SHADOW and not is_last(spec, state)


def seen(state: RolloutState, evidence: Evidence, version: str) -> Counts:
    """What was counted of a version since the baseline."""
    now = (evidence.counts or {}).get(version, Counts())
    return now - state.baseline.get(version, Counts())


def seen_pairs(state: RolloutState, evidence: Evidence) -> Comparison:
    """What copies showed since the baseline."""
    return (evidence.comparison or Comparison()) - (state.baseline_comparison or Comparison())


def what_is_lost(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> str:
    """Which source cannot be read, in words; empty when all can.

    A version that had counts and is missing now counts as unreadable, not as 0: taken for a restart, its whole past would return
    as news.
    """
    if evidence.router_split is None:
        return "the router's split cannot be read"
    if evidence.counts is None:
        return "the router's counts cannot be read"
    for version, counts in state.baseline.items():
        if counts != Counts() and version not in evidence.counts:
            return f"the counts of {version} cannot be read"
    if compares(spec, state) and evidence.comparison is None:
        return "the comparison of the copies cannot be read"
    return ""


def count(
    spec: RolloutSpec, state: RolloutState, evidence: Evidence, wanted: Split | None, now_seconds: float
) -> RolloutState:
    """The state with its baseline in order: begun, kept, or closed and folded into log_e_values."""
    if wanted is not None:
        state = ask(state, wanted)
    if what_is_lost(spec, state, evidence):
        return state if state.lost_since_seconds is not None else replace(state, lost_since_seconds=now_seconds)
    state = _found_again(state, now_seconds)
    if not runs(evidence, state.asked) or state.asked != step_split(spec, state):
        return forget_baseline(state)
    if state.step_since_seconds is None:
        return _new_baseline(spec, replace(state, step_since_seconds=now_seconds), evidence)
    if _has_restarted(state, evidence):
        return _new_baseline(spec, fold(state), evidence)
    return state


def ask(state: RolloutState, split: Split) -> RolloutState:
    """The state in which this split is the asked one; another than before ends what the baseline counts."""
    return state if split == state.asked else replace(forget_baseline(state), asked=split)


def fold(state: RolloutState) -> RolloutState:
    """The state with what the present baseline has earned multiplied on to what was earned before."""
    earned = {
        gate: state.log_e_values.get(gate, 0.0) + state.step_log_e_values.get(gate, 0.0)
        for gate in {**state.log_e_values, **state.step_log_e_values}
    }
    return replace(state, log_e_values=earned, step_log_e_values={})


def forget_baseline(state: RolloutState) -> RolloutState:
    """The same, with no baseline: nothing counts until the router is seen to run the step's split."""
    if state.step_since_seconds is None:
        return state
    return replace(
        fold(state),
        step_since_seconds=None,
        baseline={},
        baseline_comparison=None,
        passing_since_seconds={},
        failing_since_seconds={},
    )


def _new_baseline(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> RolloutState:
    both = (state.stable, state.candidate)
    return replace(
        state,
        baseline={version: counts for version, counts in (evidence.counts or {}).items() if version in both},
        baseline_comparison=evidence.comparison if compares(spec, state) else None,
        baselines=state.baselines + 1,
    )


def _has_restarted(state: RolloutState, evidence: Evidence) -> bool:
    """Whether some count is smaller than at the baseline: its source began anew."""
    since: list[Counts | Comparison] = [seen(state, evidence, version) for version in (state.stable, state.candidate)]
    if state.baseline_comparison is not None:
        since.append(seen_pairs(state, evidence))
    return any(getattr(counts, field.name) < 0 for counts in since for field in fields(counts))


def _found_again(state: RolloutState, now_seconds: float) -> RolloutState:
    """Evidence is readable: the time without it is taken out of every wait, so that a lost source never times a release out."""
    if state.lost_since_seconds is None:
        return state
    lost_seconds = max(0.0, now_seconds - state.lost_since_seconds)
    return replace(
        state,
        lost_since_seconds=None,
        phase_since_seconds=state.phase_since_seconds + lost_seconds,
        short_since_seconds=None if state.short_since_seconds is None else state.short_since_seconds + lost_seconds,
        step_since_seconds=None if state.step_since_seconds is None else state.step_since_seconds + lost_seconds,
    )
