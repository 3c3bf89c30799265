"""One leader at a time, on a real API server: who is overtaken knows it in time, and what it still writes is refused."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from canario.adapters.kubernetes_api import CONFIG_MAPS, LEASES, KubernetesApi, Object
from canario.errors import Conflict
from canario.model.split import Backend, Endpoint, RouterPlan, Split
from canario.platforms.kubernetes.fleet import Fleet, FleetLook
from canario.platforms.kubernetes.intent import Wanted, first_record
from canario.platforms.kubernetes.leadership import LEASE_SECONDS, TRUST_SECONDS, Leadership, NotLeading
from canario.platforms.kubernetes.naming import EPOCH_ANNOTATION, router_object
from canario.platforms.kubernetes.state import StateStore
from canario.rollout.plan import canary
from canario.router.evidence import RouterTallies
from tests.e2e.kubernetes.room import MODEL, Room, a_room

NAME = "election"


class Clock:
    """A machine's clock, which the test moves; the lease lies on the real API server."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def module_room() -> Iterator[Room]:
    with a_room() as found:
        yield found


@pytest.fixture
def room(module_room: Room) -> Room:
    """A room in which nobody leads and nothing is stored."""
    module_room.api.delete(LEASES, NAME)
    for each in module_room.api.list(CONFIG_MAPS, selector=f"canario.dev/model={MODEL}")[0]:
        module_room.api.delete(CONFIG_MAPS, each["metadata"]["name"])
    return module_room


@pytest.fixture
def clock() -> Clock:
    return Clock()


def contender(room: Room, identity: str, clock: Clock, api: KubernetesApi | None = None) -> Leadership:
    return Leadership(api or room.api, NAME, identity, clock)


def cut_off(api: KubernetesApi) -> None:
    """From now on this client reaches nobody."""
    api._client.configuration.host = "https://127.0.0.1:1"


def test_the_first_leads_and_the_second_waits(room: Room, clock: Clock) -> None:
    """One of two has an epoch; the other has none as long as the first shows signs of life."""
    one, two = contender(room, "one", clock), contender(room, "two", clock)
    one.look()
    first = one.epoch
    assert first is not None
    for _ in range(20):
        one.look()
        two.look()
        assert (one.epoch, two.epoch) == (first, None)
        clock.now += 3.0


def test_who_stops_renewing_is_overtaken_and_has_known_it_before(room: Room, clock: Clock) -> None:
    """The old leader trusts itself for ten seconds and the other waits for fifteen: there is a gap, and no overlap."""
    one, two = contender(room, "one", clock), contender(room, "two", clock)
    one.look()
    two.look()
    first = one.epoch or 0
    stopped_at = clock.now
    ended_at = None
    while two.epoch is None:
        assert clock.now - stopped_at < LEASE_SECONDS + 3
        clock.now += 0.5
        if one.epoch is None and ended_at is None:
            ended_at = clock.now
        two.look()
        assert None in (one.epoch, two.epoch)
    assert ended_at is not None
    assert ended_at - stopped_at <= TRUST_SECONDS + 0.5
    assert clock.now - stopped_at > LEASE_SECONDS
    assert two.epoch == first + 1
    with pytest.raises(NotLeading):
        one.require(first)
    one.look()
    assert one.epoch is None


def test_a_leader_that_cannot_reach_the_server_stops_in_time(room: Room, clock: Clock) -> None:
    """It asks in vain, leads on for ten seconds of its own clock, and no longer."""
    api = room.another_api()
    one = contender(room, "one", clock, api)
    one.look()
    cut_off(api)
    for seconds in range(1, 15):
        clock.now += 1.0
        one.look()
        assert (one.epoch is not None) == (seconds < TRUST_SECONDS)


def test_the_same_process_name_again_is_a_new_term_at_once(room: Room, clock: Clock) -> None:
    """A controller that was killed and is back need not wait for itself, and is not taken for its former self."""
    former = contender(room, "one", clock)
    former.look()
    first = former.epoch or 0
    again = contender(room, "one", clock)
    again.look()
    assert again.epoch == first + 1
    again.look()
    assert again.epoch == first + 1


def test_who_gives_the_lease_back_is_followed_at_once(room: Room, clock: Clock) -> None:
    """An update of the controller costs nobody fifteen seconds."""
    one, two = contender(room, "one", clock), contender(room, "two", clock)
    one.look()
    two.look()
    first = one.epoch or 0
    one.release()
    assert one.epoch is None
    two.look()
    assert two.epoch == first + 1


def test_who_was_overtaken_gives_nothing_back(room: Room, clock: Clock) -> None:
    """The end of an old leader does not end the term of the new one."""
    one, two = contender(room, "one", clock), contender(room, "two", clock)
    one.look()
    two.look()
    first = one.epoch or 0
    clock.now += LEASE_SECONDS + 1
    two.look()
    one.release()
    two.look()
    assert two.epoch == first + 1


