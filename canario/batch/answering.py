"""A piece of a table answered: the rows that fit with label and score, the others with the reason; pure but for the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from canario.batch.checking import TableCheck
from canario.batch.loading import LoadedVersion
from canario.batch.reading import Piece, Wanted
from canario.errors import InputError, UsageError
from canario.model.card import ColumnKind, Task

ANSWER_NAMES = ("file", "row", "label", "score", "version")
"""What stands in a part beside the kept columns: where the row came from, and what was answered."""
REJECT_NAMES = ("file", "row", "reason")
"""What stands in a file of rejects before the row itself."""
MOST_COMPARED_CLASSES = 4
"""With more, looking words up is faster than comparing with each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of a piece: each of its rows is in one of the two."""

    answers: pa.RecordBatch
    rejects: pa.RecordBatch | None
    """None: there are none."""

    @property
    def rows(self) -> int:
        return len(self.answers) + (0 if self.rejects is None else len(self.rejects))


class Answerer:
    """Answers the rows of one version's files, a piece at a time."""

    def __init__(self, loaded: LoadedVersion, keep: tuple[str, ...], *, is_asked: bool = True) -> None:
        """`is_asked`: a person has named the columns to keep. Raises UsageError when two would get the same name."""
        card = loaded.card
        keep = tuple(dict.fromkeys(keep))
        self._loaded = loaded
        self._check = TableCheck(card)
        self._keep = keep
        self._is_asked = is_asked
        self._classes = (
            pa.array(card.label.classes, type=pa.string()) if card.label.task is not Task.REGRESSION else None
        )
        self._version = pa.array([str(loaded.name)])
        self.wanted = Wanted(
            names=tuple(dict.fromkeys((*card.column_names, *keep))),
            categories=frozenset(column.name for column in card.columns if column.kind is ColumnKind.CATEGORY),
            texts=frozenset(column.name for column in card.columns if column.kind is ColumnKind.TEXT),
        )
        _refuse_same_names(keep, ANSWER_NAMES)
        _refuse_same_names(self.wanted.names, REJECT_NAMES)

    def check_columns(self, schema: pa.Schema, file: str) -> None:
        """Raise InputError when a file's rows could not be answered, whatever is in them: all that is wrong, at once."""
        try:
            self._check.check_schema(schema)
        except InputError as wrong:
            raise InputError(f"{file}: {wrong.message}", at=wrong.at, hint=wrong.hint, column=wrong.column) from None
        missing = [name for name in self._keep if name not in schema.names]
        if missing:
            raise InputError(
                f"{file} has no column {', '.join(missing)}, which shall be kept",
                at=file,
                hint=(
                    "leave its --keep out, or bring files that all have it"
                    if self._is_asked
                    else "the first file has it, so it is kept; bring files that all have it, or name others with --keep"
                ),
            )

    def answer(self, piece: Piece, file: str) -> Answered:
        """Check and answer the rows of a piece of a file. Raises KernelError when the model itself fails."""
        batch, rows = piece.batch, np.arange(piece.first_row, piece.end)
        reasons = dict(piece.unreadable)
        readable: NDArray[np.intp] | None = None
        if reasons:
            readable = np.setdiff1d(np.arange(len(batch)), list(reasons))
            batch, rows = batch.take(readable), rows[readable]
        fitted = self._check.fit(batch)
        if fitted.all_fit and readable is None:
            return Answered(answers=self._answers(batch, rows, fitted.columns, file), rejects=None)
        misfits = np.flatnonzero(~fitted.fits)
        places = misfits if readable is None else readable[misfits]
        reasons.update(zip(places.tolist(), fitted.reasons, strict=True))
        fitting = batch.filter(pa.array(fitted.fits))
        return Answered(
            answers=self._answers(fitting, rows[fitted.fits], fitted.columns, file),
            rejects=self._rejects(piece, reasons, file),
        )

    def _answers(self, batch: pa.RecordBatch, rows: NDArray[Any], columns: Any, file: str) -> pa.RecordBatch:
        if len(rows):
            answers = self._loaded.answer(columns)
            labels, scores = self._labels(answers.labels), answers.scores
        else:
            labels, scores = self._labels(np.empty(0, dtype=object)), np.empty(0)
        kept = {_beside(name, ANSWER_NAMES): _plain(batch.column(name)) for name in self._keep}
        own = (_repeated(pa.array([file]), len(rows)), pa.array(rows, type=pa.int64()), labels, pa.array(scores))
        version = _repeated(self._version, len(rows))
        return pa.RecordBatch.from_pydict({**kept, **dict(zip(ANSWER_NAMES, (*own, version), strict=True))})

    def _labels(self, labels: NDArray[Any]) -> Any:
        """Labels as codes of the card's few classes, so that no text is made for any row; values of a regression as they are."""
        if self._classes is None:
            return pa.array(labels, type=pa.float64())
        codes: Any
        if len(self._classes) <= MOST_COMPARED_CLASSES:
            codes = np.zeros(len(labels), dtype=np.int32)
            for code, word in enumerate(self._loaded.card.label.classes):
                if code:
                    codes[labels == word] = code
        else:
            codes = pa.compute.index_in(pa.array(labels, type=pa.string()), value_set=self._classes)
        return pa.DictionaryArray.from_arrays(codes, self._classes)

    def _rejects(self, piece: Piece, reasons: dict[int, str], file: str) -> pa.RecordBatch:
        """The rows without an answer as they were read, each with its place and what is wrong."""
        places = sorted(reasons)
        rows = piece.batch.take(pa.array(places, type=pa.int64()))
        values = {_beside(name, REJECT_NAMES): _plain(rows.column(name)) for name in rows.schema.names}
        own = {
            "file": _repeated(pa.array([file]), len(places)),
            "row": pa.array([piece.first_row + place for place in places], type=pa.int64()),
            "reason": pa.array([reasons[place] for place in places], type=pa.string()),
        }
        return pa.RecordBatch.from_pydict({**own, **values})


def _beside(name: str, own: tuple[str, ...]) -> str:
    """What a column of the input is called beside canario's own columns."""
    return f"input.{name}" if name in own else name


def _refuse_same_names(names: tuple[str, ...], own: tuple[str, ...]) -> None:
    for name in names:
        beside = _beside(name, own)
        if beside != name and beside in names:
            raise UsageError(
                f"{name} and {beside} would both be called {beside} in the output",
                at="--keep",
                hint="leave one of them out, or rename it in the input",
            )


def _plain(column: Any) -> Any:
    """A column without codes: which code stands for a word depends on where a file was cut into pieces."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _repeated(word: Any, rows: int) -> Any:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int32), word)
