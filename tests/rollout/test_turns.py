"""One turn of the control loop as a pure step: what requests and orders make of a deployment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canario.model.deployment import Deployment, RetrainingWish, ServedVersion
from canario.model.evidence import Command, CommandKind, Counts, Evidence
from canario.model.requests import Numbered, Request, StartRollout, TakeDown, UsePrometheus, Wish
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec, Step
from canario.model.split import Split
from canario.rollout.turns import advance, commands_among, take_requests, taken_down

NOW = 1_000_000.0
ABORT = Wish(kind=CommandKind.ABORT, whole=False, actor="a person", reason="no")


def plan(*weights: float) -> RolloutSpec:
    """A canary that is content with little: these tests are about turns, not about the judge."""
    return RolloutSpec(
        steps=tuple(Step(weight_percent=weight, minimum_requests=20) for weight in weights),
        gates=(Gate(kind=GateKind.ERRORS, margin_percent=40),),
        watch_seconds=1.0,
        watch_error_percent=50,
        watch_slow_percent=100,
    )


def served(version: str) -> ServedVersion:
    return ServedVersion(version=version, digest="sha256:0", folder="/v", start_in="/", command=("serve", version))


@pytest.fixture
def at_rest() -> Deployment:
    """v1 is up and nothing is under way; three requests have been taken."""
    return Deployment(
        model="pulse",
        is_up=True,
        port=8080,
        admin_port=9901,
        processes=2,
        latency_milliseconds=50.0,
        stable="v1",
        split=Split(stable="v1"),
        wanted=("v1",),
        served={"v1": served("v1")},
        last_request=3,
    )


@pytest.fixture
def under_way(at_rest: Deployment) -> Deployment:
    """A canary of v2 has begun, by request 4."""
    return take_requests(at_rest, numbered(StartRollout(plan(50, 100), served("v2"))), NOW)


def numbered(*requests: Request, first: int = 4) -> list[Numbered]:
    return [Numbered(number, request) for number, request in enumerate(requests, start=first)]


def seen(*, split: Split, ready: tuple[str, ...], commands: tuple[Command, ...] = ()) -> Evidence:
    """A world in which these versions run, ready, and the router runs that split."""
    return Evidence(
        counts={version: Counts(requests=10) for version in ready},
        router_split=split,
        ready=dict.fromkeys(ready, 2),
        running=ready,
        commands=commands,
    )


def test_a_rollout_that_is_asked_for_begins_and_has_a_name(under_way: Deployment) -> None:
    """The request is taken, the plan is kept as it was asked, and nothing about traffic has changed yet."""
    assert under_way.last_request == 4
    assert under_way.rollout
    assert under_way.rollout.spec == plan(50, 100)
    assert under_way.rollout.state.rollout == "pulse-0001"
    assert (under_way.stable, under_way.split, under_way.next_rollout) == ("v1", Split(stable="v1"), 2)
    assert set(under_way.served) == {"v1", "v2"}


def test_a_second_rollout_is_refused_with_a_reason(under_way: Deployment) -> None:
    """Whoever asks while another rollout is under way is told so, and the other goes on as it was."""
    after = take_requests(under_way, numbered(StartRollout(plan(100), served("v3")), first=5), NOW)
    assert after.rollout == under_way.rollout
    assert "v2 is under way" in after.answers["5"]


def test_a_wish_without_a_rollout_is_refused_with_a_reason(at_rest: Deployment) -> None:
    """Nothing to abort is an answer, not silence."""
    after = take_requests(at_rest, numbered(ABORT), NOW)
    assert after.last_request == 4
    assert "nothing to abort" in after.answers["4"]


def test_wishes_wait_for_the_engine_in_their_order(under_way: Deployment) -> None:
    """Wishes for a running rollout are handed over in order, and requests behind them wait for their turn."""
    requests = numbered(ABORT, replace_kind(CommandKind.PAUSE), TakeDown(), first=5)
    taken = take_requests(under_way, requests, NOW)
    assert taken == under_way
    assert [(command.number, command.kind) for command in commands_among(taken, requests)] == [
        (5, CommandKind.ABORT),
        (6, CommandKind.PAUSE),
    ]


def replace_kind(kind: CommandKind) -> Wish:
    return Wish(kind=kind, whole=False, actor="", reason="")


def test_orders_become_what_is_wanted(under_way: Deployment) -> None:
    """A candidate without servers is wanted from then on; deciding again changes nothing."""
    evidence = seen(split=Split(stable="v1"), ready=("v1",))
    once = advance(under_way, evidence, NOW + 1).deployment
    assert once.wanted == ("v1", "v2")
    assert advance(once, evidence, NOW + 1).deployment == once


def test_an_abort_ends_with_stable_alone(under_way: Deployment) -> None:
    """After an abort one version is wanted, one answers, and the rollout is remembered with its reason."""
    both = seen(split=Split(stable="v1"), ready=("v1", "v2"))
    steps = advance(advance(under_way, both, NOW + 1).deployment, both, NOW + 2).deployment
    assert steps.split == Split(stable="v1", candidate="v2", weight_percent=50.0)
    wish = Command(number=5, kind=CommandKind.ABORT, actor="a person", reason="no")
    aborted = advance(steps, replace(both, router_split=steps.split, commands=(wish,)), NOW + 3).deployment
    assert (aborted.last_request, aborted.split) == (5, Split(stable="v1"))
    ended = advance(aborted, replace(both, ready={"v1": 2}, running=("v1",)), NOW + 4).deployment
    ended = advance(ended, seen(split=Split(stable="v1"), ready=("v1",)), NOW + 5).deployment
    assert ended.rollout is None
    assert (ended.stable, ended.wanted, ended.split) == ("v1", ("v1",), Split(stable="v1"))
    (past,) = ended.past
    assert (past.phase, past.candidate) == (Phase.ROLLED_BACK, "v2")
    assert "no" in past.reason


def test_down_ends_a_rollout_where_its_stable_version_was(under_way: Deployment) -> None:
    """Taking everything down in the middle of a rollout leaves the stable version as the one to come up with."""
    down = take_requests(under_way, numbered(TakeDown(), first=5), NOW + 9)
    assert (down.is_up, down.rollout, down.wanted, down.stable) == (False, None, (), "v1")
    assert (down.past[-1].phase, down.past[-1].ended_at_seconds) == (Phase.ROLLED_BACK, NOW + 9)


@pytest.mark.parametrize(
    ("outcome", "stable", "reason"),
    [
        (Phase.PROMOTED, "v2", "promoted by a person"),
        (Phase.COMPLETED, "v1", "the copies agree"),
        (Phase.ROLLED_BACK, "v1", "rolled back: too many errors"),
    ],
)
def test_down_leaves_a_decision_that_was_made_as_it_was(
    under_way: Deployment, outcome: Phase, stable: str, reason: str
) -> None:
    """A candidate that was promoted comes up again after a `down`, however little of its rollout was left to do."""
    rollout = under_way.rollout
    assert rollout
    phase = Phase.RETURNING if outcome is Phase.ROLLED_BACK else Phase.FINISHING
    decided = replace(rollout, state=replace(rollout.state, phase=phase, outcome=outcome, reason=reason))
    down = taken_down(replace(under_way, rollout=decided), NOW + 9)
    assert (down.is_up, down.rollout, down.wanted) == (False, None, ())
    assert (down.stable, down.split) == (stable, Split(stable=stable))
    (past,) = down.past
    assert (past.phase, past.reason, past.ended_at_seconds) == (outcome, reason, NOW + 9)


def test_what_is_kept_is_bounded(at_rest: Deployment) -> None:
    """After hundreds of rollouts and refusals the state is as small as after fifty, and the names are still new."""
    deployment = at_rest
    for number in range(200):
        start = StartRollout(plan(100), served(f"v{number + 2}"))
        deployment = take_requests(deployment, [Numbered(deployment.last_request + 1, start)], NOW + number)
        deployment = replace(taken_down(deployment, NOW + number), is_up=True)
        deployment = take_requests(deployment, [Numbered(deployment.last_request + 1, ABORT)], NOW + number)
    assert len(deployment.past) == 50
    assert len(deployment.answers) <= 20
    assert len(deployment.served) <= 52
    assert deployment.past[-1].rollout == "pulse-0200"


def test_a_wish_for_a_retraining_is_kept_once_a_rollout(under_way: Deployment) -> None:
    """What a rollout asks for stays known, with its first moment, also after the rollout has ended."""
    rollout = under_way.rollout
    assert rollout
    asking = replace(rollout.state, retraining_reason="v2 misses too often and v1 was no better")
    deployment = replace(under_way, rollout=replace(rollout, state=asking))
    evidence = seen(split=Split(stable="v1"), ready=("v1",))
    once = advance(deployment, evidence, NOW + 1).deployment
    assert once.retraining == RetrainingWish(
        rollout="pulse-0001", reason="v2 misses too often and v1 was no better", at_seconds=NOW + 1
    )
    again = advance(once, evidence, NOW + 9).deployment
    assert again.retraining == once.retraining
    assert taken_down(again, NOW + 10).retraining == once.retraining


def test_another_prometheus_can_be_named_while_a_rollout_is_under_way(under_way: Deployment) -> None:
    """Where queries are asked is no part of a plan: it changes at once."""
    told = take_requests(under_way, numbered(UsePrometheus("http://127.0.0.1:9090"), first=5), NOW)
    assert (told.prometheus_url, told.last_request) == ("http://127.0.0.1:9090", 5)
    assert told.rollout == under_way.rollout
