"""What a person sends by hand and what comes back: the bodies that a file becomes, messages as they are printed; queues are for the commands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from canario.errors import InputError
from canario.model.stream import ContentType, Message

_ARROW_BEGINS = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One message as `--output json` gives it."""

    id: str
    queue: str
    content_type: str
    sent_at_seconds: float
    headers: dict[str, str]
    body: Any
    """JSON as it is, the rows of an Arrow stream, or text."""


def shown(message: Message, queue: str) -> Shown:
    """A message for people and programs."""
    return Shown(
        id=message.id,
        queue=queue,
        content_type=message.content_type,
        sent_at_seconds=message.sent_at_seconds,
        headers=dict(message.headers),
        body=_readable(message),
    )


def words_of(message: Shown) -> str:
    """What a person wants to know of it: the answers, or why there is none."""
    reason = message.headers.get("canario-reason")
    if reason is not None:
        at = message.headers.get("canario-at")
        return f"{reason} (at {at})" if at else reason
    body = message.body
    rows = body.get("predictions", []) if isinstance(body, dict) else body if isinstance(body, list) else []
    answers = [f"{row['label']} {row['score']:.6g}" for row in rows if isinstance(row, dict) and "score" in row]
    beyond = f" and {len(answers) - 3} more" if len(answers) > 3 else ""
    return ", ".join(answers[:3]) + beyond if answers else str(body)[:120]


def bodies_of(content: bytes, model: str, *, as_arrow: bool, rows_a_message: int) -> Iterator[tuple[bytes, str]]:
    """A file as the bodies of messages, with their kind: a row or `{"rows": [...]}` each, or many rows as Arrow.

    Lines of JSON go as they are, so that what does not fit is seen with the dead; a CSV's words become what the card says.
    Raises InputError for a file of another kind, NotFound when a CSV comes and no version of the model is stored here.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.startswith(_ARROW_BEGINS):
        yield content, ContentType.ARROW
        return
    if not content.strip():
        raise InputError(
            "the file is empty", at="FILE", hint="it holds rows: JSON, lines of JSON, CSV or an Arrow stream"
        )
    if not as_arrow and content.lstrip()[:1] == b"{":
        for line in _objects(content):
            yield line, ContentType.JSON
        return
    rows = iter(_rows(content, model))
    while piece := list(itertools.islice(rows, rows_a_message if as_arrow else 1)):
        if as_arrow:
            from canario.stream.arrow import rows_stream

            yield rows_stream(piece), ContentType.ARROW
        else:
            yield msgspec.json.encode(piece[0]), ContentType.JSON


def _objects(content: bytes) -> list[bytes]:
    """One JSON object, however many lines it has, or one a line, whatever is in it."""
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return [line for line in content.splitlines() if line.strip()]
    return [content.strip()]


def _rows(content: bytes, model: str) -> Sequence[dict[str, Any]]:
    if content.lstrip()[:1] in (b"{", b"["):
        return _json_rows(content)
    from canario.adapters.versions import find_version
    from canario.batch.row_files import columns_of_file
    from canario.kernel.limits import Limits
    from canario.kernel.rows import RowsCodec, json_cells

    card = find_version(model).card()
    columns = columns_of_file(card, RowsCodec(card, Limits(most_rows=10**9)), content)
    cells = [json_cells(column, columns[column.name]) for column in card.columns]
    return [dict(zip(card.column_names, row, strict=True)) for row in zip(*cells, strict=True)]


def _json_rows(content: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        for part in _objects(content) if content.lstrip()[:1] == b"{" else [content]:
            found = msgspec.json.decode(part)
            inner = found.get("rows", [found]) if isinstance(found, dict) else found
            rows += msgspec.convert(inner, list[dict[str, Any]])
    except (ValueError, RecursionError) as wrong:
        raise InputError(f"this is no JSON of rows: {wrong}", at="FILE", hint="a row is one object") from wrong
    if not rows:
        raise InputError("there is no row", at="FILE", hint="send at least one")
    if len({frozenset(row) for row in rows}) > 1:
        raise InputError(
            "the rows differ in their columns", at="FILE", hint="give each row every column, null where empty"
        )
    return rows


def _readable(message: Message) -> Any:
    if message.content_type == ContentType.ARROW:
        from canario.stream.arrow import answer_rows

        try:
            return answer_rows(message.body)
        except InputError:
            return f"{len(message.body)} bytes"
    try:
        return msgspec.json.decode(message.body)
    except (ValueError, RecursionError):
        return message.body[:2000].decode("utf-8", "replace")
