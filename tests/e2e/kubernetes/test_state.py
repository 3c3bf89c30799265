"""The state of a model, on a real API server: each decision is stored and noted once, whoever writes, dies or comes late."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from canario.adapters.kubernetes_api import CONFIG_MAPS, KubernetesApi, Object
from canario.errors import CanarioError, Conflict, IntegrityError
from canario.model.evidence import Evidence
from canario.model.journal import JournalEntry
from canario.model.verdict import Answer, Verdict
from canario.platforms.kubernetes import state
from canario.platforms.kubernetes.intent import Wanted, first_record
from canario.platforms.kubernetes.naming import state_object
from canario.platforms.kubernetes.state import Record, StateStore, journal_lines, sealed_parts
from canario.rollout.decide import begin
from canario.rollout.plan import canary, undo
from tests.e2e.kubernetes.room import MODEL, Room, a_room

FIRST = first_record(
    MODEL, Wanted(version="v1", image="fraud:v1", plan=canary(), replicas=2, latency_milliseconds=50.0)
)


@pytest.fixture(scope="module")
def module_room() -> Iterator[Room]:
    with a_room() as found:
        yield found


@pytest.fixture
def room(module_room: Room) -> Room:
    """A room in which no state is left."""
    for each in module_room.api.list(CONFIG_MAPS, selector=f"canario.dev/model={MODEL}")[0]:
        module_room.api.delete(CONFIG_MAPS, each["metadata"]["name"])
    return module_room


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Parts that hold few decisions, so that many are sealed; all of them are kept."""
    monkeypatch.setattr(state, "LONGEST_PART_BYTES", 4096)
    monkeypatch.setattr(state, "KEPT_PARTS", 1000)
    return 4096


def entry(number: int, words: str = "") -> JournalEntry:
    """A decision; its words are as long as the test wants."""
    begun = begin(undo(), "fraud-0001", "v1", "v2", 1_000_000.0)
    return JournalEntry(
        number=number,
        at_seconds=1_000_000.0 + number,
        spec=undo(),
        state=begun,
        evidence=Evidence(),
        verdict=Verdict(answer=Answer.UNKNOWN, reason=words),
        orders=(),
        after=begun,
    )


def store(room: Room, api: KubernetesApi | None = None) -> StateStore:
    return StateStore(api or room.api, room.namespace, MODEL)


def counted(record: Record, number: int) -> Record:
    return replace(record, deployment=replace(record.deployment, last_request=number))


def journal(room: Room) -> list[JournalEntry]:
    return [msgspec.json.decode(line, type=JournalEntry) for line in journal_lines(room.api, room.namespace, MODEL)]


def numbers(room: Room) -> list[int]:
    return [each.number for each in journal(room)]


def test_a_model_that_is_new_has_no_state(room: Room) -> None:
    """Nothing is stored, and its journal begins with 1."""
    new = store(room)
    assert new.load() is None
    assert (new.next_number, new.epoch) == (1, -1)


def test_what_was_stored_comes_back_with_its_term(room: Room) -> None:
    """Record, epoch and the next number are what the last writer left."""
    store(room).save(FIRST, room.resource, 7, entry(1))
    other = store(room)
    assert other.load() == FIRST
    assert (other.epoch, other.next_number) == (7, 2)


def test_a_decision_and_its_note_are_one_write(room: Room) -> None:
    """Whoever reads the record finds the decision that led to it, in the same object at the same moment."""
    writer = store(room)
    writer.save(FIRST, room.resource, 1, entry(1))
    stored = room.api.get(CONFIG_MAPS, state_object(MODEL))
    assert stored
    assert sorted(stored["data"]) == ["journal.jsonl", "state.json"]


def test_who_has_not_seen_the_last_write_is_refused_and_changes_nothing(room: Room) -> None:
    """Compare and swap: the second of two writers that began alike is told, and what the first wrote stands."""
    one, two = store(room), store(room)
    one.save(FIRST, room.resource, 1, entry(1))
    two.load()
    one.save(counted(FIRST, 5), room.resource, 1, entry(2))
    with pytest.raises(Conflict):
        two.save(counted(FIRST, 9), room.resource, 1, entry(2))
    reader = store(room)
    assert reader.load() == counted(FIRST, 5)
    assert numbers(room) == [1, 2]