def test_a_thread_renews_and_gives_back(room: Room) -> None:
    """As the controller does it, by the real clock."""
    ending = threading.Event()
    one = Leadership(room.api, NAME, "one")
    thread = threading.Thread(target=one.watch, args=(ending,))
    thread.start()
    while one.epoch is None:
        assert thread.is_alive()
    ending.set()
    thread.join(10.0)
    lease = room.api.get(LEASES, NAME)
    assert lease
    assert not lease["spec"].get("holderIdentity")


def test_a_lease_that_somebody_made_by_hand_is_taken(room: Room, clock: Clock) -> None:
    """An empty one belongs to nobody, and begins above every epoch that an earlier lease of its name may have given out."""
    room.api.create(LEASES, {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": {"name": NAME}})
    one = contender(room, "one", clock)
    one.look()
    first = one.epoch or 0
    room.api.delete(LEASES, NAME)
    time.sleep(1.1)
    again = contender(room, "again", clock)
    again.look()
    assert (again.epoch or 0) > first > 0


@pytest.mark.parametrize("seed", range(4))
def test_never_do_two_trust_themselves(room: Room, seed: int) -> None:
    """Whoever looks, sleeps, dies, comes back, loses the server or gives up, in any order: at most one epoch is trusted, and each is new."""
    chance, clock = random.Random(seed), Clock()
    apis = {name: room.another_api() for name in ("one", "two", "three")}
    host = room.api._client.configuration.host
    contenders = {name: contender(room, name, clock, api) for name, api in apis.items()}
    terms: list[tuple[int, str]] = []
    for _ in range(150):
        name = chance.choice(list(contenders))
        what = chance.random()
        if what < 0.65:
            contenders[name].look()
        elif what < 0.75:
            clock.now += chance.choice([1.0, 6.0, 16.0])
        elif what < 0.82:
            contenders[name] = contender(room, name, clock, apis[name])
        elif what < 0.88:
            contenders[name].release()
        elif what < 0.94:
            cut_off(apis[name])
        else:
            apis[name]._client.configuration.host = host
        clock.now += 0.4
        trusted = [(each.epoch, who) for who, each in contenders.items() if each.epoch is not None]
        assert len(trusted) <= 1
        for epoch, who in trusted:
            if (epoch, who) not in terms:
                assert epoch > max((known for known, _ in terms), default=0)
                terms.append((epoch, who))
    assert len(terms) > 1


def routed(split: Split) -> RouterPlan:
    return RouterPlan(
        model=MODEL,
        port=8080,
        admin_port=9900,
        operator_port=9901,
        split=split,
        backends=tuple(
            Backend(version=version, endpoints=(Endpoint(host=f"fraud-{version}", http_port=3000, grpc_port=3001),))
            for version in ("v1", "v2")
        ),
        latency_milliseconds=50.0,
    )


UNSEEN = FleetLook({}, None, None, RouterTallies())


def stored_router(room: Room) -> Object:
    found = room.api.get(CONFIG_MAPS, router_object(MODEL))
    assert found
    return found


def test_what_an_old_leader_writes_after_it_was_overtaken_is_refused(room: Room) -> None:
    """It slept through its end and asked nobody: neither state nor router takes what it writes, and both are the new leader's."""
    wanted = Wanted(version="v1", image="fraud:v1", plan=canary(), replicas=2, latency_milliseconds=50.0)
    record = first_record(MODEL, wanted)
    old, new = StateStore(room.api, room.namespace, MODEL), StateStore(room.another_api(), room.namespace, MODEL)
    old_routers = Fleet(room.api, room.namespace, MODEL)
    new_routers = Fleet(room.another_api(), room.namespace, MODEL)
    old.save(record, room.resource, 1)
    old_routers.ask(room.resource, routed(Split(stable="v1")), None, UNSEEN, 1)
    seen_by_old = stored_router(room)

    new.load()
    new.save(record, room.resource, 2)
    new_routers.ask(room.resource, routed(Split(stable="v1")), seen_by_old, UNSEEN, 2)
    assert stored_router(room)["metadata"]["annotations"][EPOCH_ANNOTATION] == "2"

    with pytest.raises(Conflict):
        old.save(replace(record, taken_version="v9"), room.resource, 1)
    canary_split = Split(stable="v1", candidate="v2", weight_percent=50.0)
    with pytest.raises(Conflict):
        old_routers.ask(room.resource, routed(canary_split), seen_by_old, UNSEEN, 1)
    assert new.load() == record
    assert stored_router(room)["metadata"]["annotations"][EPOCH_ANNOTATION] == "2"
    for fleet in (old_routers, new_routers):
        fleet.close()


def test_an_old_leader_that_never_saw_a_router_does_not_overwrite_the_new_one_s(room: Room) -> None:
    """It slept before its very first write, when there was no configuration yet; now there is one."""
    old_routers, new_routers = (Fleet(api, room.namespace, MODEL) for api in (room.api, room.another_api()))
    new_routers.ask(room.resource, routed(Split(stable="v2")), None, UNSEEN, 2)
    with pytest.raises(Conflict):
        old_routers.ask(room.resource, routed(Split(stable="v1")), None, UNSEEN, 1)
    assert stored_router(room)["metadata"]["annotations"][EPOCH_ANNOTATION] == "2"
    for fleet in (old_routers, new_routers):
        fleet.close()
