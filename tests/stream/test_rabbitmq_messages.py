"""Messages as AMQP has them: what any client may have written becomes a message, and ours are written so that any client reads them."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from canario.errors import InputError, TooLarge
from canario.model.stream import Message
from canario.stream.amqp_frames import UNREADABLE_PROPERTIES, readable_delivery, readable_header
from canario.stream.burying import REASON, another_round, dead_letter
from canario.stream.foreign import (
    CUT_BYTES,
    CUT_DIGEST,
    CUT_HEADERS,
    KEPT_OF_A_CUT_BODY_BYTES,
    UNREADABLE,
    fitting_id,
    words,
)
from canario.stream.rabbitmq_messages import to_message, to_properties

MOST = 1_000_000
SHORT = st.text(max_size=60)
PLAIN_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31),
    st.floats(),
    SHORT,
    st.binary(max_size=60),
    st.datetimes(),
    st.decimals(),
)
VALUES = st.recursive(
    PLAIN_VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SHORT, inner, max_size=3)
)
PROPERTIES = st.builds(
    Basic.Properties,
    content_type=st.none() | SHORT,
    headers=st.none() | st.dictionaries(st.text(max_size=30), VALUES, max_size=4),
    correlation_id=st.none() | SHORT,
    reply_to=st.none() | SHORT,
    message_id=st.none() | SHORT,
    timestamp=st.none() | st.datetimes(timezones=st.just(UTC)),
    app_id=st.none() | SHORT,
)
HEADERS = st.dictionaries(
    st.builds(
        lambda begin, text, times: begin + text * times,
        st.sampled_from(["", "x-", "canario-", "canario-reason"]),
        st.text("abc\N{LATIN SMALL LETTER E WITH ACUTE}", max_size=2),
        st.integers(0, 60),
    ),
    st.builds(
        lambda letter, times: letter * times, st.sampled_from("a\N{GRINNING FACE}"), st.sampled_from([1, 900, 9000])
    ),
    max_size=20,
)
MESSAGES = st.builds(
    Message,
    id=st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    body=st.binary(max_size=200),
    content_type=st.text("abc/+-", min_size=1, max_size=30),
    headers=st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=30).filter(
            lambda name: not name.startswith("x-")
        ),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60),
        max_size=4,
    ),
    sent_at_seconds=st.just(0.0) | st.floats(1.0, 4e9),
    reply_to=st.text("abc.-", max_size=30),
)


@given(PROPERTIES, st.binary(max_size=100))
def test_any_clients_message_is_a_message(properties: Basic.Properties, body: bytes) -> None:
    """Whatever a client wrote beside a body, it becomes a message with an id that fits, words as headers and the body untouched."""
    message = to_message(properties, body, MOST)
    assert fitting_id(message.id, ()) == message.id
    assert all(
        value.isprintable() or not any(ord(letter) < 32 for letter in value) for value in message.headers.values()
    )
    assert message.body == body
    assert message.content_type
    assert message.sent_at_seconds >= 0
    assert to_message(properties, body, MOST) == message


@given(MESSAGES)
def test_ours_come_back_as_they_were(message: Message) -> None:
    """A message that goes through RabbitMQ arrives with the same id, body, headers, time and queue for its answer."""
    header = ContentHeader(body_size=len(message.body), properties=to_properties(message))
    raw = pamqp.frame.marshal(header, 1)
    _, _, read = pamqp.frame.unmarshal(raw)
    assert isinstance(read, ContentHeader)
    assert to_message(read.properties, message.body, MOST) == message


@given(PROPERTIES, HEADERS, st.sampled_from(["", "1e300", "253402300799.9999", "1e11", "nan"]))
def test_any_clients_message_can_be_dead(properties: Basic.Properties, headers: dict[str, str], sent_at: str) -> None:
    """Whatever RabbitMQ carried can be carried once more with the longest reason beside it, and the reason arrives whole."""
    properties.headers = {**headers, **({"canario-sent-at": sent_at} if sent_at else {})}
    message = to_message(properties, b"{}", MOST)
    again = another_round(message, counts=True)
    assert again is None or to_properties(again)
    error = InputError("\N{GRINNING FACE}" * 2000, at="\N{GRINNING FACE}" * 2000, hint="\N{GRINNING FACE}" * 2000)
    letter = dead_letter(message, error, "q" * 255, 20)
    raw = pamqp.frame.marshal(ContentHeader(body_size=2, properties=to_properties(letter)), 1)
    assert len(raw) <= 128 * 1024
    _, _, read = pamqp.frame.unmarshal(raw)
    assert isinstance(read, ContentHeader)
    assert to_message(read.properties, b"{}", MOST).headers[REASON] == letter.headers[REASON]


def test_headers_that_cannot_be_passed_on_are_left_out_and_counted() -> None:
    """Headers that leave no room for a reason are left out, which is said; one that was for the router makes the message dead."""
    many = {f"h{number}": "x" * 8192 for number in range(14)}
    message = to_message(Basic.Properties(headers={**many, "n" * 200: "x", "x-user": "7"}), b"{}", MOST)
    assert message.headers["x-user"] == "7"
    assert message.headers[CUT_HEADERS] == "7"
    assert UNREADABLE not in message.headers
    cases: list[dict[str, Any]] = [{f"x-{name}": text for name, text in many.items()}, {"x-" + "n" * 200: "x"}]
    for lost in cases:
        assert "for the router" in to_message(Basic.Properties(headers=lost), b"{}", MOST).headers[UNREADABLE]


def test_a_message_without_an_id_has_the_same_one_again() -> None:
    """A message without an id has one made of what it says, so that it is known again when it is redelivered; others have others."""
    one = to_message(Basic.Properties(correlation_id="7"), b"{}", MOST)
    assert to_message(Basic.Properties(correlation_id="7", headers={"x-delivery-count": 2}), b"{}", MOST).id == one.id
    assert to_message(Basic.Properties(correlation_id="8"), b"{}", MOST).id != one.id
    assert to_message(Basic.Properties(correlation_id="7"), b"{ }", MOST).id != one.id
    assert to_message(Basic.Properties(message_id="an id with spaces, " * 9), b"{}", MOST).id.startswith("made-")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, ""),
        (True, "true"),
        (7, "7"),
        (Decimal("1.50"), "1.50"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ({"b": [1, True], "a": b"x"}, '{"a": "x", "b": [1, true]}'),
        ("two\r\nlines", "two lines"),
    ],
)
def test_headers_of_any_type_become_words(value: Any, said: str) -> None:
    """A header's value is words on one line, whatever type a client gave it: no header of a request can be made of it unseen."""
    assert words(value) == said


