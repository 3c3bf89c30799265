"""What who follows a rollout is told while nobody decides on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from canario.cli import following
from canario.cli.following import until_it_ends
from canario.errors import Unavailable
from canario.model.address import Address, PlatformKind
from canario.model.deployment import PastRollout, Status
from canario.model.journal import JournalEntry
from canario.model.rollout import Phase
from tests.cli.test_views import PAST, STATE, STATUS

ALONE = replace(STATUS, is_supervised=False)
ENDED = replace(PAST, rollout=STATE.rollout, phase=Phase.PROMOTED)


class Seen:
    """A platform that stands as it is told to, one look after the other; the last stays."""

    model = "fraud"

    def __init__(self, statuses: Sequence[Status], address: Address) -> None:
        self.address = address
        self._statuses = list(statuses)

    def status(self) -> Status:
        return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    def journal(self) -> Iterator[JournalEntry]:
        return iter(())


Follow = Callable[..., PastRollout]


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Follows the rollout on a clock on which ten seconds pass between two looks."""
    now = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

        @staticmethod
        def sleep(_: float) -> None:
            now[0] += 10.0
            assert now[0] < 1000.0, "followed for ever"

    monkeypatch.setattr(following, "time", Clock)

    def follow(*statuses: Status, on: PlatformKind = PlatformKind.LOCAL) -> PastRollout:
        return until_it_ends(Seen(statuses, Address(on=on)), STATE.rollout, "json")

    return follow


@pytest.mark.parametrize(
    ("on", "who", "line"),
    [
        (PlatformKind.LOCAL, "the supervisor of fraud", "`canario up fraud`"),
        (PlatformKind.KUBERNETES, "the controller", "`kubectl get lease canario -n canario`"),
    ],
)
def test_following_ends_when_nobody_decides(
    follow: Follow, capsys: pytest.CaptureFixture[str], on: PlatformKind, who: str, line: str
) -> None:
    """`watch` and `--wait` say at once, and once, that nothing is decided, and give up after a minute with what to do."""
    with pytest.raises(Unavailable, match=who) as told:
        follow(replace(ALONE, lease="canario/canario"), on=on)
    assert line in told.value.hint
    (words,) = capsys.readouterr().err.splitlines()
    assert who in words
    assert line in words


def test_following_goes_on_with_another_supervisor(follow: Follow, capsys: pytest.CaptureFixture[str]) -> None:
    """A supervisor that comes back in time costs a line, and the next absence is counted from its own beginning."""
    end = replace(STATUS, rollout=None, past=(ENDED,))
    assert follow(*[ALONE] * 5, STATUS, *[ALONE] * 5, end) == ENDED
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_an_end_needs_no_supervisor(follow: Follow, capsys: pytest.CaptureFixture[str]) -> None:
    """A rollout that has ended is told as ever, though nobody supervises any more."""
    assert follow(replace(ALONE, rollout=None, past=(ENDED,))) == ENDED
    assert capsys.readouterr().err == ""
