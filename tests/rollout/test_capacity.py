"""A candidate gets no share before it has the servers for it, and the way back never lands on too few."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from canario.model.evidence import CommandKind
from canario.model.orders import SetSplit, StartVersion
from canario.model.rollout import OnTimeout, Phase, RolloutState
from canario.model.split import Split
from canario.rollout.capacity import servers_needed
from canario.rollout.plan import blue_green, shadow
from tests.rollout.engine_moments import AT_FIFTY, AT_TEN, EVERYBODY, NOBODY, QUICK, STABLE, counting, ended, in_phase

if TYPE_CHECKING:
    from tests.rollout.conftest import Rollout, World


@pytest.fixture
def ten(rollout: type[Rollout], world: type[World]) -> Rollout:
    """A rollout over ten servers, whose candidate begins with one and gets more where they are asked for."""
    return rollout(QUICK, world(ready={"v1": 10}, is_autoscaled=True))


def waiting(state: RolloutState) -> bool:
    return state.next_index is not None


def test_servers_come_before_each_share(ten: Rollout) -> None:
    """Ten servers of stable: one for 10 %, five are asked for before 50 %, ten before everybody; nobody waits for a time to pass."""
    ten.until(ended)
    starts_and_splits = [
        order
        for decision in ten.decisions
        for order in decision.orders
        if isinstance(order, StartVersion | SetSplit) and order != StartVersion(version="v1", servers=10)
    ]
    assert starts_and_splits == [
        StartVersion(version="v2", servers=1),
        SetSplit(split=AT_TEN),
        StartVersion(version="v2", servers=5),
        SetSplit(split=AT_FIFTY),
        StartVersion(version="v2", servers=10),
        SetSplit(split=EVERYBODY),
        SetSplit(split=Split(stable="v2")),
    ]


def test_stable_keeps_its_servers_until_the_end(ten: Rollout) -> None:
    """At every moment of a rollout the number that stable needs is the one that it had, so that a way back finds it."""
    moments = (
        in_phase(Phase.STEPPING),
        in_phase(Phase.STEPPING, 1),
        in_phase(Phase.WATCHING),
        in_phase(Phase.FINISHING),
    )
    needed = [servers_needed(ten.spec, ten.until(moment)) for moment in moments]
    assert [each["v1"] for each in needed] == [10, 10, 10, 10]
    assert [each["v2"] for each in needed] == [1, 5, 10, 10]


def test_a_stable_that_grows_takes_the_candidate_along(ten: Rollout) -> None:
    """When load makes stable grow in the middle of a canary, the next share takes more servers too."""
    ten.until(counting)
    ten.world.ready["v1"] = 16
    ten.until(in_phase(Phase.STEPPING, 1))
    assert ten.world.ready["v2"] == 8


def test_a_fixed_number_that_somebody_lowers_is_no_lack(ten: Rollout) -> None:
    """Who sets a version to fewer servers in the middle of a rollout does not make it wait for the former number."""
    ten.until(counting)
    ten.world.ready["v1"] = 4
    ten.until(in_phase(Phase.STEPPING, 1))
    assert ten.world.ready["v2"] == 2


def test_what_waits_for_servers_is_still_judged(ten: Rollout) -> None:
    """Errors while the candidate waits for servers throw it back, from the share that it has."""
    ten.world.most = {"v2": 2}
    ten.until(waiting)
    assert ten.world.split == AT_TEN
    ten.world.bad["v2"] = 0.5
    ten.until(in_phase(Phase.RETURNING), 30)
    assert "errors" in ten.state.reason


@pytest.mark.parametrize(
    ("on_timeout", "phase"), [(OnTimeout.PAUSE, Phase.PAUSED), (OnTimeout.ROLL_BACK, Phase.RETURNING)]
)
def test_servers_that_do_not_come_are_not_waited_for_for_ever(
    ten: Rollout, on_timeout: OnTimeout, phase: Phase
) -> None:
    """A cluster without room: after as long as a start may take the plan's own choice follows, with the figures; never the share."""
    ten.spec = replace(ten.spec, on_timeout=on_timeout)
    ten.world.most = {"v2": 2}
    ten.until(waiting)
    state = ten.until(in_phase(phase), 125, 5.0)
    assert "v2 has 2 ready of the 5 servers that 50 % of the requests take, after" in state.reason
    assert AT_FIFTY not in [
        order.split for each in ten.decisions for order in each.orders if isinstance(order, SetSplit)
    ]


