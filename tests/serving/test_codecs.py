"""Rows and tensors are two ways to write the same columns."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.errors import InputError
from canario.kernel.checks import LARGEST_INTEGER
from canario.kernel.columns import dtype_of
from canario.kernel.limits import Limits
from canario.kernel.rows import RowsCodec, json_cells
from canario.serving.infer_json import InferRequest
from canario.serving.tensors import TensorsCodec
from tests.serving import sample_requests as samples
from tests.serving.small_versions import RENT, SHOP

ROWS = RowsCodec(SHOP, Limits())
TENSORS = TensorsCodec(SHOP, Limits())
FLAT_ROWS = RowsCodec(RENT, Limits())
FLAT_TENSORS = TensorsCodec(RENT, Limits())

texts = st.text(st.characters(codec="utf-8"), max_size=20)
customers = st.fixed_dictionaries(
    {
        "amount": st.floats(0, 1000),
        "age": st.integers(0, 120),
        "member": st.booleans(),
        "country": st.sampled_from(["PT", "ES", "FR"]),
        "note": texts,
        "distance": st.none() | st.floats(0, allow_infinity=False),
        "visits": st.none() | st.integers(0, LARGEST_INTEGER),
        "referrer": st.sampled_from([None, "friend", "ad"]),
    }
)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether columns are equal to the bit, and of the card's types."""
    assert [values.dtype for values in one.values()] == [dtype_of(column) for column in SHOP.columns]
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes()
        if one[name].dtype != object
        else one[name].tolist() == other[name].tolist()
        for name in one
    )


@settings(deadline=None)
@given(rows=st.lists(customers, min_size=1, max_size=4))
def test_rows_and_tensors_become_the_same_columns(rows: list[dict[str, Any]]) -> None:
    """Whatever fits the card gives the same columns as rows, as JSON tensors and as binary tensors."""
    expected = ROWS.columns(msgspec.json.encode({"rows": rows}))
    request = {
        "inputs": [
            {"name": name, "datatype": datatype, "shape": [len(rows)], "data": [row[name] for row in rows]}
            for name, datatype in samples.DATATYPES.items()
        ]
    }
    assert same(InferRequest(TENSORS, msgspec.json.encode(request), None).columns, expected)
    body, headers = samples.binary(request)
    length = headers["Inference-Header-Content-Length"].encode()
    assert same(InferRequest(TENSORS, body, length).columns, expected)


@settings(deadline=None)
@given(row=customers)
def test_columns_become_the_row_again(row: dict[str, Any]) -> None:
    """What is logged of a row is the row that was sent."""
    columns = ROWS.columns(msgspec.json.encode(row))
    logged = {column.name: json_cells(column, columns[column.name])[0] for column in SHOP.columns}
    assert logged == row
    assert all(type(value) is type(row[name]) for name, value in logged.items())


@settings(deadline=None)
@given(
    area=st.floats(5, 500),
    rooms=st.integers(1, 12) | st.integers(1, 12).map(float),
    lift=st.booleans(),
)
def test_a_matrix_becomes_typed_columns(area: float, rooms: float, lift: bool) -> None:  # noqa: FBT001 - a value of the row
    """One FP64 tensor gives the same whole numbers and booleans as a row of JSON."""
    expected = FLAT_ROWS.columns(msgspec.json.encode({"area": area, "rooms": rooms, "lift": lift}))
    request = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 3], "data": [area, rooms, float(lift)]}]}
    found = InferRequest(FLAT_TENSORS, msgspec.json.encode(request), None).columns
    assert [values.dtype for values in found.values()] == [np.float64, np.int64, np.bool_]
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)


@settings(deadline=None)
@given(visits=st.integers(LARGEST_INTEGER + 1, 10**40))
def test_integers_that_a_float_cannot_carry_are_refused(visits: int) -> None:
    """Where REST and gRPC could differ by rounding, both refuse."""
    with pytest.raises(InputError) as refused:
        ROWS.columns(msgspec.json.encode(samples.customer()).replace(b'"visits":3', b'"visits":%d' % visits))
    assert refused.value.at == "visits"
