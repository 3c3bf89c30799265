"""The store of late truths: an acknowledged truth is there, once, whatever happens next."""

from __future__ import annotations

import contextlib
import math
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from canario.adapters import database
from canario.errors import InputError, IntegrityError, Unavailable
from canario.feedback.store import Arrived, FeedbackStore
from canario.model.feedback import Feedback, Received


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    """An empty store."""
    store = FeedbackStore(tmp_path / "feedback" / "fraud.sqlite")
    yield store
    store.close()


def said(truth: str | float, prediction: str = "v1.r.0", at_seconds: float = 1.0) -> Feedback:
    """A truth."""
    return Feedback(prediction=prediction, truth=truth, at_seconds=at_seconds)


def firsts(store: FeedbackStore, most: int = 10**6) -> list[Arrived]:
    """The first truth of each prediction, in the order of arrival."""
    return [arrived for arrived in store.arrived(after=0, most=most) if arrived.revision == 0]


def test_a_truth_is_new_once(store: FeedbackStore) -> None:
    """A client that is not sure whether its label arrived may send it again, and it counts once."""
    assert store.add(said("fraud")) is Received.NEW
    assert store.add(said("fraud", at_seconds=2.0)) is Received.REPEATED
    assert len(firsts(store)) == 1


def test_the_last_truth_holds_and_the_first_is_remembered(store: FeedbackStore) -> None:
    """A truth can be corrected, back again as well; the first one stays known as the first."""
    assert store.truth_of("v1.r.0") is None
    answers = [store.add(said(truth)) for truth in ("fraud", "clean", "clean", "fraud")]
    assert answers == [Received.NEW, Received.CHANGED, Received.REPEATED, Received.CHANGED]
    assert store.truth_of("v1.r.0") == "fraud"
    assert [first.truth for first in firsts(store)] == ["fraud"]


def test_numbers_and_words_stay_what_they_are(store: FeedbackStore) -> None:
    """The word 1 and the number 1 are different truths; a whole number is the same as its float."""
    assert store.add(said("1")) is Received.NEW
    assert store.add(said(1.0)) is Received.CHANGED
    assert store.add(said(1)) is Received.REPEATED
    assert store.truth_of("v1.r.0") == 1.0
    assert store.add(said("1")) is Received.CHANGED
    assert store.truth_of("v1.r.0") == "1"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_truth_that_is_no_number_is_refused(store: FeedbackStore, number: float) -> None:
    """What can't be compared can't be true; the caller learns which field."""
    with pytest.raises(InputError) as refused:
        store.add(said(number))
    assert refused.value.at == "truth"
    assert store.truth_of("v1.r.0") is None


def test_a_reader_goes_on_where_it_stopped(store: FeedbackStore) -> None:
    """In pieces or at once, each truth comes exactly once, in the order of arrival."""
    for number in range(25):
        store.add(said("a", prediction=f"p{number % 20}"))
        store.add(said("b", prediction=f"p{number % 20}"))
    pieces, after = [], 0
    while piece := store.arrived(after=after, most=3):
        pieces += piece
        after = piece[-1].number
    assert [first.prediction for first in pieces if first.revision == 0] == [f"p{number}" for number in range(20)]
    assert pieces == store.arrived(after=0, most=100)


def test_a_truth_is_there_for_other_processes(store: FeedbackStore, tmp_path: Path) -> None:
    """What one server was told, another store on the same file knows."""
    store.add(said("fraud"))
    other = FeedbackStore(tmp_path / "feedback" / "fraud.sqlite")
    assert other.truth_of("v1.r.0") == "fraud"
    other.close()


