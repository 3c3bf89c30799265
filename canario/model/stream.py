"""Messages that wait for answers, and the queues of a model; who keeps them is for a broker, who answers them for a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Priority(StrEnum):
    """How soon a message is answered, the soonest first."""

    URGENT = "urgent"
    """Somebody waits for it."""
    NORMAL = "normal"
    BULK = "bulk"
    """Whenever there is time; never starved all the same."""


WAIT_BOUNDS_SECONDS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
    3600.0,
    14400.0,
)
"""How long messages wait is counted between these; a promise about waits is one of them."""
ANSWERS = "answers"
"""Where answers go when a message names no queue for its own."""
DEAD = "dead"
"""Where messages go that can't be answered, with the reason."""


def queue_name(model: str, which: str) -> str:
    """The name of a model's queue: of a Priority, of ANSWERS or of DEAD. Any client of the broker may use it."""
    return f"canario.{model}.{which}"


def queue_names(model: str) -> tuple[str, ...]:
    """All queues of a model."""
    return tuple(queue_name(model, which) for which in (*Priority, ANSWERS, DEAD))


class ContentType(StrEnum):
    """What a message's body is."""

    JSON = "application/json"
    """As `POST /predict` takes it: one row, or `{"rows": [...]}`."""
    ARROW = "application/vnd.apache.arrow.stream"
    """An Arrow IPC stream with the card's columns, for many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One question, one answer or one dead question. The same id twice is the same message."""

    id: str
    """1 to 64 letters, digits, dots, hyphens and underscores; an answer has its question's."""
    body: bytes
    content_type: str = ContentType.JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    """Words beside the body; those that begin with `x-` go to the router as headers of the request."""
    sent_at_seconds: float = 0.0
    """When it was sent, in seconds since 1970 (UTC); 0 when the sender did not say."""
    reply_to: str = ""
    """The queue for its answer; empty: the model's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message in the hands of one receiver, until it is acknowledged or the receiver goes."""

    message: Message
    queue: str
    is_redelivered: bool
    """Whether somebody had it before and went without acknowledging it."""
    receipt: object
    """The broker's own word for this delivery."""
