"""The REST face: every route of a served version, as functions from a whole request to a response."""

from __future__ import annotations

import time
from collections import Counter

from canario.errors import InputError, Unavailable, UnsupportedMedia
from canario.model.feedback import Received
from canario.serving.http import JSON, Request, Response, error_response, json_response
from canario.serving.infer_json import HEADER_LENGTH, InferRequest
from canario.serving.metadata import model_metadata, server_metadata
from canario.serving.metrics import CONTENT_TYPE, REFUSED_TRUTH
from canario.serving.routing import Route, Routes, Work
from canario.serving.served import ServedVersion
from canario.serving.truths import MOST_REFUSALS, is_list, read_truth, read_truths

OCTETS = b"application/octet-stream"
LINES = b"application/x-ndjson"


class Rest:
    """The handlers; each raises CanarioError for what does not fit."""

    def __init__(self, served: ServedVersion) -> None:
        self._served = served
        self._model = json_response(model_metadata(served.record, served.tensors))
        self._server = json_response(server_metadata())

    def routes(self) -> Routes:
        """All of them; the paths of the protocol are fixed, because a process serves one version."""
        model = f"/v2/models/{self._served.name.model}"
        version = f"{model}/versions/{self._served.name.tag}"
        metadata = Route("metadata", lambda _: self._model)
        ready = Route("ready", self._ready)
        infer = Route("infer", self.infer, Work.MODEL)
        table: dict[str, dict[str, Route]] = {
            "/livez": {"GET": Route("live", lambda _: json_response({"live": True}))},
            "/readyz": {"GET": ready},
            "/metrics": {"GET": Route("metrics", self._metrics)},
            "/predict": {"POST": Route("predict", self.predict, Work.MODEL)},
            "/feedback": {"POST": Route("feedback", self._feedback, Work.DISK)},
            "/v2": {"GET": Route("metadata", lambda _: self._server)},
            "/v2/health/live": {"GET": Route("live", lambda _: json_response({"live": True}))},
            "/v2/health/ready": {"GET": ready},
        }
        for path in (model, version):
            table[path] = {"GET": metadata}
            table[f"{path}/ready"] = {"GET": ready}
            table[f"{path}/infer"] = {"POST": infer}
        return table

    def _ready(self, _: Request) -> Response:
        if self._served.is_draining:
            return error_response(Unavailable("this server is about to stop", hint="ask another"))
        return json_response({"ready": True})

    def _metrics(self, _: Request) -> Response:
        return Response(200, self._served.metrics.text(), CONTENT_TYPE)

    def predict(self, request: Request) -> Response:
        """Answer rows of named columns."""
        _check_content_type(request, JSON)
        served, caller = self._served, request.caller
        predictions = served.answering.answer(served.rows.columns(request.body), caller)
        prefix = served.answering.prediction_prefix(caller)
        answers = zip(predictions.labels.tolist(), predictions.scores.tolist(), strict=True)
        return json_response(
            {
                "model": served.name.model,
                "version": served.name.tag,
                "predictions": [
                    {"label": label, "score": score, "prediction_id": f"{prefix}{row}"}
                    for row, (label, score) in enumerate(answers)
                ],
            }
        )

    def infer(self, request: Request) -> Response:
        """Answer tensors."""
        _check_content_type(request, JSON, OCTETS, b"")
        served, caller = self._served, request.caller
        asked = InferRequest(served.tensors, request.body, request.headers.get(HEADER_LENGTH))
        predictions = served.answering.answer(asked.columns, caller)
        prefix = served.answering.prediction_prefix(caller)
        body, json_bytes = asked.answer(served.tensors, served.name, predictions, prefix)
        if json_bytes is None:
            return Response(200, body)
        return Response(200, body, OCTETS, ((HEADER_LENGTH, b"%d" % json_bytes),))

    def _feedback(self, request: Request) -> Response:
        is_lines = _check_content_type(request, JSON, LINES) == LINES
        if is_lines or is_list(request.body):
            return self._many_truths(request, is_lines=is_lines)
        try:
            feedback = read_truth(self._served.card, request.body, time.time())
            received = self._served.truths.add(feedback)
        except InputError:
            self._count_truth(request, REFUSED_TRUTH)
            raise
        self._count_truth(request, received)
        return json_response({"prediction_id": feedback.prediction, "received": received})

    def _many_truths(self, request: Request, *, is_lines: bool) -> Response:
        """All that fit are kept together, or none when the store is away; the others are told one by one."""
        most = self._served.limits.most_rows
        incoming = read_truths(self._served.card, request.body, time.time(), is_lines=is_lines, most=most)
        received = Counter(self._served.truths.add_many(incoming.feedback) if incoming.feedback else ())
        for result, number in (*received.items(), (REFUSED_TRUTH, len(incoming.refusals))):
            for _ in range(number):
                self._count_truth(request, result)
        return json_response(
            {
                **{str(result): received[result] for result in Received},
                REFUSED_TRUTH: len(incoming.refusals),
                "refusals": incoming.refusals[:MOST_REFUSALS],
            }
        )

    def _count_truth(self, request: Request, result: str) -> None:
        if not request.caller.shadow:
            self._served.metrics.count_truth(result)


def _check_content_type(request: Request, *accepted: bytes) -> bytes:
    sent = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if sent not in accepted:
        words = " or ".join(name.decode() for name in accepted if name)
        raise UnsupportedMedia(
            f"content type {sent[:80].decode('latin-1')!r} is not accepted",
            at="headers.Content-Type",
            hint=f"send {words}",
        )
    return sent
