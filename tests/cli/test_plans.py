"""How document and flags make one plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from canario.adapters.documents import read_document
from canario.cli.plans import NOTHING_SAID, PlanFlags, plan_for
from canario.model.rollout import RolloutSpec, StrategyKind
from canario.rollout.plan import default_plan
from tests.cli.program import ROOT, Canario, in_process

CAREFUL = """
steps:
  - {weight_percent: 1, minimum_requests: 1000, longest_seconds: 3600}
  - {weight_percent: 100, minimum_requests: 50}
gates: [{kind: errors}]
"""


@pytest.fixture(autouse=True)
def rooms(canario: Canario, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own rooms."""
    in_process(monkeypatch, canario.environment)


def flags(**said: object) -> PlanFlags:
    return replace(NOTHING_SAID, **said)  # type: ignore[arg-type]  # each test names fields of its own


def test_without_flags_the_models_own_document_is_the_plan() -> None:
    """`canario rollout fraud:v2` follows bentos/fraud/rollout.yaml to the letter."""
    assert plan_for("fraud", NOTHING_SAID) == read_document(RolloutSpec, ROOT / "bentos/fraud/rollout.yaml")


def test_a_model_without_a_document_gets_the_default_plan() -> None:
    """An imported version rolls out without any room here."""
    assert plan_for("elsewhere", NOTHING_SAID) == default_plan(StrategyKind.CANARY)


@pytest.mark.parametrize("strategy", [StrategyKind.BLUE_GREEN, StrategyKind.SHADOW])
def test_another_strategy_begins_from_its_own_default(strategy: StrategyKind) -> None:
    """Steps and gates of a canary make no sense for a shadow, so they are not taken over."""
    assert plan_for("fraud", flags(strategy=strategy.value)) == default_plan(strategy)


def test_the_plans_own_strategy_changes_nothing() -> None:
    """To say what the document says already keeps the document."""
    assert plan_for("fraud", flags(strategy="canary")) == plan_for("fraud", NOTHING_SAID)


def test_new_weights_keep_what_the_plan_asks_for_at_their_place(tmp_path: Path) -> None:
    """--steps changes weights alone; steps beyond the plan's own are like its last."""
    document = tmp_path / "careful.yaml"
    document.write_text(CAREFUL)
    first, last = plan_for("fraud", flags(plan=document)).steps
    assert plan_for("fraud", flags(plan=document, steps=(5.0, 20.0, 100.0))).steps == (
        replace(first, weight_percent=5.0),
        replace(last, weight_percent=20.0),
        last,
    )
    assert plan_for("fraud", flags(plan=document, steps=(100.0,))).steps == (replace(first, weight_percent=100.0),)


def test_each_flag_changes_what_it_says_and_nothing_else() -> None:
    """Requests, watch, header and approval reach the plan; everything else stays as the document has it."""
    own = plan_for("fraud", NOTHING_SAID)
    changed = plan_for(
        "fraud", flags(minimum_requests=7, watch_seconds=0.0, sticky_header="user", approve_each_step=True)
    )
    steps = tuple(
        replace(step, minimum_requests=7, approval=approval)
        for step, approval in zip(own.steps, (True, True, False), strict=True)
    )
    assert changed == replace(own, steps=steps, watch_seconds=0.0, sticky_header="user")
