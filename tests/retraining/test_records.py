"""The record of retrainings outlives kills, and one process at a time retrains a model."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from canario.adapters.homes import retraining_folder
from canario.errors import Conflict, IntegrityError
from canario.model.retraining import Outcome, Retraining, Trigger
from canario.retraining.records import FileRetrainings, models_retrained
from canario.retraining.telling import last_by_outcome
from canario.retraining.wishes import open_wishes

BEGUN = Retraining(number=1, model="fraud", trigger=Trigger.HAND, asked_for="a test", began_at_seconds=5.0)
HOLD = """
import sys, time
from canario.retraining.records import FileRetrainings
with FileRetrainings("fraud").alone():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    return tmp_path


def test_what_is_kept_is_read_again() -> None:
    """A retraining is kept when it begins and again, under the same number, when it ends."""
    record = FileRetrainings("fraud")
    record.keep(BEGUN)
    assert record.all() == [BEGUN]
    ended = replace(BEGUN, outcome=Outcome.REJECTED, reason="no better", ended_at_seconds=9.0)
    record.keep(ended)
    record.keep(replace(ended, number=2, ended_at_seconds=12.0))
    assert [each.number for each in FileRetrainings("fraud").all()] == [1, 2]
    assert last_by_outcome(record.all()) == {"rejected": 12.0}
    assert models_retrained() == ["fraud"]


def test_a_broken_record_is_named() -> None:
    """A record that somebody has edited badly is an error that names the file."""
    retraining_folder().mkdir()
    (retraining_folder() / "fraud.jsonl").write_bytes(b"{}\n")
    with pytest.raises(IntegrityError, match=r"fraud\.jsonl"):
        FileRetrainings("fraud").all()


@pytest.mark.real
def test_one_process_at_a_time_even_after_a_kill() -> None:
    """While one process retrains no other may, and the moment it is killed with -9 the next one can."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        record = FileRetrainings("fraud")
        assert record.is_under_way()
        with pytest.raises(Conflict, match=f"process {holder.pid}"), record.alone():
            pass
        with FileRetrainings("loan").alone():
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert not record.is_under_way()
    with record.alone():
        assert record.is_under_way()


def test_wishes_are_open_until_they_are_answered() -> None:
    """What rollouts asked for is read line by line; answered ones and a line that is not yet whole are left out."""
    retraining_folder().mkdir()
    (retraining_folder() / "fraud.asked").write_bytes(
        b'{"rollout":"r1","reason":"labels fail","at_seconds":1.0}\n{"rollout":"r2","reason":"again","at_seconds":2.0}\n{"roll'
    )
    assert [wish.rollout for wish in open_wishes("fraud", [])] == ["r1", "r2"]
    answered = [replace(BEGUN, wish="r1", outcome=Outcome.FAILED), replace(BEGUN, wish="r2", outcome=Outcome.REFUSED)]
    assert [wish.rollout for wish in open_wishes("fraud", answered)] == ["r2"]
    assert open_wishes("loan", []) == []
