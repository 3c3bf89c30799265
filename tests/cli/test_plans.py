"""How document and flags make one plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from canario.adapters.documents import read_document
from canario.cli.plans import NOTHING_SAID, PlanFlags, plan_for
from canario.errors import PlanError
from canario.model.rollout import RolloutSpec, Step, StrategyKind
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


def test_new_weights_need_no_steps_in_the_plan(tmp_path: Path) -> None:
    """A plan that leaves its steps to --steps gets them, each with what a step asks for if nobody says more."""
    document = tmp_path / "gates.yaml"
    document.write_text("steps: []\ngates: [{kind: errors}]\n")
    assert plan_for("fraud", flags(plan=document, steps=(10.0, 100.0))).steps == (
        Step(weight_percent=10.0),
        Step(weight_percent=100.0),
    )


def test_fewer_weights_ask_nobody_to_approve_the_last(tmp_path: Path) -> None:
    """The approval of a step whose place the 100 takes goes with that step: nothing follows that could be approved."""
    document = tmp_path / "approved.yaml"
    approved = "".join(f"  - {{weight_percent: {weight}, approval: true}}\n" for weight in (10, 50))
    document.write_text(f"steps:\n{approved}  - {{weight_percent: 100}}\ngates: [{{kind: errors}}]\n")
    first, last = plan_for("fraud", flags(plan=document, steps=(10.0, 100.0))).steps
    assert (first.approval, last.approval) == (True, False)


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "&a {b: *a}\n", "steps: " + "[" * 3000 + "]" * 3000])
def test_a_document_without_an_end_is_refused(tmp_path: Path, text: str) -> None:
    """A plan that holds itself, or is nested beyond measure, is a fault of the document, named as any other."""
    document = tmp_path / "endless.yaml"
    document.write_text(text)
    with pytest.raises(PlanError) as refused:
        plan_for("fraud", flags(plan=document))
    assert refused.value.at == str(document)


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
