"""Asks a model's router about one message, and says what its answer means: an answer, never, or not now; trying again is for others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

import msgspec

from canario.errors import CanarioError, InputError, KernelError, TooLarge, Unavailable, UnsupportedMedia
from canario.kernel.limits import Limits
from canario.model.stream import ContentType, Message
from canario.stream.foreign import CUT_BYTES, UNREADABLE
from canario.stream.posting import Answer, Poster, TooLate, Unreachable

VERSION = "x-canario-version"
ID_PATTERN = r"[A-Za-z0-9_.-]{1,64}"
LONGEST_RETRY_AFTER_SECONDS = 30.0

_ID = re.compile(ID_PATTERN)
_OTHERS_HEADERS = (
    "x-death",
    "x-first-death",
    "x-last-death",
    "x-delivery-count",
    "x-envoy-",
    "x-forwarded",
    "x-request-id",
)
"""Written by brokers and proxies, and not meant for a model's router."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_ROW = re.compile(r"\brows\[(\d+)\]")
_THREAD_BYTES = 100_000
"""Arrow bodies from here on are unpacked beside the loop."""
_NOT_NOW = (408, 425, 429, 502, 503, 504)


class Kind(Enum):
    """What came of it."""

    ANSWERED = auto()
    REFUSED = auto()
    """It never will be: the message does not fit."""
    FAILED = auto()
    """The model failed; perhaps only this time."""
    AWAY = auto()
    """Router or servers take nothing now."""
    LATE = auto()
    """No answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of asking about one message."""

    kind: Kind
    body: bytes = b""
    version: str = ""
    """Who answered; of an answer of several parts the last one."""
    error: CanarioError | None = None
    """Unless it was answered."""
    retry_after_seconds: float = 0.0


class _Predictions(msgspec.Struct):
    version: str
    predictions: list[_Prediction]


class _Prediction(msgspec.Struct):
    label: str | float
    score: float
    prediction_id: str


class _Error(msgspec.Struct):
    error: str = ""
    at: str = ""
    hint: str = ""


_ANSWER = msgspec.json.Decoder(_Predictions)
_ERROR = msgspec.json.Decoder(_Error)


