"""What the local platform keeps on disk survives kills, tears and crowds."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from canario.errors import Conflict, IntegrityError
from canario.model.evidence import CommandKind
from canario.model.requests import TakeDown, Wish
from canario.platforms.local import journal as journal_module
from canario.platforms.local.journal import FileJournal
from canario.platforms.local.lock import held_lock, holder_pid, is_held
from canario.platforms.local.logs import bound_logs, last_words
from canario.platforms.local.requests import RequestFolder

PAUSE = Wish(kind=CommandKind.PAUSE, whole=False, actor="", reason="")


def numbers(folder: Path) -> list[int]:
    return [entry["number"] for entry in FileJournal(folder).entries()]


def test_the_journal_numbers_its_entries_without_gaps(tmp_path: Path) -> None:
    """Entries are numbered from 1, also across a restart of the writer."""
    for _ in range(3):
        journal = FileJournal(tmp_path)
        journal.append({"word": "a"})
        journal.append({"word": "b"})
    assert numbers(tmp_path) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("torn", [b"{", b'{"number": 3, "word": "half', b'{"number": 3, "word": "no end of line"}'])
def test_a_torn_last_line_is_left_out_and_repaired(tmp_path: Path, torn: bytes) -> None:
    """A writer that was killed in the middle of a line costs that line, and no entry before or after it."""
    FileJournal(tmp_path).append({"word": "one"})
    FileJournal(tmp_path).append({"word": "two"})
    (segment,) = tmp_path.glob("*.jsonl")
    with segment.open("ab") as stream:
        stream.write(torn)
    assert numbers(tmp_path) == [1, 2]
    FileJournal(tmp_path).append({"word": "three"})
    assert [entry["word"] for entry in FileJournal(tmp_path).entries()] == ["one", "two", "three"]
    assert numbers(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("damage", [b"{damaged", b'{"word": "\x00"}', b"", b"[]", b"5"])
def test_damage_in_a_journal_is_told_by_file_and_line(tmp_path: Path, damage: bytes) -> None:
    """An entry that was whole once and is not now is never passed over: what is replayed is all of it, or an error."""
    for word in ("one", "two", "three"):
        FileJournal(tmp_path).append({"word": word})
    (segment,) = tmp_path.glob("*.jsonl")
    lines = segment.read_bytes().splitlines()
    segment.write_bytes(b"\n".join([lines[0], damage, lines[2]]) + b"\n")
    with pytest.raises(IntegrityError) as told:
        numbers(tmp_path)
    assert told.value.at == f"{segment}:2"
    FileJournal(tmp_path).append({"word": "four"})  # it goes on being kept
    assert b'"number":4' in segment.read_bytes().splitlines()[-1]


def test_a_segment_that_was_cut_short_is_told_too(tmp_path: Path) -> None:
    """Only at the very end can a writer have been killed; what is missing before that was lost by somebody else."""
    FileJournal(tmp_path).append({"word": "one"})
    (tmp_path / "0000000002.jsonl").write_bytes(b'{"word": "two", "number": 2}\n')
    with (tmp_path / "0000000001.jsonl").open("r+b") as segment:
        segment.truncate(5)
    with pytest.raises(IntegrityError) as told:
        numbers(tmp_path)
    assert told.value.at == f"{tmp_path / '0000000001.jsonl'}:1"


@pytest.mark.parametrize("damage", [b"{damaged", b"", b"[]", b'{"word": "no number"}'])
def test_a_damaged_end_is_put_aside_and_the_journal_goes_on(tmp_path: Path, damage: bytes) -> None:
    """What was left at the end stops no later decision from being kept; its number is not given out again, so the gap shows."""
    FileJournal(tmp_path).append({"word": "one"})
    (segment,) = tmp_path.glob("*.jsonl")
    with segment.open("ab") as stream:
        stream.write(damage + b"\n" + damage + b"\n{torn")
    FileJournal(tmp_path).append({"word": "four"})
    assert [(entry["number"], entry["word"]) for entry in FileJournal(tmp_path).entries()] == [(1, "one"), (4, "four")]
    assert segment.with_suffix(".damaged").read_bytes() == damage + b"\n" + damage + b"\n"


def test_a_journal_with_nothing_but_damage_goes_on(tmp_path: Path) -> None:
    """Its file's name says which numbers it had."""
    (tmp_path / "0000000007.jsonl").write_bytes(b"{damaged\n")
    FileJournal(tmp_path).append({"word": "eight"})
    assert numbers(tmp_path) == [8]


