"""What Alertmanager's webhook asks for: firing alerts with answer=retrain, each model once, whatever else is in the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canario.errors import InputError
from canario.model.retraining import Trigger
from canario.retraining.alerts import calls_of


def alert(status: str = "firing", summary: str = "", **labels: str) -> dict[str, Any]:
    """One alert as Alertmanager sends it."""
    return {
        "status": status,
        "labels": {"alertname": "CanarioDegradation", **labels},
        "annotations": {"summary": summary} if summary else {},
        "startsAt": "2026-07-20T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "c0ffee",
    }


def body(*alerts: dict[str, Any]) -> bytes:
    """A whole webhook."""
    return json.dumps({"version": "4", "status": "firing", "receiver": "retraining", "alerts": alerts}).encode()


def test_firing_alerts_that_want_it_are_taken() -> None:
    """A firing alert with answer=retrain is a call, with the alert's own words as the reason."""
    (call,) = calls_of(body(alert(model="fraud", answer="retrain", summary="recall fell to 55 %")))
    assert (call.model, call.trigger) == ("fraud", Trigger.ALERT)
    assert call.reason == "CanarioDegradation: recall fell to 55 %"


def test_words_that_no_command_line_takes_are_no_harm() -> None:
    """Control characters and halves of characters in an alert's words do not reach the retraining's reason."""
    (call,) = calls_of(body(alert(model="fraud", answer="retrain", summary="a\x00b\ud800c\nd\x1b[1m")))
    assert call.reason == "CanarioDegradation: a b c d [1m"


def test_other_alerts_are_left_alone() -> None:
    """Resolved alerts and alerts that ask for nothing are no calls."""
    others = (
        alert(status="resolved", model="fraud", answer="retrain"),
        alert(model="fraud"),
        alert(model="fraud", answer="page-somebody"),
        alert(answer="retrain", model=""),
    )
    assert calls_of(body(*others)) == []


def test_two_alerts_about_a_model_are_one_call() -> None:
    """Alerts for two measures of one model ask for one retraining; two models for two."""
    asked = calls_of(
        body(*(alert(model=model, answer="retrain", measure=each) for model in ("a", "b") for each in ("x", "y")))
    )
    assert [call.model for call in asked] == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"alerts": 3}',
        b'{"alerts": [3]}',
        b'{"alerts": [{"status": "firing"}]}',
        b"null",
        b"[" * 200_000,
    ],
)
def test_anything_else_is_refused_in_words(content: bytes) -> None:
    """A body that is no webhook is the sender's mistake, and said to be."""
    with pytest.raises(InputError, match="no webhook"):
        calls_of(content)
