"""The plan, the splits and the moments that the engine's tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from canario.model.rollout import Gate, GateKind, Phase, RolloutState, Step
from canario.model.split import Split
from canario.rollout.plan import canary

STABLE = Split(stable="v1")
AT_TEN = Split(stable="v1", candidate="v2", weight_percent=10.0)
AT_FIFTY = replace(AT_TEN, weight_percent=50.0)
EVERYBODY = replace(AT_TEN, weight_percent=100.0)
NOBODY = replace(AT_TEN, weight_percent=0.0)
QUICK = replace(
    canary(),
    gates=(Gate(kind=GateKind.ERRORS, margin_percent=5.0),),
    watch_seconds=20.0,
    steps=tuple(Step(weight_percent=weight, longest_seconds=60.0) for weight in (10.0, 50.0, 100.0)),
)


def ended(state: RolloutState) -> bool:
    return state.phase.has_ended


def in_phase(phase: Phase, index: int | None = None) -> Callable[[RolloutState], bool]:
    return lambda state: state.phase is phase and index in (None, state.step_index)


def counting(state: RolloutState) -> bool:
    return state.phase is Phase.STEPPING and state.step_since_seconds is not None
