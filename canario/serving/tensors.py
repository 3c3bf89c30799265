"""Tensors of the Open Inference Protocol, whichever way they travel: a model's inputs and outputs, and their bytes.

A model whose columns are all numeric takes one tensor `input`, FP64 [n, columns]; any other takes one tensor a column,
[n] or [n, 1]. A value that is missing is NaN in FP64 and empty in BYTES.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.errors import InputError, TooLarge
from canario.kernel.checks import CardCheck
from canario.kernel.columns import dtype_of
from canario.kernel.limits import Limits
from canario.kernel.predictions import Predictions
from canario.model.card import Card, Column, Task

MATRIX = "input"
WIRE_TYPES = {"FP64": np.dtype("<f8"), "INT64": np.dtype("<i8"), "BOOL": np.dtype(np.bool_)}
_REFUSED_PARAMETERS = ("shared_memory_region", "classification")
_DATATYPES = {"f": "FP64", "i": "INT64", "b": "BOOL", "O": "BYTES"}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor as metadata tells of it; -1 in its shape is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorHead:
    """A tensor as a request tells of it, before its content is looked at."""

    name: str
    datatype: str
    shape: Sequence[int]


_IN_MATRIX = re.compile(r"data(?:\[\d+\])?\[(?P<cell>\d+)\]$")
"""The path of a cell in a matrix: flat, or row by row."""

Content = Callable[[int, str, int], NDArray[Any]]
"""The flat content of a request's tensor: its place, its datatype and how many values it must have."""


def datatype_of(column: Column) -> str:
    """The datatype that carries a column: FP64, INT64, BOOL or BYTES."""
    return _DATATYPES[dtype_of(column).kind]


def input_specs(card: Card) -> tuple[TensorSpec, ...]:
    """What the model takes."""
    if card.is_numeric:
        return (TensorSpec(MATRIX, "FP64", (-1, len(card.columns))),)
    return tuple(TensorSpec(column.name, datatype_of(column), (-1,)) for column in card.columns)


def output_specs(card: Card) -> tuple[TensorSpec, ...]:
    """What the model answers: label, score and, with more than two classes, the probability of each."""
    regression = card.label.task is Task.REGRESSION
    specs = [TensorSpec("label", "FP64" if regression else "BYTES", (-1,)), TensorSpec("score", "FP64", (-1,))]
    if len(card.label.classes) > 2:
        specs.append(TensorSpec("probabilities", "FP64", (-1, len(card.label.classes))))
    return tuple(specs)


def output_values(name: str, predictions: Predictions) -> NDArray[Any]:
    """The content of an output, in its shape."""
    if name == "label":
        return predictions.labels
    if name == "score":
        return predictions.scores
    assert predictions.probabilities is not None, "only models with classes have this output"  # noqa: S101 - for types
    return predictions.probabilities


class TensorsCodec:
    """Reads the columns out of a request's tensors; made once for a card."""

    def __init__(self, card: Card, limits: Limits) -> None:
        self.inputs = input_specs(card)
        self.outputs = output_specs(card)
        self._output_names = [spec.name for spec in self.outputs]
        self._places = {spec.name: place for place, spec in enumerate(self.inputs)}
        self._card = card
        self._limits = limits
        self._check = CardCheck(card)
        self._is_matrix = card.is_numeric
        self.never_null = frozenset(
            column.name for column in card.columns if not column.nullable and datatype_of(column) == "BYTES"
        )
        """The columns of words that may be empty, perhaps, but not missing."""

    def columns(self, heads: Sequence[TensorHead], content: Content) -> dict[str, NDArray[Any]]:
        """The card's columns. Raises InputError with a path such as `inputs[0].data[3]`."""
        order = self._order(heads)
        rows = self._rows(heads)
        if self._is_matrix:
            return self._from_matrix(rows, content)
        numbers = np.empty((len(self._check.numeric), rows))
        for index, column in enumerate(self._check.numeric):
            numbers[index] = _of_column(content, order[column], self.inputs[column], rows)
        words = {
            spec.name: _of_column(content, place, spec, rows)
            for spec, place in zip(self.inputs, order, strict=True)
            if spec.datatype == "BYTES"
        }
        return self._check.fitted(numbers, words, lambda row, column: f"inputs[{order[column]}].data[{row}]")

    def wanted(self, names: Sequence[str]) -> Sequence[str]:
        """The outputs that a request asks for; all when it names none. Raises InputError for one that is not there."""
        if not names:
            return self._output_names
        for place, name in enumerate(names):
            if name not in self._output_names:
                raise InputError(
                    f"there is no output {name[:60]!r}",
                    at=f"outputs[{place}].name",
                    hint=f"the outputs are: {', '.join(self._output_names)}",
                )
            if name in names[:place]:
                raise InputError(f"the output {name} is asked for twice", at=f"outputs[{place}].name")
        return names

    def _order(self, heads: Sequence[TensorHead]) -> list[int]:
        """Where in the request each input is."""
        places: dict[str, int] = {}
        for place, head in enumerate(heads):
            if head.name not in self._places:
                raise InputError(
                    f"there is no input {head.name[:60]!r}", at=f"inputs[{place}].name", hint=self._inputs_hint()
                )
            if head.name in places:
                raise InputError(f"the input {head.name} is there twice", at=f"inputs[{place}].name")
            places[head.name] = place
            self._check_head(place, head, self.inputs[self._places[head.name]])
        missing = [spec.name for spec in self.inputs if spec.name not in places]
        if missing:
            column = "" if self._is_matrix else missing[0]
            raise InputError(f"the input {missing[0]} is missing", at="inputs", hint=self._inputs_hint(), column=column)
        return [places[spec.name] for spec in self.inputs]

    def _check_head(self, place: int, head: TensorHead, spec: TensorSpec) -> None:
        if head.datatype != spec.datatype:
            raise InputError(
                f"{spec.name} has datatype {spec.datatype}, not {head.datatype[:20]!r}",
                at=f"inputs[{place}].datatype",
                hint="convert it before sending: nothing is rounded or widened here",
                column="" if self._is_matrix else spec.name,
            )
        shape = tuple(head.shape)
        further = ((spec.shape[1],),) if self._is_matrix else ((), (1,))
        if not shape or shape[0] < 0 or shape[1:] not in further:
            wanted = f"[n, {spec.shape[1]}]" if self._is_matrix else "[n] or [n, 1]"
            raise InputError(
                f"{spec.name} has shape {wanted}, not {list(shape[:8])}",
                at=f"inputs[{place}].shape",
                hint=self._inputs_hint(),
            )

    def _rows(self, heads: Sequence[TensorHead]) -> int:
        rows = heads[0].shape[0]
        for place, head in enumerate(heads):
            if head.shape[0] != rows:
                raise InputError(
                    f"{head.name} has {head.shape[0]} rows where {heads[0].name} has {rows}",
                    at=f"inputs[{place}].shape",
                )
        if rows == 0:
            raise InputError("there is no row", at="inputs[0].shape", hint="send at least one")
        if rows > self._limits.most_rows:
            raise TooLarge(
                f"{rows} rows are too many",
                at="inputs[0].shape",
                hint=f"send at most {self._limits.most_rows} rows in one request",
            )
        return rows

    def _from_matrix(self, rows: int, content: Content) -> dict[str, NDArray[Any]]:
        width = len(self._card.columns)
        try:
            flat = content(0, "FP64", rows * width)
        except InputError as wrong:
            found = _IN_MATRIX.search(wrong.at)
            if found:
                wrong.column = self._card.columns[int(found["cell"]) % width].name
            raise
        numbers = np.ascontiguousarray(flat.reshape(rows, width).T)
        return self._check.fitted(numbers, {}, lambda row, column: f"inputs[0].data[{row * width + column}]")

    def _inputs_hint(self) -> str:
        if self._is_matrix:
            return f"one input, FP64 [n, {len(self._card.columns)}]: {', '.join(self._card.column_names)}"
        return "one input a column: " + ", ".join(f"{spec.name} {spec.datatype}" for spec in self.inputs)


