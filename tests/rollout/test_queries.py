"""A query gate answers by its bounds, after it has said the same for long enough, and silence or nonsense is no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.model.evidence import CommandKind, Evidence
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec
from canario.model.split import Split
from canario.model.verdict import Answer, Method
from canario.rollout.plan import lint
from canario.rollout.queries import answer_to, queries
from tests.rollout.engine_moments import QUICK, STABLE, counting, ended, in_phase

if TYPE_CHECKING:
    from tests.rollout.conftest import Rollout, World

DRIFT = Gate(
    kind=GateKind.QUERY,
    name="score-psi",
    query='canario:score_psi:1h{model="$model",version="$candidate"} > -1',
    pass_at_most=0.1,
    fail_above=0.25,
    for_seconds=10.0,
)


def asking(*gates: Gate) -> RolloutSpec:
    return replace(QUICK, gates=(*QUICK.gates, *gates))


@pytest.fixture
def asked(rollout: type[Rollout], world: type[World]) -> Rollout:
    """A rollout with a query gate, whose first step has begun to count."""
    running = rollout(asking(DRIFT), world())
    running.until(counting)
    return running


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (0.0, Answer.PASS),
        (0.1, Answer.PASS),
        (0.1001, Answer.UNKNOWN),
        (0.25, Answer.UNKNOWN),
        (0.2501, Answer.FAIL),
        (float("nan"), Answer.UNKNOWN),
        (float("inf"), Answer.UNKNOWN),
        (None, Answer.UNKNOWN),
    ],
)
def test_three_answers(value: float | None, answer: Answer) -> None:
    """Up to one bound it passes, above another it fails; between them, and without a number, nobody knows."""
    measurements = {} if value is None else {"score-psi": value}
    assert answer_to(DRIFT, Evidence(measurements=measurements)) is answer


@given(
    value=st.floats(),
    bounds=st.lists(st.floats(-10, 10), min_size=4, max_size=4).map(sorted),
    kept=st.sets(st.integers(0, 3)),
)
def test_no_number_both_passes_and_fails(value: float, bounds: list[float], kept: set[int]) -> None:
    """With any bounds that lint takes, a number that passes lies within the passing bounds and beyond no failing one."""
    fail_below, at_least, at_most, fail_above = (bound if index in kept else None for index, bound in enumerate(bounds))
    gate = replace(
        DRIFT,
        fail_below=fail_below,
        pass_at_least=at_least,
        pass_at_most=at_most,
        fail_above=fail_above,
        blocking=False,
    )
    answer = answer_to(gate, Evidence(measurements={gate.name: value}))
    is_beyond = any((fail_above is not None and value > fail_above, fail_below is not None and value < fail_below))
    is_within = all((at_least is None or value >= at_least, at_most is None or value <= at_most))
    assert answer is not Answer.PASS or (is_within and not is_beyond)
    assert answer is not Answer.FAIL or is_beyond


def test_a_good_query_lets_the_step_pass_after_its_time(asked: Rollout) -> None:
    """A number within the bounds passes once it has been there for the gate's time, and not before."""
    begun = asked.world.now_seconds
    asked.world.measurements["score-psi"] = 0.02
    asked.until(in_phase(Phase.STEPPING, 1))
    assert 10 <= asked.world.now_seconds - begun < 15
    assert "score-psi: 0.02, and it passes up to 0.1, fails above 0.25: for 10 s" in asked.decisions[-1].state.reason


def test_a_bad_query_throws_back_after_its_time(asked: Rollout) -> None:
    """A number beyond the bound rolls back once it has stayed there, with the figures."""
    asked.world.measurements["score-psi"] = 0.4
    asked.look()
    asked.until(in_phase(Phase.RETURNING), 15)
    assert "score-psi: 0.4, and it passes up to 0.1, fails above 0.25: for 10 s" in asked.state.reason


def test_one_odd_scrape_throws_nobody_back(asked: Rollout) -> None:
    """A number that is beyond the bound now and then, or away in between, never fails."""
    for number in range(60):
        asked.world.measurements["score-psi"] = 0.4 if number % 3 else 0.2
        if number % 7 == 0:
            asked.world.measurements.clear()
        asked.look()
        asked.world.run(4)
    assert asked.state.phase in (Phase.STEPPING, Phase.PAUSED)
    assert asked.state.step_index == 0


def test_a_query_without_an_answer_holds_and_says_why(asked: Rollout) -> None:
    """Prometheus that is away holds the step until its longest wait is over, and is no failure."""
    asked.world.unmeasured["score-psi"] = "http://127.0.0.1:9090 does not answer"
    verdict = asked.look().verdict
    (gate,) = (each for each in verdict.gates if each.gate is GateKind.QUERY)
    assert (gate.answer, gate.method, gate.name) == (Answer.UNKNOWN, Method.NONE, "score-psi")
    assert gate.reason == "score-psi: no number: http://127.0.0.1:9090 does not answer"
    assert asked.until(in_phase(Phase.PAUSED), 70).step_index == 0


def test_what_a_query_said_at_another_split_does_not_count(asked: Rollout) -> None:
    """A number that passed at 10 % has to pass for as long again at 50 %."""
    asked.world.measurements["score-psi"] = 0.02
    asked.until(in_phase(Phase.STEPPING, 1))
    begun = asked.world.now_seconds
    asked.until(in_phase(Phase.WATCHING))
    assert asked.world.now_seconds - begun >= 10
    asked.world.split = STABLE
    asked.look()
    assert asked.state.passing_since_seconds == {}


def test_the_watch_asks_queries_too(asked: Rollout) -> None:
    """A promoted version whose query fails goes back; a query without an answer does not keep the watch from its end."""
    asked.world.measurements["score-psi"] = 0.02
    asked.until(in_phase(Phase.WATCHING))
    asked.world.measurements["score-psi"] = 0.9
    asked.until(in_phase(Phase.RETURNING), 19)


def test_a_watch_without_numbers_ends(asked: Rollout) -> None:
    """When Prometheus dies in the watch the other gates still judge, and a good version is promoted."""
    asked.world.measurements["score-psi"] = 0.02
    asked.until(in_phase(Phase.WATCHING))
    asked.world.measurements.clear()
    assert asked.until(ended).phase is Phase.PROMOTED


def test_queries_name_the_versions_on_trial(asked: Rollout) -> None:
    """$model, $stable, $candidate and $namespace are filled in; other dollars stay as they are."""
    text = 'a{m="$model",v="$candidate",n="${namespace}"} / a{v="$stable",job=~".*$"}'
    spec = asking(replace(DRIFT, query=text))
    assert queries(spec, asked.state, "fraud", "shop") == {
        "score-psi": 'a{m="fraud",v="v2",n="shop"} / a{v="v1",job=~".*$"}'
    }


def test_several_queries_are_one_plan() -> None:
    """Queries are told apart by their names."""
    lint(asking(DRIFT, replace(DRIFT, name="cpu", query="1")))


def test_a_person_may_go_on_without_an_answer(asked: Rollout) -> None:
    """Whoever promotes the whole has looked: the query is not waited for."""
    asked.world.command(CommandKind.PROMOTE, whole=True)
    asked.look()
    assert asked.world.split == Split(stable="v1", candidate="v2", weight_percent=100.0)
