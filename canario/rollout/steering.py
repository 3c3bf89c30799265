"""Which split a rollout wants at its step, given who is ready; ordering it is for decide, and running it for the router."""

from __future__ import annotations

from canario.model.evidence import Evidence
from canario.model.rollout import Phase, RolloutSpec, RolloutState, Step, StrategyKind
from canario.model.split import Split

ROUTER_RESOLUTION_PERCENT = 0.01
"""The router deals in ten-thousandths."""


def last_index(spec: RolloutSpec) -> int:
    """The index of the leg at which the candidate answers everybody: a canary's last step; one past the steps of the others."""
    return len(spec.steps) - (spec.strategy is StrategyKind.CANARY)


def is_last(spec: RolloutSpec, state: RolloutState) -> bool:
    """Whether the candidate is to answer everybody now."""
    return state.step_index >= last_index(spec)


def step_of(spec: RolloutSpec, state: RolloutState) -> Step:
    """The step whose rules hold now; the leg after a preview or a shadow keeps that step's minimum of requests."""
    return spec.steps[min(state.step_index, len(spec.steps) - 1)]


def active_phase(state: RolloutState) -> Phase:
    """The phase that is at work, held or not."""
    return state.paused_phase or state.phase


def step_split(spec: RolloutSpec, state: RolloutState) -> Split:
    """The split of the present step, when everybody is ready."""
    if is_last(spec, state):
        return Split(stable=state.stable, candidate=state.candidate, weight_percent=100.0)
    return Split(
        stable=state.stable,
        candidate=state.candidate,
        weight_percent=step_of(spec, state).weight_percent,
        shadow_percent=spec.shadow_percent if spec.strategy is StrategyKind.SHADOW else 0.0,
        sticky_header=spec.sticky_header,
    )


def wanted_split(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> Split | None:
    """What the router should run now, so that nobody is sent to a version that is not ready; None: leave it, nothing is better.

    A candidate without a ready server loses its traffic and its copies at once, and gets them back when it is ready again: that a
    process died is no verdict, the failures that it caused are one. Stable without a ready server hands everything to a candidate
    that already answers people: some answer is better than none. A candidate at weight 0 does not step in; nobody chose that yet.
    """
    split = step_split(spec, state)
    candidate_ready = evidence.ready.get(state.candidate, 0) > 0
    stable_ready = evidence.ready.get(state.stable, 0) > 0
    if not candidate_ready:
        return Split(stable=state.stable, candidate=state.candidate) if stable_ready else None
    if stable_ready:
        return split
    return (
        Split(stable=state.stable, candidate=state.candidate, weight_percent=100.0)
        if split.weight_percent > 0
        else None
    )


def runs(evidence: Evidence, split: Split | None) -> bool:
    """Whether the router was read back and runs this split."""
    actual = evidence.router_split
    return (
        actual is not None
        and split is not None
        and (actual.stable, actual.candidate, actual.sticky_header)
        == (split.stable, split.candidate, split.sticky_header)
        and abs(actual.weight_percent - split.weight_percent) < ROUTER_RESOLUTION_PERCENT / 2
        and abs(actual.shadow_percent - split.shadow_percent) < ROUTER_RESOLUTION_PERCENT / 2
    )