def test_two_that_begin_a_model_at_once_begin_it_once(room: Room) -> None:
    """Both saw no state; the second to create it is refused."""
    one, two = store(room), store(room)
    assert one.load() is None
    assert two.load() is None
    one.save(FIRST, room.resource, 1)
    with pytest.raises(Conflict):
        two.save(counted(FIRST, 9), room.resource, 2)


@pytest.mark.parametrize("seed", range(3))
def test_two_writers_at_random_lose_and_double_nothing(room: Room, short_parts: int, seed: int) -> None:
    """Of 300 tries the journal holds exactly those that were accepted, in order, without gap or double, over many parts."""
    chance = random.Random(seed)
    writers = [store(room), store(room, room.another_api())]
    writers[0].save(FIRST, room.resource, 0)
    records: dict[StateStore, Record] = {}
    for each in writers:
        found = each.load()
        assert found
        records[each] = found
    accepted: list[str] = []
    for attempt in range(300):
        writer = chance.choice(writers)
        if chance.random() < 0.3:
            found = writer.load()
            assert found
            records[writer] = found
        words = f"{attempt}-" + "x" * chance.choice([1, 50, 700])
        after = counted(records[writer], attempt)
        try:
            writer.save(after, room.resource, attempt % 5, entry(writer.next_number, words))
        except Conflict:
            found = writer.load()
            assert found
            records[writer] = found
            continue
        records[writer] = after
        accepted.append(words)
    kept = journal(room)
    assert [each.number for each in kept] == list(range(1, len(accepted) + 1))
    assert [each.verdict.reason for each in kept] == accepted
    assert len(sealed_parts(room.api, room.namespace, MODEL)) > 3


class Killed(BaseException):
    """The process has ended here."""


@pytest.mark.parametrize("is_sealed_first", [True, False])
def test_a_writer_killed_between_seal_and_swap_leaves_nothing_wrong(
    room: Room, short_parts: int, monkeypatch: pytest.MonkeyPatch, *, is_sealed_first: bool
) -> None:
    """The part is sealed, or not yet, and the record is the one before: its successor writes the same decision, once."""
    api = room.another_api()
    writer = store(room, api)
    writer.save(FIRST, room.resource, 1)
    while not sealed_parts(room.api, room.namespace, MODEL):
        writer.save(FIRST, room.resource, 1, entry(writer.next_number, "x" * 500))

    replaced, created = api.replace, api.create

    def dies(*arguments: object, **named: object) -> Object:
        raise Killed

    parts = len(sealed_parts(room.api, room.namespace, MODEL))
    monkeypatch.setattr(api, "create" if not is_sealed_first else "_nothing", dies, raising=False)
    written = writer.next_number
    while True:
        if is_sealed_first and sum(map(len, writer._lines)) + 2600 > short_parts:
            monkeypatch.setattr(api, "replace", dies)
        try:
            writer.save(FIRST, room.resource, 1, entry(written, "x" * 1500))
        except Killed:
            break
        written += 1
    monkeypatch.setattr(api, "replace", replaced)
    monkeypatch.setattr(api, "create", created)
    assert len(sealed_parts(room.api, room.namespace, MODEL)) >= parts
    successor = store(room)
    assert successor.load() == FIRST
    assert successor.next_number == written
    for _ in range(5):
        successor.save(FIRST, room.resource, 2, entry(successor.next_number, "x" * 1500))
    assert numbers(room) == list(range(1, written + 5))


def test_a_late_writer_that_sealed_less_takes_no_decision_away(room: Room, short_parts: int) -> None:
    """A leader that was overtaken seals the part as it knew it and is then refused; what came after stays in the journal."""
    leader = store(room)
    leader.save(FIRST, room.resource, 1, entry(1, "x" * 200))
    late = store(room, room.another_api())
    late.load()
    leader.save(FIRST, room.resource, 2, entry(2, "x" * 200))
    with pytest.raises(Conflict):
        late.save(FIRST, room.resource, 1, entry(2, "x" * 4000))
    assert len(sealed_parts(room.api, room.namespace, MODEL)) == 1
    for number in range(3, 9):
        leader.save(FIRST, room.resource, 2, entry(number, "x" * 600))
    assert numbers(room) == list(range(1, 9))


