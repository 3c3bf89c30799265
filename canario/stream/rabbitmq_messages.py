"""Messages as AMQP 0-9-1 has them, both ways: any client's become ours, and ours are readable by any client."""

from __future__ import annotations

from datetime import datetime

from pamqp.commands import Basic

from canario.errors import NotFound, TooLarge
from canario.model.stream import ContentType, Message
from canario.stream.amqp_frames import UNREADABLE_PROPERTIES
from canario.stream.burying import OF_A_LETTER
from canario.stream.foreign import (
    CORRELATION,
    LONGEST_HEADER_NAME_BYTES,
    UNREADABLE,
    cut,
    fitting_headers,
    fitting_id,
    header_bytes,
    moment,
    seconds,
    words,
)

SENT_AT = "canario-sent-at"
"""AMQP's own timestamp has whole seconds; this header has the rest, for those who can read it."""

MOST_HEADER_BYTES = 100_000
"""Of one message: properties go in one frame, of 128 KiB unless the broker is set otherwise."""
LONGEST_NAME_BYTES = 255
"""Of a queue and of most properties."""

_OF_THE_BROKER = ("x-death", "x-delivery-count", "x-acquired-count", "x-first-death-", "x-last-death-")
"""How headers begin that a broker adds on the way; they are no part of what was sent, nor for the router."""


def to_message(properties: Basic.Properties, body: bytes, longest_body_bytes: int) -> Message:
    """A message of any client, whatever it did or did not say."""
    given = properties.headers if isinstance(properties.headers, dict) else {}
    headers = {name: words(value) for name, value in given.items() if not name.startswith(_OF_THE_BROKER)}
    if correlation := words(properties.correlation_id):
        headers.setdefault(CORRELATION, correlation)
    whole_seconds = properties.timestamp.timestamp() if isinstance(properties.timestamp, datetime) else 0.0
    sent_at = seconds(headers.pop(SENT_AT, ""))
    if sent_at is None or (whole_seconds and abs(sent_at - whole_seconds) > 1):
        sent_at = whole_seconds
    said = (body, properties.content_type, properties.reply_to, properties.timestamp, properties.app_id, headers)
    kept, about_the_cut = cut(body, longest_body_bytes)
    id_ = fitting_id(words(properties.message_id), said)
    headers = {**fitting_headers(headers, OF_A_LETTER), **about_the_cut}
    if properties.cluster_id and UNREADABLE_PROPERTIES.startswith(properties.cluster_id):
        headers[UNREADABLE] = "its properties can't be read: a text that is not UTF-8, or a time that is none"
    return Message(
        id=id_,
        body=kept,
        content_type=_content_type(words(properties.content_type)),
        headers=headers,
        sent_at_seconds=max(0.0, sent_at),
        reply_to=words(properties.reply_to),
    )


def to_properties(message: Message) -> Basic.Properties:
    """What goes beside a message's body; raises TooLarge for what AMQP has no place for."""
    headers = dict(message.headers)
    if message.sent_at_seconds:
        headers[SENT_AT] = repr(message.sent_at_seconds)
    correlation = headers.get(CORRELATION, "")
    if _length(correlation) > LONGEST_NAME_BYTES:
        correlation = ""
    elif correlation:
        del headers[CORRELATION]
    _check(message, headers)
    return Basic.Properties(
        message_id=message.id,
        content_type=message.content_type or None,
        headers=dict(headers) or None,
        delivery_mode=2,
        reply_to=message.reply_to or None,
        correlation_id=correlation or None,
        timestamp=moment(message.sent_at_seconds) if message.sent_at_seconds else None,
    )


def fitting_queue(name: str) -> str:
    """The name of a queue, if one can have it."""
    if not 0 < _length(name) <= LONGEST_NAME_BYTES:
        raise NotFound(f"no queue can be named {name[:40]!r}", hint=f"it has 1 to {LONGEST_NAME_BYTES} bytes")
    return name


def _content_type(text: str) -> str:
    """Ours in our own words, however it is written: `application/JSON; charset=utf-8` is JSON."""
    bare = text.partition(";")[0].strip().lower()
    return bare if bare in tuple(ContentType) else text or ContentType.JSON


def _check(message: Message, headers: dict[str, str]) -> None:
    texts = {"id": message.id, "reply_to": message.reply_to, "content_type": message.content_type}
    named = [(name, text, LONGEST_NAME_BYTES) for name, text in texts.items()]
    for name, text, most in (*named, *(("header's name", header, LONGEST_HEADER_NAME_BYTES) for header in headers)):
        if _length(text) > most:
            raise TooLarge(f"the message {message.id[:64]} has a {name} of more than {most} bytes", at=name)
    number = sum(header_bytes(name, text) for name, text in headers.items())
    if number > MOST_HEADER_BYTES:
        raise TooLarge(
            f"the headers of the message {message.id} have more than {MOST_HEADER_BYTES} bytes", at="headers"
        )


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
