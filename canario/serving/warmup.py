"""Warming up: every way in is walked with the version's few rows before it says that it is ready; nothing of it is logged."""

from __future__ import annotations

import statistics
import time
from typing import Any

import msgspec
from numpy.typing import NDArray

from canario.adapters.versions import WARMUP_FILE
from canario.errors import CanarioError, KernelError, NotFound
from canario.kernel.kernel import Columns, row_of, rows_of
from canario.kernel.warmup import read_warmup
from canario.model.feedback import Received
from canario.model.version import KernelKind
from canario.serving import open_inference_pb2 as pb
from canario.serving.infer_grpc import infer
from canario.serving.own_requests import CALLER, binary_request, grpc_request, json_request, predict_request
from canario.serving.rest import Rest
from canario.serving.served import QUICK_SECONDS, ServedVersion

ROUNDS = 5


def warm_up(served: ServedVersion, rest: Rest) -> None:
    """Answer the rows one by one and together, over every protocol, and see how quick the model is.

    Raises KernelError when a row of its own training is refused or not answered.
    """
    columns = warmup_columns(served)
    try:
        for request in [row_of(columns, row) for row in range(rows_of(columns))] + [columns]:
            _walk(served, rest, request)
    except CanarioError as error:
        raise KernelError(
            f"{served.name} does not answer its own rows: {error}", at=WARMUP_FILE, hint=error.hint
        ) from error
    one = row_of(columns, 0)
    # An estimator that is not compiled is somebody's code, which may take longer for another row.
    is_compiled = served.record.kernel.kind is KernelKind.ONNX
    served.turns.is_quick = (
        is_compiled and statistics.median(_seconds(served, one) for _ in range(ROUNDS)) < QUICK_SECONDS
    )


def warmup_columns(served: ServedVersion) -> dict[str, NDArray[Any]]:
    """The rows that the version brings. Raises NotFound or IntegrityError when it brings none."""
    path = served.folder / WARMUP_FILE
    if not path.is_file():
        raise NotFound(f"there is no file {path}", at=str(path))
    return read_warmup(served.card, path.read_bytes(), str(path))


def examples(served: ServedVersion, rest: Rest) -> dict[str, tuple[bytes, bytes]]:
    """By route: the body of a request with one of these rows, and of its answer."""
    columns = row_of(warmup_columns(served), 0)
    requests = {"predict": predict_request(served, columns), "infer": json_request(served, columns)}
    answers = {"predict": rest.predict(requests["predict"]), "infer": rest.infer(requests["infer"])}
    label = msgspec.json.decode(answers["predict"].body)["predictions"][0]
    truth = {"prediction_id": label["prediction_id"], "truth": label["label"]}
    received = {"prediction_id": label["prediction_id"], "received": Received.NEW}
    return {name: (requests[name].body, answers[name].body) for name in requests} | {
        "feedback": (msgspec.json.encode(truth), msgspec.json.encode(received))
    }


def _walk(served: ServedVersion, rest: Rest, columns: Columns) -> None:
    rest.predict(predict_request(served, columns))
    rest.infer(json_request(served, columns))
    rest.infer(binary_request(served, columns))
    message = grpc_request(served, columns).SerializeToString()
    infer(served, pb.ModelInferRequest.FromString(message), CALLER).SerializeToString()


def _seconds(served: ServedVersion, columns: Columns) -> float:
    started = time.perf_counter()
    served.answering.kernel.predict(columns)
    return time.perf_counter() - started
