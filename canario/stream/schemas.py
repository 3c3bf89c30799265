"""JSON Schemas of a message's body and of its answer's, for who writes clients; what surrounds the bodies is told in their descriptions."""

from __future__ import annotations

import json
from typing import Any

from canario.kernel.limits import Limits
from canario.model.stream import ContentType
from canario.stream.asking import ID_PATTERN

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
Document = dict[str, Any]

_AROUND = (
    "The body of a message to the queue canario.<model>.urgent, .normal or .bulk, of content type "
    f"{ContentType.JSON}; an Arrow stream with the card's columns has {ContentType.ARROW}. At most "
    f"{Limits().longest_body_bytes} bytes. The message's id (AMQP: message_id) is {ID_PATTERN}; the same id twice is the same "
    "message. reply_to names the queue for the answer, otherwise canario.<model>.answers. Headers that begin with x- go to the "
    "model's router, such as x-canario-version. timestamp is when it was sent."
)


def message_schema() -> str:
    """The body of a question in JSON, as text."""
    row = {
        "type": "object",
        "description": "One row: the card's columns by name; a number as number or whole number, a missing value as null.",
        "minProperties": 1,
        "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
    }
    rows = {
        "type": "object",
        "description": "Several rows, answered together.",
        "properties": {
            "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}, "minItems": 1, "maxItems": Limits().most_rows}
        },
        "required": ["rows"],
        "additionalProperties": False,
    }
    return _text(
        {
            "$schema": _DRAFT,
            "title": "A message to a model",
            "description": _AROUND,
            "anyOf": [{"$ref": "#/$defs/row"}, {"$ref": "#/$defs/rows"}],
            "$defs": {"row": row, "rows": rows},
        }
    )


def answer_schema() -> str:
    """The body of an answer in JSON, as text."""
    prediction = {
        "type": "object",
        "properties": {
            "label": {
                "type": ["string", "number"],
                "description": "The word of the answered class; of a regression the value.",
            },
            "score": {
                "type": "number",
                "description": "Two classes: the probability of the second; more: that of the answered one; regression: the value.",
            },
            "prediction_id": {"type": "string", "description": "What a late truth is sent for, `canario feedback`."},
        },
        "required": ["label", "score", "prediction_id"],
        "additionalProperties": False,
    }
    return _text(
        {
            "$schema": _DRAFT,
            "title": "A model's answer to a message",
            "description": "The body of the answer, the same as that of `POST /predict`. Its message id is the question's: whoever reads "
            "answers keeps one of each id, for one may come twice. The answer to an Arrow stream is one with the columns label, "
            "score, prediction_id and version.",
            "type": "object",
            "properties": {
                "model": {"type": "string", "description": "The model's name."},
                "version": {"type": "string", "description": "The tag of the version that answered, such as v2."},
                "predictions": {"type": "array", "items": prediction, "description": "One a row, in their order."},
            },
            "required": ["model", "version", "predictions"],
            "additionalProperties": False,
        }
    )


def _text(schema: Document) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
