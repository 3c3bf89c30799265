"""What a compiled model takes besides its graph: which columns go into which tensor, and how a text becomes counts.

It travels inside the ONNX file, as JSON among its properties. Words of a text are cut and counted here and not in the graph:
ONNX Runtime's own operators for it follow other rules than Python's (its regular expressions, the machine's locale).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from canario.errors import IntegrityError, SignatureMismatch
from canario.kernel.kernel import Columns, rows_of
from canario.model.card import Card

PROPERTY = "canario"
"""The name of the property of the ONNX model that holds this, as JSON."""

NUMBERS = "numbers"
"""The tensor of all numeric columns, float64 [n, columns]."""

WORDS = "words"
"""The tensor of the columns of words that the graph reads as they are, str [n, columns]."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How often each term of a vocabulary stands in a text: scikit-learn's rules for analyzer `word`."""

    tensor: str
    """The graph's input: float64 [n, terms]."""
    column: str
    lowercase: bool
    pattern: str
    """The regular expression, Python's, of a word; its group if it has one."""
    ignored: tuple[str, ...]
    """The stop words."""
    shortest: int
    longest: int
    """The words of a term, at least and at most."""
    binary: bool
    """Whether a term counts once."""
    terms: tuple[str, ...]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    @cached_property
    def _words(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def of(self, texts: NDArray[np.object_]) -> NDArray[np.float64]:
        """The counts of n texts, [n, terms]."""
        counts = np.zeros((len(texts), len(self.terms)))
        for row, text in zip(counts, texts, strict=True):
            for term in self._terms_of(text):
                place = self._place.get(term)
                if place is not None:
                    row[place] = 1.0 if self.binary else row[place] + 1.0
        return counts

    def _terms_of(self, text: str) -> Iterator[str]:
        words = self._words.findall(text.lower() if self.lowercase else text)
        if self.ignored:
            words = [word for word in words if word not in self.ignored]
        for length in range(self.shortest, min(self.longest, len(words)) + 1):
            for start in range(len(words) - length + 1):
                yield " ".join(words[start : start + length])


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The tensors of a compiled model."""

    numbers: tuple[str, ...]
    """The columns of the tensor `numbers`."""
    words: tuple[str, ...]
    """The columns of the tensor `words`."""
    texts: tuple[Counts, ...] = ()

    @cached_property
    def values_a_row(self) -> int:
        """The numbers and words that one row becomes."""
        return len(self.numbers) + len(self.words) + sum(len(text.terms) for text in self.texts)

    @cached_property
    def types(self) -> dict[str, str]:
        """The tensors by name, with their types as ONNX Runtime writes them."""
        return (
            ({NUMBERS: "tensor(double)"} if self.numbers else {})
            | ({WORDS: "tensor(string)"} if self.words else {})
            | {text.tensor: "tensor(double)" for text in self.texts}
        )

    def tensors(self, columns: Columns) -> dict[str, NDArray[np.float64] | NDArray[np.object_]]:
        """The columns of n rows as the graph takes them."""
        rows = rows_of(columns)
        tensors: dict[str, NDArray[np.float64] | NDArray[np.object_]] = {}
        if self.numbers:
            numbers = np.concatenate([columns[name] for name in self.numbers], dtype=np.float64)
            tensors[NUMBERS] = np.ascontiguousarray(numbers.reshape(len(self.numbers), rows).T)
        if self.words:
            words = np.concatenate([columns[name] for name in self.words])
            tensors[WORDS] = np.ascontiguousarray(words.reshape(len(self.words), rows).T)
        for text in self.texts:
            tensors[text.tensor] = text.of(columns[text.column])
        return tensors

    def check(self, card: Card) -> None:
        """Raise SignatureMismatch unless the card has the columns, of the right kinds."""
        numeric = {column.name: column.kind.is_numeric for column in card.columns}
        wanted = {
            **dict.fromkeys(self.numbers, True),
            **dict.fromkeys((*self.words, *(t.column for t in self.texts)), False),
        }
        wrong = [name for name, kind in wanted.items() if numeric.get(name) is not kind]
        if wrong:
            raise SignatureMismatch(
                f"the model takes columns that the card does not have: {', '.join(wrong)}",
                at="columns",
                hint="model and card belong to different versions",
            )


def encode(inputs: Inputs) -> str:
    """As the property of an ONNX model."""
    return msgspec.json.encode(inputs).decode()


def decode(text: str) -> Inputs:
    """From the property of an ONNX model. Raises IntegrityError when it is not what canario wrote."""
    try:
        inputs = msgspec.json.decode(text, type=Inputs)
        for each in inputs.texts:
            re.compile(each.pattern)
    except (msgspec.DecodeError, msgspec.ValidationError, re.error) as broken:
        raise IntegrityError(f"the model's property {PROPERTY!r} is not what was written: {broken}") from broken
    return inputs
