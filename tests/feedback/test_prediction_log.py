"""The log of predictions: nothing answered is lost, nothing torn is read, old files go."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from canario.errors import Unavailable
from canario.feedback import log as log_room
from canario.feedback.log import PredictionLog, clear_old_files
from canario.feedback.reading import Answered, log_files, read_answers
from canario.model.feedback import Prediction

EVERYTHING = 1 << 30
MakePrediction = Callable[..., Prediction]


def read_all(folder: Path) -> list[Answered]:
    """Every answer in a folder."""
    return [
        answer for name, _ in sorted(log_files(folder)) for answer in read_answers(folder / name, 0, EVERYTHING).answers
    ]


def only_file(folder: Path) -> Path:
    """The folder's one log."""
    (name,) = [name for name, _ in log_files(folder)]
    return folder / name


def test_a_line_holds_the_whole_prediction(tmp_path: Path, predicted: MakePrediction) -> None:
    """Whoever reads a line has all of it: the row, the answer, the version and when."""
    prediction = predicted("fraud", score=0.75, amount=12.5, country="PT", distance=None)
    log = PredictionLog(tmp_path)
    log.append([prediction])
    log.close()
    assert msgspec.json.decode(only_file(tmp_path).read_bytes(), type=Prediction) == prediction


def test_a_line_is_in_the_file_before_the_answer_is_sent(tmp_path: Path, predicted: MakePrediction) -> None:
    """An append that has returned can be read by others, with nothing left in the process."""
    log = PredictionLog(tmp_path)
    for count in range(1, 4):
        log.append([predicted(row=row) for row in range(2)])
        assert len(read_all(tmp_path)) == 2 * count
    log.close()


def test_a_file_says_whose_it_is(tmp_path: Path, predicted: MakePrediction) -> None:
    """A person who looks into the folder sees version, process and start in the name."""
    log = PredictionLog(tmp_path)
    log.append([predicted(version="v7")])
    log.close()
    version, process, microseconds = only_file(tmp_path).stem.split("-")
    assert (version, int(process)) == ("v7", os.getpid())
    assert abs(int(microseconds) / 1e6 - time.time()) < 60


def test_a_request_without_rows_leaves_no_file(tmp_path: Path) -> None:
    """Nothing answered, nothing written."""
    PredictionLog(tmp_path / "none").append([])
    assert list(log_files(tmp_path / "none")) == []