def _of_column(content: Content, place: int, spec: TensorSpec, rows: int) -> NDArray[Any]:
    """A column's content. What is wrong with it is wrong with this column."""
    try:
        return content(place, spec.datatype, rows)
    except InputError as wrong:
        wrong.column = wrong.column or spec.name
        raise


def refuse_parameters(names: Collection[str], at: str) -> None:
    """Raises InputError for a tensor's parameter that would change the answer and is not supported."""
    for name in _REFUSED_PARAMETERS:
        if name in names:
            raise InputError(f"{name} is not supported", at=f"{at}.{name}", hint="leave it out")


def from_wire(datatype: str, raw: bytes, count: int, at: str, place: int) -> NDArray[Any]:
    """The flat values of a tensor's bytes. Raises InputError when they are not exactly `count` values."""
    if datatype == "BYTES":
        return _words_from_wire(raw, count, at, place)
    wire = WIRE_TYPES[datatype]
    if len(raw) != count * wire.itemsize:
        raise InputError(
            f"{len(raw)} bytes are not {count} values of {datatype}", at=at, hint=f"send {count * wire.itemsize} bytes"
        )
    values = np.frombuffer(raw, dtype=wire)
    if datatype == "BOOL" and (np.frombuffer(raw, dtype=np.uint8) > 1).any():
        raise InputError("a byte of a BOOL is neither 0 nor 1", at=at)
    return values


def _words_from_wire(raw: bytes, count: int, at: str, place: int) -> NDArray[Any]:
    words: list[bytes] = []
    offset = 0
    while offset < len(raw) and len(words) < count:
        end = offset + 4
        size = int.from_bytes(raw[offset:end], "little")
        if end + size > len(raw):
            raise InputError(f"element {len(words)} claims {size} bytes, more than there are", at=at)
        words.append(raw[end : end + size])
        offset = end + size
    if len(words) != count or offset != len(raw):
        raise InputError(
            f"the bytes are not {count} elements",
            at=at,
            hint="each element is its length, 4 bytes little-endian, and itself",
        )
    return words_of(words, place)


def words_of(words: Sequence[bytes], place: int) -> NDArray[Any]:
    """Elements of a BYTES tensor as text. Raises InputError when one is not UTF-8."""
    values = np.empty(len(words), dtype=object)
    for index, word in enumerate(words):
        try:
            values[index] = word.decode()
        except UnicodeDecodeError as broken:
            raise InputError(f"this is not UTF-8: {broken}", at=f"inputs[{place}].data[{index}]") from broken
    return values


def to_wire(values: NDArray[Any]) -> bytes:
    """A tensor's bytes, row by row."""
    if values.dtype.kind == "O":
        encoded = [word.encode() for word in values.tolist()]
        return b"".join([part for word in encoded for part in (struct.pack("<I", len(word)), word)])
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
