"""Answer columns with predictions and log them before the answer leaves; the one way to the kernel for every protocol."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from canario.errors import Unavailable
from canario.feedback.log import PredictionLog
from canario.kernel.kernel import Columns, Kernel
from canario.kernel.predictions import Predictions
from canario.kernel.rows import json_cells
from canario.model.card import Card
from canario.model.feedback import Prediction, Value
from canario.model.version import VersionName
from canario.serving.metrics import Metrics
from canario.serving.request_metrics import Protocol

_SAFE_REQUEST = re.compile(r"[A-Za-z0-9_.-]{1,64}")
REQUEST_HEADER = "x-request-id"
SHADOW_HEADER = "x-canario-shadow"
"""What the router adds to a copied request; a gRPC server cannot see the host."""
SHADOW_SUFFIX = "-shadow"
"""What Envoy appends to the host of a copied request."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the request's id, whether it is a copy whose answer nobody sees, and how it came."""

    request: str
    shadow: bool
    protocol: Protocol


def caller_of(header: Callable[[str], str], protocol: Protocol) -> Caller:
    """The caller by the request's headers, "" for one that is absent; an id that is absent or unsafe is replaced."""
    request = header(REQUEST_HEADER)
    safe = request if _SAFE_REQUEST.fullmatch(request) else secrets.token_hex(12)
    is_shadow = header(SHADOW_HEADER) != "" or header("host").partition(":")[0].endswith(SHADOW_SUFFIX)
    return Caller(safe, is_shadow, protocol)


class Answering:
    """A loaded version that answers."""

    def __init__(self, name: VersionName, card: Card, kernel: Kernel, metrics: Metrics) -> None:
        self.name = name
        self.card = card
        self.kernel = kernel
        self._names = card.column_names
        self._rows_counted = metrics.rows
        self.log: PredictionLog | None = None
        """Where answers are written; None until the version is warm."""

    def answer(self, columns: Columns, caller: Caller) -> Predictions:
        """Predictions for the columns, logged and counted once the version is warm. Raises KernelError when the model itself fails."""
        predictions = self.kernel.predict(columns)
        if self.log is None:
            return predictions
        cells = [json_cells(column, columns[column.name]) for column in self.card.columns]
        try:
            self.log.append(self._rows(cells, predictions, caller))
        except Unavailable:
            # A full disk must not take the model down; quality is then judged on fewer rows, which holds a rollout.
            logger.exception("predictions are answered without being logged")
            self._rows_counted.count_unlogged(len(predictions.scores))
        if caller.shadow:
            self._rows_counted.count_copies(len(predictions.scores))
        else:
            self._rows_counted.count(caller.protocol, columns, cells, predictions.scores)
        return predictions

    def prediction_prefix(self, caller: Caller) -> str:
        """What the ids of a request's predictions begin with; the row's number follows: `<tag>.<request>.<row>`."""
        return f"{self.name.tag}.{caller.request}."

    def _rows(self, cells: Sequence[Sequence[Value]], predictions: Predictions, caller: Caller) -> list[Prediction]:
        now = time.time()
        prefix = self.prediction_prefix(caller)
        labels, scores = predictions.labels.tolist(), predictions.scores.tolist()
        return [
            Prediction(
                prediction=f"{prefix}{row}",
                request=caller.request,
                row=row,
                model=self.name.model,
                version=self.name.tag,
                at_seconds=now,
                label=labels[row],
                score=scores[row],
                shadow=caller.shadow,
                values=dict(zip(self._names, values, strict=True)),
            )
            for row, values in enumerate(zip(*cells, strict=True))
        ]
