"""The embedded broker's tables under any order of acts: beside them a model of a few lists, which must agree after each one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from canario.errors import NotFound, Overloaded, Unavailable
from canario.model.stream import Message
from canario.stream.presence import Presence, is_present, sweep
from canario.stream.sqlite_queues import Put, Queues, Receipt, Room

NAMES = ("urgent", "bulk")
MOST_WAITING = 8


class QueuesBesideLists(RuleBasedStateMachine):
    """Senders, receivers that come, acknowledge, leave and die, at random."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.queues = Queues(Path(self.folder.name) / "queues.sqlite", outlives_power=False)
        self.queues.declare(NAMES)
        self.sent = 0
        self.waiting: dict[str, list[tuple[int, bool]]] = {name: [] for name in NAMES}
        """Message and whether somebody had it, in order."""
        self.receivers: dict[int, Presence] = {}
        self.held: dict[int, list[tuple[str, int, bool]]] = {}
        """By receiver: queue, message, whether somebody had it before."""
        self.numbers: dict[int, int] = {}
        """By message: its number in the file."""

    @rule(queue=st.sampled_from((*NAMES, "unknown")), size=st.integers(1, 4))
    def send(self, queue: str, size: int) -> None:
        numbers = list(range(self.sent, self.sent + size))
        self.sent += size
        put = Put(queue, [Message(id=str(each), body=b"{}") for each in numbers])
        [outcome] = self.queues.put([put], MOST_WAITING)
        if queue not in NAMES:
            assert isinstance(outcome, NotFound)
        elif len(self.waiting[queue]) + size > MOST_WAITING:
            assert isinstance(outcome, Overloaded)
        else:
            assert outcome is None
            self.waiting[queue] += [(each, False) for each in numbers]

    @rule()
    def enter(self) -> None:
        presence, number = self.queues.enter(NAMES)
        self.receivers[number], self.held[number] = presence, []

    @precondition(lambda self: self.receivers)
    @rule(data=st.data(), queue=st.sampled_from(NAMES), most=st.integers(0, 5))
    def turn(self, data: st.DataObject, queue: str, most: int) -> None:
        receiver = data.draw(st.sampled_from(sorted(self.receivers)))
        done = data.draw(st.lists(st.sampled_from(self.held[receiver]), unique=True)) if self.held[receiver] else []
        lent = self.queues.turn(
            receiver,
            self.receivers[receiver].token,
            [self.numbers[message] for _, message, _ in done],
            {queue: Room(most)},
        )
        expected, self.waiting[queue] = self.waiting[queue][:most], self.waiting[queue][most:]
        assert [(int(each.message.id), each.is_redelivered) for each in lent] == expected
        for each in lent:
            assert isinstance(each.receipt, Receipt)
            assert each.receipt.receiver == receiver
            self.numbers[int(each.message.id)] = each.receipt.message
        self.held[receiver] = [each for each in self.held[receiver] if each not in done]
        self.held[receiver] += [(queue, message, had) for message, had in expected]

    @precondition(lambda self: self.receivers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        receiver = data.draw(st.sampled_from(sorted(self.receivers)))
        held = self.held.pop(receiver)
        unseen = data.draw(st.sets(st.sampled_from(held))) if held else set()
        self.queues.leave(
            receiver,
            {
                name: [self.numbers[message] for queue, message, had in unseen if queue == name and not had]
                for name in NAMES
            },
        )
        self.receivers.pop(receiver).end()
        self.return_to_lists(
            [(queue, message, had or (queue, message, had) not in unseen) for queue, message, had in held]
        )

    @precondition(lambda self: self.receivers)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        receiver = data.draw(st.sampled_from(sorted(self.receivers)))
        presence = self.receivers.pop(receiver)
        presence.end()
        self.queues.give_back_of_the_gone()
        self.return_to_lists([(queue, message, True) for queue, message, _ in self.held.pop(receiver)])
        with pytest.raises(Unavailable):
            self.queues.turn(receiver, presence.token, [], {"urgent": Room(1)})

    def return_to_lists(self, messages: list[tuple[str, int, bool]]) -> None:
        for queue, message, had in messages:
            self.waiting[queue].append((message, had))
        for waiting in self.waiting.values():
            waiting.sort()

    @invariant()
    def counts_agree(self) -> None:
        assert self.queues.waiting(NAMES) == {name: len(waiting) for name, waiting in self.waiting.items()}
        for name, waiting in self.waiting.items():
            assert self.queues.has_waiting([name]) == bool(waiting)

    def teardown(self) -> None:
        self.queues.close()
        for presence in self.receivers.values():
            presence.end()
        self.folder.cleanup()


TestQueues = QueuesBesideLists.TestCase
"""Whatever is sent, lent, acknowledged and given back in whatever order: order, counts and marks are right after each act."""
TestQueues.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_presence_ends_for_good(tmp_path: Path) -> None:
    """Somebody is present until the end, and never again afterwards; ending twice harms nothing."""
    presence = Presence(tmp_path)
    assert is_present(tmp_path, presence.token)
    presence.end()
    assert not is_present(tmp_path, presence.token)
    presence.end()
    assert list(tmp_path.iterdir()) == []


def test_sweeping_touches_nobody_who_is_there(tmp_path: Path) -> None:
    """What unknown presences left behind is removed; those that are known, or that are there, stay."""
    there, known = Presence(tmp_path), "0" * 32
    (tmp_path / known).touch()
    (tmp_path / ("1" * 32)).touch()
    sweep(tmp_path, {known})
    assert {path.name for path in tmp_path.iterdir()} == {there.token, known}
    assert is_present(tmp_path, there.token)
    there.end()