def test_the_journal_is_bounded_and_forgets_the_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that runs for years does not fill the disk; what is left is the newest, without gaps."""
    monkeypatch.setattr(journal_module, "LARGEST_SEGMENT_BYTES", 200)
    monkeypatch.setattr(journal_module, "KEPT_SEGMENTS", 4)
    journal = FileJournal(tmp_path)
    for _ in range(100):
        journal.append({"word": "x" * 40})
    kept = numbers(tmp_path)
    assert kept[-1] == 100
    assert kept == list(range(kept[0], 101))
    assert kept[0] > 1
    assert len(list(tmp_path.glob("*.jsonl"))) <= 4


def test_a_torn_first_line_of_a_segment_keeps_its_number(tmp_path: Path) -> None:
    """A tear just after the journal went on in a new file leaves no gap either."""
    FileJournal(tmp_path).append({"word": "one"})
    (tmp_path / "0000000002.jsonl").write_bytes(b'{"number"')
    FileJournal(tmp_path).append({"word": "two"})
    assert numbers(tmp_path) == [1, 2]


APPEND_FOR_EVER = """
import random, sys
from pathlib import Path
from canario.platforms.local.journal import FileJournal
journal = FileJournal(Path(sys.argv[1]))
while True:
    journal.append({"word": "x" * random.randrange(2000)})
"""


def test_kills_while_the_journal_is_written_lose_no_whole_entry(tmp_path: Path) -> None:
    """A kill -9 at a random moment leaves a journal that reads, without gaps, and never fewer entries than before."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), 0
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, str(tmp_path)])
        deadline = time.monotonic() + 20
        while len(numbers(tmp_path)) <= seen and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        writer.kill()
        writer.wait()
        found = numbers(tmp_path)
        assert found == list(range(1, len(found) + 1)), f"seed {seed}"
        assert len(found) > seen, f"seed {seed}"
        seen = len(found)


ASK_MANY = """
import sys
from pathlib import Path
from canario.model.evidence import CommandKind
from canario.model.requests import Wish
from canario.platforms.local.requests import RequestFolder
folder = Path(sys.argv[1])
for _ in range(40):
    wish = Wish(kind=CommandKind.PAUSE, whole=False, actor="", reason="")
    RequestFolder(folder).ask(wish, lambda: int((folder / "taken").read_text()))
"""


def test_requests_asked_by_a_crowd_are_taken_exactly_once_each(tmp_path: Path) -> None:
    """However many people ask at once, while the supervisor takes, no request is lost, doubled or renumbered."""
    (tmp_path / "taken").write_text("0")
    crowd = [subprocess.Popen([sys.executable, "-c", ASK_MANY, str(tmp_path)]) for _ in range(3)]
    requests = RequestFolder(tmp_path)
    taken: list[int] = []
    deadline = time.monotonic() + 30
    while len(taken) < 120 and time.monotonic() < deadline:
        for numbered in requests.waiting(after=taken[-1] if taken else 0):
            taken.append(numbered.number)
            staging = tmp_path / "staging"
            staging.write_text(str(numbered.number))
            staging.replace(tmp_path / "taken")
        requests.forget(taken[-1] if taken else 0)
    for person in crowd:
        person.wait()
    assert taken == list(range(1, 121))


def test_a_request_that_cannot_be_read_holds_nobody_up(tmp_path: Path) -> None:
    """A damaged request is put aside, and the ones after it are taken."""
    requests = RequestFolder(tmp_path)
    first = requests.ask(PAUSE, lambda: 0)
    (tmp_path / f"{first:010d}.json").write_text("{")
    second = requests.ask(TakeDown(), lambda: 0)
    assert [(each.number, each.request) for each in requests.waiting(after=0)] == [(second, TakeDown())]


def test_a_second_holder_of_the_lock_is_refused_by_name(tmp_path: Path) -> None:
    """Two supervisors never run on one state; the refusal names the process that has it."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom canario.platforms.local.lock import held_lock\n"
        "with held_lock(Path(sys.argv[1]), 'fraud'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert is_held(tmp_path)
        with pytest.raises(Conflict, match=f"process {holder.pid}"), held_lock(tmp_path, "fraud"):
            pass
        assert holder_pid(tmp_path) == holder.pid
    finally:
        holder.kill()
        holder.communicate()
    assert not is_held(tmp_path)
    with held_lock(tmp_path, "fraud"):
        assert holder_pid(tmp_path) == os.getpid()


def test_logs_are_cut_while_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that grows for months is cut without a word to its writer, which goes on at the end."""
    monkeypatch.setattr("canario.platforms.local.logs.LARGEST_LOG_BYTES", 1000)
    log = tmp_path / "v1-0.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old line\n" * 200)
        bound_logs(tmp_path)
        writer.write(b"new line\n")
    assert log.read_bytes() == b"new line\n"
    assert last_words(log, since_byte=1500) == "new line"
    assert (tmp_path / "v1-0.log.1").stat().st_size == 1800