def test_a_full_file_is_followed_by_another(
    tmp_path: Path, predicted: MakePrediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file grows for ever, and every row is in exactly one."""
    monkeypatch.setattr(log_room, "LONGEST_FILE_BYTES", 1000)
    log = PredictionLog(tmp_path)
    written = [predicted() for _ in range(50)]
    for prediction in written:
        log.append([prediction])
    log.close()
    assert len(list(log_files(tmp_path))) > 5
    assert sorted(answer.prediction for answer in read_all(tmp_path)) == sorted(p.prediction for p in written)


def test_a_removed_file_is_replaced(tmp_path: Path, predicted: MakePrediction) -> None:
    """A server whose log somebody removed goes on logging where it can be found."""
    log = PredictionLog(tmp_path)
    log.append([predicted()])
    only_file(tmp_path).unlink()
    log.append([predicted(request="later")])
    log.close()
    assert [answer.request for answer in read_all(tmp_path)] == ["later"]


def test_the_oldest_files_go_when_all_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder stays below its size; the newest are kept."""
    monkeypatch.setattr(log_room, "LONGEST_FOLDER_BYTES", 250)
    for age in range(5):
        path = tmp_path / f"v1-{age}-0.jsonl"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    clear_old_files(tmp_path, now_seconds=1000)
    assert sorted(name for name, _ in log_files(tmp_path)) == ["v1-0-0.jsonl", "v1-1-0.jsonl"]


def test_files_go_when_they_are_too_old(tmp_path: Path) -> None:
    """Rows about people are not kept for ever."""
    for name, written_at in (("old", 1000.0), ("new", 2000.0)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"")
        os.utime(tmp_path / f"{name}.jsonl", (written_at, written_at))
    clear_old_files(tmp_path, now_seconds=1001 + log_room.LONGEST_AGE_SECONDS)
    assert [name for name, _ in log_files(tmp_path)] == ["new.jsonl"]


def test_a_file_in_use_never_goes(tmp_path: Path, predicted: MakePrediction) -> None:
    """A quiet server's log is old, yet still its log."""
    log = PredictionLog(tmp_path)
    log.append([predicted()])
    ages_later = time.time() + 10 * log_room.LONGEST_AGE_SECONDS
    clear_old_files(tmp_path, now_seconds=ages_later)
    assert only_file(tmp_path).exists()
    log.close()
    clear_old_files(tmp_path, now_seconds=ages_later)
    assert list(log_files(tmp_path)) == []


def test_a_torn_last_line_waits_until_it_is_whole(tmp_path: Path, predicted: MakePrediction) -> None:
    """A reader never sees half a line, and sees it once it is whole."""
    first, second = (msgspec.json.encode(predicted()) + b"\n" for _ in range(2))
    path = tmp_path / "v1-1-1.jsonl"
    path.write_bytes(first + second[:20])
    reading = read_answers(path, 0, EVERYTHING)
    assert (len(reading.answers), reading.offset) == (1, len(first))
    path.write_bytes(first + second)
    assert len(read_answers(path, reading.offset, EVERYTHING).answers) == 1


def test_a_broken_line_spoils_no_other(tmp_path: Path, predicted: MakePrediction) -> None:
    """What a failed write left is counted and passed over, whatever bytes it has."""
    line = msgspec.json.encode(predicted()) + b"\n"
    path = tmp_path / "v1-1-1.jsonl"
    path.write_bytes(line + line[:30] + b"\n\xff\xfe\x00\n\n" + line)
    reading = read_answers(path, 0, EVERYTHING)
    assert (len(reading.answers), reading.broken, reading.offset) == (2, 3, path.stat().st_size)


@pytest.mark.parametrize("longest_bytes", [1, 100, 1000])
def test_reading_in_pieces_gives_the_same(tmp_path: Path, predicted: MakePrediction, longest_bytes: int) -> None:
    """However little is read at a time, each line comes once, and a line longer than that can't stop the reading."""
    log = PredictionLog(tmp_path)
    log.append([predicted(note="x" * 200 * row) for row in range(10)])
    log.close()
    path, offset, answers = only_file(tmp_path), 0, []
    while offset < path.stat().st_size:
        reading = read_answers(path, offset, longest_bytes)
        answers += reading.answers
        offset = reading.offset
    assert answers == read_all(tmp_path)


def test_a_vanished_file_has_no_more_lines(tmp_path: Path) -> None:
    """A log that is cleared away while it is read is no error."""
    assert read_answers(tmp_path / "gone.jsonl", 7, EVERYTHING) == ([], 7, 0)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path, predicted: MakePrediction) -> None:
    """The error names the folder and what to do, and the log works again as soon as the folder does."""
    folder = tmp_path / "place"
    folder.write_text("a file where a folder belongs")
    log = PredictionLog(folder)
    with pytest.raises(Unavailable) as refused:
        log.append([predicted()])
    assert str(folder) in refused.value.at
    assert "write" in refused.value.hint
    folder.unlink()
    log.append([predicted()])
    log.close()
    assert len(read_all(folder)) == 1


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from canario.errors import Unavailable
from canario.feedback.log import PredictionLog
from canario.model.feedback import Prediction

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def row(number):
    return Prediction(prediction=f"v1.{number}.0", request=str(number), row=0, model="m", version="v1", at_seconds=1.0,
                      label="a", score=0.5, shadow=False, values={})
log = PredictionLog(Path(sys.argv[1]))
log.append([row(0)])
resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
try:
    log.append([row(number) for number in range(1, 5)])
except Unavailable as full:
    print(full.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append([row(5)])
"""


def test_a_disk_that_was_full_for_a_while_costs_only_those_rows(tmp_path: Path) -> None:
    """A write cut short in the middle of a line spoils neither what came before nor what comes after."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "cannot be logged" in done.stdout
    requests = [answer.request for answer in read_all(tmp_path)]
    assert requests[0] == "0"
    assert requests[-1] == "5"


APPEND_FOR_EVER = """
import sys
from pathlib import Path
from canario.feedback import log as log_room
from canario.feedback.log import PredictionLog
from canario.model.feedback import Prediction

log_room.LONGEST_FILE_BYTES = 20_000
log = PredictionLog(Path(sys.argv[1]))
for number in range(10**9):
    rows = [Prediction(prediction=f"v1.{number}.{row}", request=str(number), row=row, model="m", version="v1", at_seconds=1.0,
                       label="a", score=0.5, shadow=False, values={"text": "x" * (number % 300)}) for row in range(3)]
    log.append(rows)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_a_killed_process_loses_nothing_that_it_answered(tmp_path: Path) -> None:
    """Kill -9 at random moments: every row of every request that was acknowledged is in the log."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - to run it again
    randomness = random.Random(seed)
    for round_ in range(4):
        folder = tmp_path / str(round_)
        with subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, str(folder)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(randomness.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
            # The last line may be torn: the kill came between two of its bytes.
            acknowledged = [int(number) for number in (first + process.stdout.read()).split(b"\n")[:-1]]
        logged = {answer.prediction for answer in read_all(folder)}
        assert logged >= {f"v1.{number}.{row}" for number in acknowledged for row in range(3)}
        assert len(acknowledged) > 0
