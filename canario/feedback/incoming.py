"""Late truths as people and programs send them, one or many, checked against the label; keeping them is for the stores."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from canario.errors import InputError
from canario.model.card import Label, Task
from canario.model.feedback import Feedback

ID_PATTERN = r"^[A-Za-z0-9_.-]+\.[A-Za-z0-9_.-]{1,64}\.[0-9]{1,9}$"
LONGEST_ID_CHARACTERS = 200


class SentTruth(msgspec.Struct, forbid_unknown_fields=True):
    """One truth as it is sent."""

    prediction_id: str
    truth: str | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One of many truths that cannot be kept."""

    line: int
    """Its place among those sent, from 1: the line of a file."""
    error: str
    at: str
    hint: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """Many truths, parted into those that fit and those that do not."""

    feedback: list[Feedback] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


_ID = re.compile(ID_PATTERN)
_DECODER = msgspec.json.Decoder(SentTruth)
_MEMBERS = msgspec.json.Decoder(list[msgspec.Raw])
_HINT = 'each is {"prediction_id": "...", "truth": ...}'


def checked(label: Label, sent: SentTruth, now_seconds: float) -> Feedback:
    """The truth of a prediction. Raises InputError, naming the field, when it does not fit."""
    if len(sent.prediction_id) > LONGEST_ID_CHARACTERS or not _ID.fullmatch(sent.prediction_id):
        raise InputError(
            "this is not a prediction's id",
            at="prediction_id",
            hint="send the prediction_id of an answer of POST /predict, such as v2.4f1c.0",
        )
    truth = sent.truth
    if label.task is Task.CLASSIFICATION and (not isinstance(truth, str) or truth not in label.classes):
        raise InputError(
            f"{label.name} has no class {str(truth)[:60]!r}", at="truth", hint=f"one of {', '.join(label.classes)}"
        )
    if label.task is Task.REGRESSION and (isinstance(truth, str) or not math.isfinite(truth)):
        raise InputError(f"{label.name} is a number", at="truth", hint="send a finite number")
    return Feedback(prediction=sent.prediction_id, truth=truth, at_seconds=now_seconds)


def read_list(label: Label, body: bytes, now_seconds: float) -> Incoming:
    """The truths in a JSON list. Raises InputError when it is no list; a member that does not fit is refused alone."""
    try:
        members = _MEMBERS.decode(body)
    except (ValueError, RecursionError) as wrong:
        raise InputError(f"this is no list: {wrong}", hint=_HINT) from wrong
    return sorted_out(label, ((place, bytes(member)) for place, member in enumerate(members, 1)), now_seconds)


def read_lines(label: Label, body: bytes, now_seconds: float) -> Incoming:
    """The truths in lines of JSON; empty lines count as lines, and a line that does not fit is refused alone."""
    lines = ((place, line) for place, line in enumerate(body.split(b"\n"), 1) if line.strip())
    return sorted_out(label, lines, now_seconds)


def sorted_out(
    label: Label, members: Iterable[tuple[int, bytes | SentTruth | InputError]], now_seconds: float
) -> Incoming:
    """Truths by their place, whatever they come as: JSON, read already, or found to be no truth."""
    incoming = Incoming()
    for place, member in members:
        try:
            incoming.feedback.append(checked(label, _read(member), now_seconds))
        except InputError as misfit:
            refusal = Refusal(line=place, error=misfit.message, at=misfit.at, hint=misfit.hint)
            incoming.refusals.append(refusal)
    return incoming


def in_pieces(
    members: Iterable[tuple[int, bytes | SentTruth | InputError]], most: int
) -> Iterator[Sequence[tuple[int, bytes | SentTruth | InputError]]]:
    """The same, at most so many at once."""
    piece: list[tuple[int, bytes | SentTruth | InputError]] = []
    for member in members:
        piece.append(member)
        if len(piece) == most:
            yield piece
            piece = []
    if piece:
        yield piece


def _read(member: bytes | SentTruth | InputError) -> SentTruth:
    if isinstance(member, InputError):
        raise member
    if isinstance(member, SentTruth):
        return member
    try:
        return _DECODER.decode(member)
    except (ValueError, RecursionError) as wrong:
        raise InputError(_words(wrong), hint=_HINT) from wrong


def _words(wrong: Exception) -> str:
    return "it is nested too deeply" if isinstance(wrong, RecursionError) else str(wrong)