def test_a_removed_file_is_made_again(store: FeedbackStore, tmp_path: Path) -> None:
    """A truth is never written to a file that nobody can find any more."""
    store.add(said("fraud"))
    for path in (tmp_path / "feedback").iterdir():
        path.unlink()
    assert store.add(said("clean")) is Received.NEW
    with contextlib.closing(sqlite3.connect(tmp_path / "feedback" / "fraud.sqlite")) as connection:
        assert connection.execute("SELECT truth FROM truths").fetchall() == [("clean",)]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The error names the file and what to do; afterwards the store works as soon as the folder does."""
    (tmp_path / "place").write_text("a file where a folder belongs")
    store = FeedbackStore(tmp_path / "place" / "fraud.sqlite")
    with pytest.raises(Unavailable) as refused:
        store.add(said("fraud"))
    assert str(tmp_path / "place" / "fraud.sqlite") == refused.value.at
    assert "write" in refused.value.hint
    (tmp_path / "place").unlink()
    assert store.add(said("fraud")) is Received.NEW
    store.close()


def test_a_full_disk_says_so_and_keeps_what_was_there(store: FeedbackStore) -> None:
    """No truth is acknowledged that isn't kept, and nothing kept is lost."""
    store.add(said("fraud"))
    connection = store._database._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    kept = []

    def fill() -> None:
        for number in range(1000):
            store.add(said("x" * 1000, prediction=f"p{number}"))
            kept.append(number)

    with pytest.raises(Unavailable) as refused:
        fill()
    assert "space" in refused.value.hint
    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.truth_of("v1.r.0") == "fraud"
    assert len(firsts(store)) == 1 + len(kept)
    assert store.add(said("fraud", prediction="later")) is Received.NEW


def test_a_store_that_others_keep_busy_says_so(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer waits for another, but not for ever; then it may try again."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    store.add(said("fraud"))
    store.close()
    other = sqlite3.connect(store._database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as refused:
        store.add(said("clean"))
    assert "try again" in refused.value.hint
    other.execute("COMMIT")
    other.close()
    assert store.add(said("clean")) is Received.CHANGED


def test_a_file_that_is_no_database_is_not_written_over(tmp_path: Path) -> None:
    """What somebody put there stays as it is, and the error says so."""
    path = tmp_path / "fraud.sqlite"
    path.write_text("this is not a database, though it is long enough to be mistaken for one" * 20)
    before = path.read_bytes()
    with pytest.raises(IntegrityError) as refused:
        FeedbackStore(path).add(said("fraud"))
    assert str(path) == refused.value.at
    assert path.read_bytes() == before


def test_threads_take_turns(store: FeedbackStore) -> None:
    """Truths of many threads are all kept, each once."""

    def send(thread: int) -> None:
        for number in range(25):
            store.add(said("fraud", prediction=f"{thread}.{number}"))

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({first.prediction for first in firsts(store)}) == 100


ADD_FOR_EVER = """
import sys
from pathlib import Path
from canario.feedback.store import FeedbackStore
from canario.model.feedback import Feedback

store = FeedbackStore(Path(sys.argv[1]))
for number in range(10**9):
    prediction = f"{sys.argv[2]}.{number}"
    store.add(Feedback(prediction=prediction, truth="fraud", at_seconds=1.0))
    sys.stdout.write(prediction + "\\n")
    sys.stdout.flush()
"""


def test_killed_processes_lose_no_acknowledged_truth(tmp_path: Path) -> None:
    """Kill -9 of one of three writers at random moments: every acknowledged truth is there exactly once, the others go on."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - to run it again
    randomness = random.Random(seed)
    path = tmp_path / "fraud.sqlite"
    acknowledged: list[str] = []
    for round_ in range(3):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", ADD_FOR_EVER, str(path), f"{round_}-{writer}"], stdout=subprocess.PIPE
            )
            for writer in range(3)
        ]
        for writer in writers:
            assert writer.stdout is not None
            acknowledged.append(writer.stdout.readline().decode().strip())
        for writer in writers:
            time.sleep(randomness.uniform(0, 0.2))
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            assert writer.stdout is not None
            acknowledged += writer.stdout.read().decode().split("\n")[:-1]
            writer.stdout.close()
            writer.wait()
    store = FeedbackStore(path)
    kept = [first.prediction for first in firsts(store)]
    store.close()
    assert len(kept) == len(set(kept))
    assert set(kept) >= set(acknowledged)
    assert len(acknowledged) > 50