def test_old_parts_go_and_the_newest_stay(room: Room, short_parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that lives for years keeps so many parts and no more; what is kept has no gap and ends with the last decision."""
    monkeypatch.setattr(state, "KEPT_PARTS", 3)
    writer = store(room)
    for number in range(1, 41):
        writer.save(FIRST, room.resource, 1, entry(number, "x" * 1000))
    assert len(sealed_parts(room.api, room.namespace, MODEL)) <= 3
    kept = numbers(room)
    assert kept == list(range(kept[0], 41))
    assert kept[0] > 1


def test_a_state_that_is_none_is_refused_and_the_hint_mends_it(room: Room) -> None:
    """Somebody has edited it: the error names the object, and the command in its hint is all that it takes."""
    writer = store(room)
    writer.save(FIRST, room.resource, 1, entry(1))
    room.api.merge(CONFIG_MAPS, state_object(MODEL), {"data": {"state.json": "{ not json"}})
    with pytest.raises(IntegrityError) as refused:
        store(room).load()
    assert refused.value.at == "configmap/fraud-state"
    assert "`kubectl delete configmap fraud-state`" in str(refused.value.hint)
    room.api.delete(CONFIG_MAPS, state_object(MODEL))
    assert store(room).load() is None


@pytest.mark.parametrize(
    "broken", [{"journal.jsonl": "{ not json\n"}, {"state.json": None}, {"journal.jsonl": '{"numer": 3}\n'}]
)
def test_a_state_with_any_part_broken_is_refused_the_same_way(room: Room, broken: dict[str, str | None]) -> None:
    """The journal's newest part is no other case: one error, one hint."""
    store(room).save(FIRST, room.resource, 1, entry(1))
    room.api.merge(CONFIG_MAPS, state_object(MODEL), {"data": broken})
    with pytest.raises(IntegrityError):
        store(room).load()


def test_a_state_that_was_removed_is_missed_at_the_next_write(room: Room) -> None:
    """Whoever has loaded it is told to load again, rather than failing for ever."""
    writer = store(room)
    writer.save(FIRST, room.resource, 1, entry(1))
    room.api.delete(CONFIG_MAPS, state_object(MODEL))
    with pytest.raises(Conflict):
        writer.save(FIRST, room.resource, 1, entry(2))
    assert writer.load() is None


def test_the_journal_goes_on_after_its_sealed_parts_when_the_state_was_removed(room: Room, short_parts: int) -> None:
    """Numbers of what is kept are never given out again."""
    writer = store(room)
    for number in range(1, 13):
        writer.save(FIRST, room.resource, 1, entry(number, "x" * 1000))
    last = max(each["data"]["journal.jsonl"].count("\n") for each in sealed_parts(room.api, room.namespace, MODEL))
    assert last
    room.api.delete(CONFIG_MAPS, state_object(MODEL))
    sealed = numbers(room)
    successor = store(room)
    assert successor.load() is None
    assert successor.next_number == sealed[-1] + 1


def test_the_state_goes_with_its_model(room: Room) -> None:
    """It is owned by the resource, so that nothing is left when the model is deleted, also while no controller runs."""
    store(room).save(FIRST, room.resource, 1)
    stored = room.api.get(CONFIG_MAPS, state_object(MODEL))
    assert stored
    (owner,) = stored["metadata"]["ownerReferences"]
    assert owner["uid"] == room.resource["metadata"]["uid"]


def test_a_server_out_of_reach_is_no_conflict(room: Room) -> None:
    """Who cannot write is told that, so that nobody takes it for a decision of somebody else."""
    unreachable = room.another_api()
    unreachable._client.configuration.host = "https://127.0.0.1:1"
    with pytest.raises(CanarioError) as lost:
        store(room, unreachable).load()
    assert not isinstance(lost.value, Conflict)
