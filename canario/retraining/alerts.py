"""What asks for retrainings: Alertmanager's webhook, version 4, of which the firing alerts with the label `answer: retrain` count."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from canario.errors import InputError
from canario.model.retraining import Trigger

ANSWER = "retrain"
"""The value of the label `answer` by which an alert asks for a retraining."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One model that waits for its retraining, and why."""

    model: str
    trigger: Trigger
    reason: str
    wish: str = ""
    namespace: str = ""
    """Kubernetes: where the model is."""


def calls_of(body: bytes) -> list[Call]:
    """The retrainings that a webhook's body (Alertmanager's version 4) asks for. Raises InputError when it is none."""
    try:
        content = json.loads(body)
        alerts = content["alerts"]
        calls = [_call(alert) for alert in alerts if _asks(alert)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as wrong:
        raise InputError(
            f"this is no webhook of Alertmanager: {type(wrong).__name__}: {wrong}"[:300],
            hint="its body has `alerts`, each with `status` and `labels`",
        ) from wrong
    return list({(call.namespace, call.model): call for call in calls}.values())


def _asks(alert: Mapping[str, Any]) -> bool:
    return bool(alert["status"] == "firing" and alert["labels"].get("answer") == ANSWER and alert["labels"]["model"])


def _call(alert: Mapping[str, Any]) -> Call:
    labels, notes = alert["labels"], alert.get("annotations") or {}
    words = str(notes.get("summary") or notes.get("description") or "an alert fired")
    return Call(
        model=str(labels["model"]),
        trigger=Trigger.ALERT,
        reason=_clean(f"{labels.get('alertname', 'alert')}: {words}")[:500],
        namespace=str(labels.get("namespace", "")),
    )


def _clean(words: str) -> str:
    """Words that a command line can hold: a NUL or half a character cannot be told to a process."""
    kept = "".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in words)
    return " ".join(kept.split())
