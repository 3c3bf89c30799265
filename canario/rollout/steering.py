"""Which split a rollout wants at its step, given who is ready; ordering it is for decide, and running it for the router."""

from __future__ import annotations

from math import ceil

from canario.model.evidence import Evidence
from canario.model.rollout import Phase, RolloutSpec, RolloutState, Step, StrategyKind
from canario.model.split import Split

ROUTER_RESOLUTION_PERCENT = 0.01
"""The router deals in ten-thousandths."""

_ROUNDING = 1e-9
"""What a product of floating-point numbers may be off by, so that 10 % of 10 servers is 1 and not 2."""


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
    return split_at(spec, state, state.step_index)


def split_at(spec: RolloutSpec, state: RolloutState, index: int) -> Split:
    """The split of any step."""
    if index >= last_index(spec):
        return Split(stable=state.stable, candidate=state.candidate, weight_percent=100.0)
    return Split(
        stable=state.stable,
        candidate=state.candidate,
        weight_percent=spec.steps[index].weight_percent,
        shadow_percent=spec.shadow_percent if spec.strategy is StrategyKind.SHADOW else 0.0,
        sticky_header=spec.sticky_header,
    )


def share_of(split: Split | None) -> float:
    """The candidate's share, in percent: of the requests, or of their copies."""
    return max(split.weight_percent, split.shadow_percent) if split is not None else 0.0


def servers_at(spec: RolloutSpec, state: RolloutState, index: int) -> int:
    """The servers that the candidate needs at a step, at least 1: as many as stable has for the same share."""
    return max(1, ceil(state.stable_servers * share_of(split_at(spec, state, index)) / 100 - _ROUNDING))


def waits_for_its_share(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> bool:
    """Whether the candidate has no share, or a smaller one than its step's, and too few ready servers to get it."""
    has_less = share_of(state.asked) < share_of(step_split(spec, state))
    return has_less and evidence.ready.get(state.candidate, 0) < servers_at(spec, state, state.step_index)


def wanted_split(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> Split | None:
    """What the router should run now, so that nobody is sent to a version that is not ready; None: leave it, nothing is better.

    A candidate without a ready server loses its traffic and its copies at once, and gets them back when it has its step's servers
    again: that a process died is no verdict, the failures that it caused are one. While some of its servers answer it keeps the
    share that it has. Stable without a ready server hands everything to a candidate that already answers people: some answer is
    better than none. A candidate at weight 0 does not step in; nobody chose that yet.
    """
    split = step_split(spec, state)
    candidate_ready = evidence.ready.get(state.candidate, 0) > 0
    stable_ready = evidence.ready.get(state.stable, 0) > 0
    if stable_ready and (not candidate_ready or waits_for_its_share(spec, state, evidence)):
        return Split(stable=state.stable, candidate=state.candidate)
    if not candidate_ready:
        return None
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
