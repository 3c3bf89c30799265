"""Clients of other makers reach both models through the router: Triton's own, over REST and gRPC on one port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from canario.model.card import Card, ColumnKind
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.processes import free_port
from demo.rows import sample_rows

ROWS = 200
DTYPES = {ColumnKind.NUMBER: np.float64, ColumnKind.INTEGER: np.int64, ColumnKind.BOOLEAN: np.bool_}
DATATYPES = {ColumnKind.NUMBER: "FP64", ColumnKind.INTEGER: "INT64", ColumnKind.BOOLEAN: "BOOL"}


def tensors(card: Card, rows: list[dict[str, Any]]) -> dict[str, tuple[np.ndarray[Any, Any], str]]:
    """Rows as the protocol wants them: one tensor for all-numeric models, one input a column otherwise."""
    columns: dict[str, np.ndarray[Any, Any]] = {
        column.name: np.array(
            [np.nan if row[column.name] is None else row[column.name] for row in rows],
            dtype=DTYPES.get(column.kind, np.object_),
        )
        for column in card.columns
    }
    if card.is_numeric:
        return {"input": (np.column_stack([values.astype(np.float64) for values in columns.values()]), "FP64")}
    return {column.name: (columns[column.name], DATATYPES.get(column.kind, "BYTES")) for column in card.columns}


def scores(client: Any, module: Any, model: str, inputs: dict[str, tuple[np.ndarray[Any, Any], str]]) -> Any:
    """The scores that a client gets for the tensors."""
    asked = []
    for name, (values, datatype) in inputs.items():
        asked.append(module.InferInput(name, list(values.shape), datatype))
        asked[-1].set_data_from_numpy(values)
    return client.infer(model, asked).as_numpy("score").ravel()


@pytest.mark.real
@pytest.mark.timeout(240)
@pytest.mark.parametrize("model", ["fraud", "loan"])
def test_tritons_clients_get_the_same_bits_through_the_router(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton's REST and gRPC clients infer on one port, and their answers are the same to the last bit."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path / "canario"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    version = train(load_room(model), TrainingRequest(tag="v1"))
    inputs = tensors(version.card(), sample_rows(model, most=ROWS))
    platform, port = LocalPlatform(model), free_port()
    platform.up(version, port=port, processes=1)
    try:
        with tritonclient.http.InferenceServerClient(f"127.0.0.1:{port}") as rest:
            over_rest = scores(rest, tritonclient.http, model, inputs)
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as grpc:
            over_grpc = scores(grpc, tritonclient.grpc, model, inputs)
    finally:
        platform.down()
    assert over_rest.shape == (ROWS,)
    assert over_rest.tobytes() == over_grpc.tobytes()
    assert len(np.unique(over_rest)) > ROWS // 10