class Router:
    """The router of one model. Made by `router`."""

    def __init__(self, poster: Poster, limits: Limits) -> None:
        self._poster = poster
        self._limits = limits

    async def ask(self, message: Message) -> Outcome:
        """Ask once. Whatever goes wrong is in the outcome."""
        try:
            _check(message, self._limits)
            headers = passed_on(message.headers)
            if message.content_type == ContentType.ARROW:
                return await self._ask_parts(message, headers)
        except InputError as misfit:
            return Outcome(kind=Kind.REFUSED, error=misfit)
        return await self._request(message.body, headers)

    async def _ask_parts(self, message: Message, headers: Mapping[str, str]) -> Outcome:
        from canario.stream.arrow import answer_stream, parts_of

        parts = parts_of(message.body, self._limits)
        is_long = len(message.body) > _THREAD_BYTES
        answered: list[tuple[str | float, float, str, str]] = []
        version = ""
        while (part := await asyncio.to_thread(next, parts, None) if is_long else next(parts, None)) is not None:
            first, body = part
            outcome = await self._request(body, headers)
            if outcome.kind is not Kind.ANSWERED:
                return _moved(outcome, first)
            answer = _ANSWER.decode(outcome.body)
            answered += [(each.label, each.score, each.prediction_id, answer.version) for each in answer.predictions]
            version = outcome.version
        encoded = await asyncio.to_thread(answer_stream, answered) if is_long else answer_stream(answered)
        return Outcome(kind=Kind.ANSWERED, body=encoded, version=version)

    async def _request(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        try:
            answer = await self._poster.post("/predict", body, {"content-type": ContentType.JSON.value, **headers})
        except TooLate as late:
            return Outcome(kind=Kind.LATE, error=self._away(late))
        except Unreachable as lost:
            return Outcome(kind=Kind.AWAY, error=self._away(lost))
        if answer.status == HTTPStatus.OK:
            return Outcome(kind=Kind.ANSWERED, body=answer.body, version=answer.headers.get(VERSION, ""))
        return _not_answered(answer)

    def _away(self, why: Exception) -> Unavailable:
        return Unavailable(
            f"the router cannot be asked now: {why}",
            at=self._poster.url,
            hint="`canario status` shows whether it is up",
        )


@asynccontextmanager
async def router(url: str, limits: Limits | None = None) -> AsyncIterator[Router]:
    """The router at an address, with connections that stay open between requests. Raises UsageError for no address."""
    poster = Poster(url)
    try:
        yield Router(poster, limits or Limits())
    finally:
        await poster.close()


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a message that the router gets. Raises InputError for one that no request can carry."""
    passed = {}
    for name, value in headers.items():
        lower = name.lower()
        if not lower.startswith("x-") or lower.startswith(_OTHERS_HEADERS):
            continue
        if not (_NAME.fullmatch(lower) and _VALUE.fullmatch(value)):
            raise InputError(
                "a header has characters that a request cannot carry",
                at=f"headers.{lower[:60]!a}",
                hint="use printable ASCII",
            )
        passed[lower] = value
    return passed


def _check(message: Message, limits: Limits) -> None:
    if not _ID.fullmatch(message.id):
        raise InputError(
            f"the message's id {message.id[:80]!r} is none",
            at="message_id",
            hint="use 1 to 64 letters, digits, dots, hyphens and underscores",
        )
    shorter = f"send at most {limits.longest_body_bytes} bytes: fewer rows, in several messages, or as Arrow"
    if CUT_BYTES in message.headers or len(message.body) > limits.longest_body_bytes:
        size = message.headers.get(CUT_BYTES, str(len(message.body)))
        raise TooLarge(f"the body is too large: {size} bytes", at="body", hint=shorter)
    if UNREADABLE in message.headers:
        raise InputError(message.headers[UNREADABLE], at="properties", hint="send it again, as docs/stream.md says")
    if message.content_type not in tuple(ContentType):
        raise UnsupportedMedia(
            f"content type {message.content_type[:60]!r} is not accepted",
            at="content_type",
            hint=f"send {' or '.join(ContentType)}",
        )


def _not_answered(answer: Answer) -> Outcome:
    status = answer.status
    said = _said(answer)
    words = said.error or f"the router answers with status {status}"
    if status in _NOT_NOW:
        return Outcome(
            kind=Kind.LATE if status in (408, 504) else Kind.AWAY,
            error=Unavailable(words, at=said.at or f"status {status}", hint=said.hint),
            retry_after_seconds=_retry_after(answer.headers.get("retry-after", "")),
        )
    if status < 500:
        return Outcome(kind=Kind.REFUSED, error=InputError(words, at=said.at, hint=said.hint))
    return Outcome(kind=Kind.FAILED, error=KernelError(words, at=said.at or f"status {status}", hint=said.hint))


def _said(answer: Answer) -> _Error:
    try:
        return _ERROR.decode(answer.body)
    except ValueError:
        # The router's own words are no JSON.
        return _Error(error=" ".join(answer.body[:2000].decode("utf-8", "replace").split())[:300])


def _retry_after(text: str) -> float:
    return min(float(text), LONGEST_RETRY_AFTER_SECONDS) if text.isdigit() and len(text) < 9 else 0.0


def _moved(outcome: Outcome, first: int) -> Outcome:
    """The outcome of a part, with the place of its row in the whole message."""
    error = outcome.error
    if error is None or not first or not _ROW.search(error.at):
        return outcome
    at = _ROW.sub(lambda found: f"rows[{int(found[1]) + first}]", error.at)
    moved = type(error)(error.message, at=at, hint=error.hint)
    return Outcome(kind=outcome.kind, error=moved, retry_after_seconds=outcome.retry_after_seconds)