def test_correlation_ids_go_both_ways() -> None:
    """What a client that waits for an answer knows it by arrives as a header, and leaves as what that client looks at."""
    message = to_message(Basic.Properties(message_id="1", correlation_id="call 7"), b"{}", MOST)
    assert message.headers == {"correlation-id": "call 7"}
    properties = to_properties(message)
    assert (properties.correlation_id, properties.headers) == ("call 7", None)


def test_json_is_json_however_it_is_written() -> None:
    """A content type with parameters or other letters is the one that is meant; an unknown one stays as it is."""
    written = {
        "application/json; charset=utf-8": "application/json",
        "Application/JSON": "application/json",
        "": "application/json",
        "text/csv; header=present": "text/csv; header=present",
    }
    for text, meant in written.items():
        assert to_message(Basic.Properties(content_type=text), b"", MOST).content_type == meant


def test_times_of_other_clients_are_taken() -> None:
    """A time in whole seconds, as AMQP has it, is the time it was sent; our header adds the rest, unless the two do not fit."""
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    assert to_message(Basic.Properties(timestamp=at), b"", MOST).sent_at_seconds == 1_700_000_000
    finer = {"canario-sent-at": "1700000000.75"}
    assert (
        to_message(Basic.Properties(timestamp=at, headers=dict(finer)), b"", MOST).sent_at_seconds == 1_700_000_000.75
    )
    wrong = {"canario-sent-at": "5.5"}
    assert to_message(Basic.Properties(timestamp=at, headers=dict(wrong)), b"", MOST).sent_at_seconds == 1_700_000_000


def test_what_is_too_long_is_cut_and_says_so() -> None:
    """Of a body that nobody could answer only the beginning is kept in memory; headers have its size, its digest and the reason."""
    message = to_message(Basic.Properties(message_id="big"), b"a" * (MOST + 1), MOST)
    assert message.body == b"a" * KEPT_OF_A_CUT_BODY_BYTES
    assert message.headers[CUT_BYTES] == str(MOST + 1)
    assert len(message.headers[CUT_DIGEST]) == 64
    assert str(MOST) in message.headers[UNREADABLE]


@pytest.mark.parametrize(
    "message",
    [
        Message(id="1", body=b"", headers={"a": "b" * 200_000}),
        Message(id="1", body=b"", headers={"a" * 129: "b"}),
        Message(id="1", body=b"", reply_to="q" * 300),
        Message(id="1", body=b"", content_type="t" * 300),
    ],
)
def test_what_amqp_has_no_place_for_is_refused(message: Message) -> None:
    """Headers that do not fit beside a message are refused before anything is sent: the broker would end the connection."""
    with pytest.raises(TooLarge):
        to_properties(message)


@given(PROPERTIES, st.integers(0, 10**9), st.data())
def test_properties_that_nobody_can_decode_end_nothing(
    properties: Basic.Properties, size: int, data: st.DataObject
) -> None:
    """However a sender garbled its properties, the frame can be decoded, is as long as before and says how long the body is."""
    try:
        raw = bytearray(pamqp.frame.marshal(ContentHeader(body_size=size, properties=properties), 1)[7:])
    except (ValueError, TypeError, OverflowError, struct.error):
        raw = bytearray(struct.pack(">HHQH", 60, 0, size, 1 << 13) + b"\x00\x00\x00\x05\x03abc?\xce")
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(12, len(raw) - 2))] = data.draw(st.integers(0, 255))
    made = readable_header(bytes(raw))
    assert len(made) == len(raw)
    read = ContentHeader()
    read.unmarshal(made[:-1])
    assert read.body_size == size
    if made != bytes(raw) and len(raw) > 16:
        assert read.properties.cluster_id
        assert UNREADABLE_PROPERTIES.startswith(read.properties.cluster_id)


def test_a_routing_key_that_is_no_text_ends_nothing() -> None:
    """A message whose routing key is no text arrives all the same: the key is of no use here."""
    raw = pamqp.frame.marshal(
        Basic.Deliver("consumer", 5, redelivered=True, exchange="exchange", routing_key="key"), 1
    )[7:].replace(b"key", b"\xff\xfey")
    read = pamqp.frame.unmarshal(struct.pack(">BHI", 1, 1, len(raw) - 1) + readable_delivery(raw))[2]
    assert isinstance(read, Basic.Deliver)
    assert (read.delivery_tag, read.redelivered, read.exchange, read.routing_key) == (5, True, "exchange", "???")
