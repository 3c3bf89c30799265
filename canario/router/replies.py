"""The router's own answers: what it refuses, and what it says when no server answers; JSON for REST, a status for gRPC."""

from __future__ import annotations

from dataclasses import dataclass

from canario.model.split import RouterPlan
from canario.router.clusters import Document, Protocol

_TRY_AGAIN = "try again in a moment"
_TEXT: Document = {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}}
_GRPC: Document = {
    "header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One kind of answer, known by its HTTP status and by Envoy's response flag for the cause."""

    status: int
    grpc_status: int
    flag: str = ""
    error: str = ""
    """What happened; empty: as the route that refused says it."""
    at: str = ""
    hint: str


def local_replies(plan: RouterPlan) -> Document:
    """How Envoy words its own answers; the first that fits is taken."""
    replies = (
        Reply(
            status=413,
            grpc_status=8,
            error=f"the request is larger than {plan.longest_body_bytes} bytes",
            hint="send fewer rows in a request",
        ),
        Reply(status=415, grpc_status=3, at="content-type", hint="send JSON, or the Open Inference Protocol's tensors"),
        Reply(status=404, grpc_status=5, at="x-canario-version", hint="leave the header out to be dealt a version"),
        Reply(
            status=504,
            grpc_status=4,
            error=f"{plan.model} did not answer in time",
            hint=f"send fewer rows in a request, or {_TRY_AGAIN}",
        ),
        Reply(status=503, grpc_status=14, flag="UH", error=f"no server of {plan.model} is ready", hint=_TRY_AGAIN),
        Reply(status=503, grpc_status=14, error=f"{plan.model} broke off without an answer", hint=_TRY_AGAIN),
    )
    return {
        "mappers": [
            *(_mapper(reply, protocol) for protocol in (Protocol.GRPC, Protocol.REST) for reply in replies),
            {"filter": _GRPC, "body_format_override": _TEXT},
        ],
        "body_format": _json("the request is not one that HTTP allows", ""),
    }


def _mapper(reply: Reply, protocol: Protocol) -> Document:
    status: Document = {"default_value": reply.status, "runtime_key": f"canario.status_{reply.status}"}
    filters: list[Document] = [{"status_code_filter": {"comparison": {"op": "EQ", "value": status}}}]
    if reply.flag:
        filters.append({"response_flag_filter": {"flags": [reply.flag]}})
    if protocol is Protocol.GRPC:
        filters.append(_GRPC)
    mapper: Document = {"filter": {"and_filter": {"filters": filters}} if len(filters) > 1 else filters[0]}
    if reply.error:
        mapper["body"] = {"inline_string": reply.error}
    if protocol is Protocol.REST:
        return mapper | {"body_format_override": _json(reply.hint, reply.at)}
    header = {"key": "grpc-status", "value": str(reply.grpc_status)}
    added = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return mapper | {"body_format_override": _TEXT, "headers_to_add": [added]}


def _json(hint: str, at: str) -> Document:
    where = {"at": at} if at else {}
    return {"json_format": {"error": "%LOCAL_REPLY_BODY%", **where, "hint": hint}}