def test_room_that_is_made_lets_it_go_on(ten: Rollout) -> None:
    """After a person has made room and resumed, the rollout goes on where it stood."""
    ten.world.most = {"v2": 2}
    ten.until(waiting)
    ten.until(in_phase(Phase.PAUSED), 125, 5.0)
    ten.world.most = {}
    ten.world.command(CommandKind.RESUME)
    assert ten.until(ended).phase is Phase.PROMOTED


def test_promoting_by_hand_waits_for_servers_too(ten: Rollout) -> None:
    """A person can skip steps, not the servers that the share takes."""
    ten.until(counting)
    ten.world.command(CommandKind.PROMOTE, whole=True)
    decision = ten.look()
    assert decision.orders == (StartVersion(version="v2", servers=10),)
    assert ten.world.split == AT_TEN
    assert "waits for the 10 servers that 100 % of the requests take" in ten.state.reason
    assert ten.look().orders == (SetSplit(split=EVERYBODY),)


@pytest.mark.parametrize("kind", [CommandKind.ABORT, None])
def test_the_way_back_waits_for_nothing(ten: Rollout, kind: CommandKind | None) -> None:
    """Abort and rollback send everybody back in the very look that decides so."""
    ten.until(in_phase(Phase.WATCHING))
    if kind:
        ten.world.command(kind)
    else:
        ten.until(lambda state: state.step_since_seconds is not None)
        ten.world.bad["v2"] = 1.0
        ten.world.run(1)
    assert ten.look().orders == (SetSplit(split=STABLE),)


def test_a_candidate_that_lost_its_servers_gets_its_share_back_with_enough_of_them(ten: Rollout) -> None:
    """One server of ten is no reason to send everybody there again; five of ten that remain keep what they have."""
    ten.until(in_phase(Phase.WATCHING))
    ten.look()
    ten.world.ready["v2"] = 5
    assert ten.look().orders == (StartVersion(version="v2", servers=10),)
    ten.world.most = {"v2": 1}
    ten.world.ready["v2"] = 0
    assert SetSplit(split=NOBODY) in ten.look().orders
    assert ten.world.ready["v2"] == 1
    assert ten.look().orders == (StartVersion(version="v2", servers=10),)
    state = ten.until(in_phase(Phase.RETURNING), 125, 5.0)
    assert "v2 has 1 ready of the 10 servers" in state.reason


def test_a_start_with_too_few_servers_is_held(rollout: type[Rollout], world: type[World]) -> None:
    """A switch for everybody waits for as many servers as stable has, and with half of them it is held for a person."""
    running = rollout(replace(QUICK, steps=QUICK.steps[2:]), world(most={"v2": 1}))
    state = running.until(in_phase(Phase.PAUSED), 130, 5.0)
    assert "v2 has 1 ready of the 2 servers that 100 % of the requests take" in state.reason
    assert running.world.split == STABLE


def test_blue_green_and_copies_take_servers_too(rollout: type[Rollout], world: type[World]) -> None:
    """A switch takes as many servers as stable has, a preview one, and copies of half of the requests half of them."""
    running = rollout(blue_green(), world(ready={"v1": 10}, is_autoscaled=True))
    assert servers_needed(running.spec, running.until(counting)) == {"v1": 10, "v2": 1}
    running.world.command(CommandKind.PROMOTE, whole=True)
    assert servers_needed(running.spec, running.look().state) == {"v1": 10, "v2": 10}
    running = rollout(replace(shadow(), shadow_percent=50.0), world(ready={"v1": 10}, is_autoscaled=True))
    assert servers_needed(running.spec, running.until(counting)) == {"v1": 10, "v2": 5}
