"""The OpenAPI 3.1 document of a served version, made from its card; its examples are real answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from canario import __version__
from canario.kernel.checks import LARGEST_INTEGER, describe
from canario.model.card import Card, Column, ColumnKind, Task
from canario.serving.served import ServedVersion
from canario.serving.tensors import TensorSpec
from canario.serving.truths import ID_PATTERN, LONGEST_ID_CHARACTERS, MOST_REFUSALS

Document = dict[str, Any]

_ERRORS = {
    400: "The content does not fit: `at` is the path of the field, `hint` what to do.",
    404: "This server has no such model or version.",
    413: "More bytes or rows than the limits allow.",
    415: "A content type or encoding that is not accepted.",
    500: "The model itself failed.",
    503: "Not now: the server is stopping or has too much to do. Try again, or ask another.",
}
_NAMES = {400: "Misfit", 404: "NotFound", 413: "TooLarge", 415: "UnsupportedMedia", 500: "Failed", 503: "Unavailable"}
_ELEMENTS: Mapping[str, Document] = {
    "FP64": {"type": ["number", "null"]},
    "INT64": {"type": "integer"},
    "BOOL": {"type": "boolean"},
    "BYTES": {"type": ["string", "null"]},
}


def document(served: ServedVersion, examples: Mapping[str, tuple[bytes, bytes]]) -> Document:
    """The document. `examples` holds, by route, a request's body and the response's, as they were on the wire."""
    card = served.card
    return {
        "openapi": "3.1.0",
        "info": {
            "title": card.title,
            "version": served.name.tag,
            "summary": f"{served.name}, served by canario {__version__}",
            "description": card.description,
        },
        "paths": _paths(served, {name: tuple(map(msgspec.json.decode, pair)) for name, pair in examples.items()}),
        "components": {
            "schemas": _schemas(card, served),
            "headers": {
                "RequestId": {"description": "The request's id, taken from the request or made.", "schema": _text()}
            },
            "responses": {name: _response(_ERRORS[status], "Error") for status, name in _NAMES.items()},
        },
    }


def _paths(served: ServedVersion, examples: Mapping[str, Any]) -> Document:
    ready = _operation("Whether requests should come now", {200: _response("They should.", "Ready")}, 503)
    live = _operation("Whether the process runs", {200: _response("It does.", "Live")})
    metadata = _operation("The model's inputs, outputs and kernel", {200: _response("Metadata.", "ModelMetadata")}, 404)
    model_ready = _operation("Whether the model answers", {200: _response("It does.", "Ready")}, 404, 503)
    infer = _post("Answer tensors", "InferRequest", "InferResponse", examples["infer"], 404)
    infer["description"] = (
        "The Open Inference Protocol's request. With the header `Inference-Header-Content-Length` the tensors' bytes follow"
        " the JSON (binary tensor data extension); gRPC has the same methods on its own port."
    )
    model = {"/v2/models/{model}": [("model", served.name.model)]}
    version = {"/v2/models/{model}/versions/{version}": [("model", served.name.model), ("version", served.name.tag)]}
    paths: Document = {
        "/predict": {"post": _post("Answer one row or many", "Rows", "Predictions", examples["predict"])},
        "/feedback": {"post": _feedback(examples["feedback"])},
        "/v2": {"get": _operation("The server and its extensions", {200: _response("Metadata.", "ServerMetadata")})},
        "/v2/health/live": {"get": live},
        "/v2/health/ready": {"get": ready},
    }
    for base, names in {**model, **version}.items():
        parameters = [_path_parameter(name, value) for name, value in names]
        paths[base] = {"parameters": parameters, "get": metadata}
        paths[f"{base}/ready"] = {"parameters": parameters, "get": model_ready}
        paths[f"{base}/infer"] = {"parameters": parameters, "post": infer}
    paths["/livez"] = {"get": live}
    paths["/readyz"] = {"get": ready}
    for path, summary, media in (
        ("/metrics", "Counters for Prometheus", "text/plain"),
        ("/", "A form for people", "text/html"),
        ("/docs", "This document as a page", "text/html"),
    ):
        paths[path] = {"get": _operation(summary, {200: _page(media)})}
    paths["/openapi.json"] = {"get": _operation("This document", {200: _response("OpenAPI 3.1.", "Anything")})}
    return paths


def _post(summary: str, request: str, response: str, example: tuple[Any, Any], *errors: int) -> Document:
    return {
        "requestBody": {"required": True, "content": _json(request, example[0])},
        **_operation(summary, {200: _response("The answer.", response, example[1])}, 400, *errors, 413, 415, 500, 503),
    }


def _feedback(example: tuple[Any, Any]) -> Document:
    operation = _post("Say what turned out to be true, of one answer or of many", "Truths", "TruthsReceived", example)
    operation["requestBody"]["content"]["application/x-ndjson"] = {"schema": _text()}
    operation["description"] = (
        "The same truth may be sent any number of times. Of a list, or of lines of JSON, those that fit are kept together"
        " and the others are told by their line, from 1."
    )
    return operation


def _operation(summary: str, answers: Mapping[int, Document], *errors: int) -> Document:
    refusals = {str(status): {"$ref": f"#/components/responses/{_NAMES[status]}"} for status in errors}
    return {
        "summary": summary,
        "responses": {**{str(status): answer for status, answer in answers.items()}, **refusals},
    }


def _response(description: str, schema: str, example: Any = None) -> Document:
    return {"description": description, "headers": _request_id(), "content": _json(schema, example)}


def _page(media: str) -> Document:
    return {"description": "The page.", "headers": _request_id(), "content": {media: {"schema": _text()}}}


def _request_id() -> Document:
    return {"x-request-id": {"$ref": "#/components/headers/RequestId"}}


def _json(schema: str, example: Any) -> Document:
    content: Document = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if example is not None:
        content["example"] = example
    return {"application/json": content}


def _path_parameter(name: str, value: str) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": {"enum": [value]}}


def _schemas(card: Card, served: ServedVersion) -> Document:
    limit = served.limits.most_rows
    named = {"name": _text(), "datatype": _text(), "shape": _list({"type": "integer"})}
    metadata = _object(named)
    row = _object(
        {column.name: _column(column) for column in card.columns},
        optional=[column.name for column in card.columns if column.nullable],
    )
    answer: Document = {"type": "number"}
    if card.label.task is Task.CLASSIFICATION:
        answer = {"enum": list(card.label.classes)}
    prediction = _object({"label": answer, "score": {"type": "number"}, "prediction_id": _text()})
    return {
        "Row": row,
        "Rows": {
            "oneOf": [
                _object({"rows": {**_list(_ref("Row")), "minItems": 1, "description": f"At most {limit}."}}),
                _ref("Row"),
            ],
        },
        "Predictions": _object({"model": _text(), "version": _text(), "predictions": _list(prediction)}),
        **_feedback_schemas(answer, limit),
        "InferRequest": _infer_request(served.tensors.inputs, [spec.name for spec in served.tensors.outputs]),
        "InferResponse": _object(
            {
                "model_name": _text(),
                "model_version": _text(),
                "id": _text(),
                "parameters": {"type": "object"},
                "outputs": _list(_object({**named, "data": {"type": "array"}})),
            },
            optional=["id"],
        ),
        "ServerMetadata": _object({"name": _text(), "version": _text(), "extensions": _list(_text())}),
        "ModelMetadata": _object(
            {
                "name": _text(),
                "versions": _list(_text()),
                "platform": _text(),
                "inputs": _list(metadata),
                "outputs": _list(metadata),
                "properties": {"type": "object", "additionalProperties": _text()},
            }
        ),
        "Live": _object({"live": {"const": True}}),
        "Ready": _object({"ready": {"const": True}}),
        "Anything": {"type": "object"},
        "Error": _object({"error": _text(), "at": _text(), "hint": _text()}),
    }


def _feedback_schemas(answer: Document, limit: int) -> Document:
    return {
        "Truth": _object(
            {"prediction_id": {**_text(), "maxLength": LONGEST_ID_CHARACTERS, "pattern": ID_PATTERN}, "truth": answer}
        ),
        "Truths": {
            "oneOf": [
                _ref("Truth"),
                {**_list({}), "description": f"At most {limit} such truths; what is none is refused alone."},
            ]
        },
        "Received": _object({"prediction_id": _text(), "received": {"enum": ["new", "repeated", "changed"]}}),
        "ManyReceived": _object(
            {
                **{word: _whole(0) for word in ("new", "repeated", "changed", "refused")},
                "refusals": {**_list(_ref("Refusal")), "description": f"At most {MOST_REFUSALS} of them."},
            }
        ),
        "Refusal": _object({"line": _whole(1), "error": _text(), "at": _text(), "hint": _text()}),
        "TruthsReceived": {"oneOf": [_ref("Received"), _ref("ManyReceived")]},
    }


def _infer_request(inputs: tuple[TensorSpec, ...], outputs: list[str]) -> Document:
    tensors = [
        {
            "type": "object",
            "required": ["name", "shape", "datatype"],
            "properties": {
                "name": {"const": spec.name},
                "datatype": {"const": spec.datatype},
                "shape": {"description": f"[n{''.join(f', {size}' for size in spec.shape[1:])}]", **_list(_whole(0))},
                "data": {"description": "Flat, row by row, or nested; null is a missing value.", **_list({})},
                "parameters": {"type": "object"},
            },
        }
        for spec in inputs
    ]
    wanted = {"type": "object", "required": ["name"], "properties": {"name": {"enum": outputs}}}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": _text(),
            "parameters": {"type": "object"},
            "inputs": {**_list({"oneOf": tensors}), "minItems": len(inputs), "maxItems": len(inputs)},
            "outputs": {**_list(wanted), "description": "All when absent or empty."},
        },
    }


def _column(column: Column) -> Document:
    schema: Document = {"title": column.title or column.name, "description": describe(column).partition(": ")[2]}
    if column.description:
        schema["description"] = f"{column.description} ({schema['description']})"
    match column.kind:
        case ColumnKind.CATEGORY:
            words = list(column.categories)
            return {**schema, "enum": [*words, "", None] if column.nullable else words}
        case ColumnKind.TEXT:
            schema |= {"type": "string", "maxLength": column.longest_characters}
        case ColumnKind.BOOLEAN:
            schema |= {"type": "boolean"}
        case ColumnKind.INTEGER:
            schema |= {"type": "integer", "minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER}
        case ColumnKind.NUMBER:
            schema |= {"type": "number"}
    if column.kind in (ColumnKind.INTEGER, ColumnKind.NUMBER):
        bounds = {"minimum": column.minimum, "maximum": column.maximum}
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    return schema


def _object(properties: Document, optional: list[str] | None = None) -> Document:
    required = [name for name in properties if name not in (optional or [])]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: Document) -> Document:
    return {"type": "array", "items": items}


def _text() -> Document:
    return {"type": "string"}


def _whole(minimum: int) -> Document:
    return {"type": "integer", "minimum": minimum}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}
