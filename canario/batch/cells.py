"""One column of a record batch as numbers or words, and which cells it has no value in; what the card allows is for `checking`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from canario.model.card import Column, ColumnKind

NUMBER_TEXT = r"(?i)^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$|^[+-]?(nan|inf|infinity)$"
"""A number as people and programs write it; the rest is no number."""
FALSE_WORDS, TRUE_WORDS = ("false", "0", "0.0"), ("true", "1", "1.0")
NOT_UTF8 = "it is not UTF-8"

pc: Any = pyarrow.compute
"""Its stubs mistake arrays for scalars."""
Mask = NDArray[np.bool_]
Array: TypeAlias = Any
"""A pyarrow.Array; its stubs do not know what depends on the type of its cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One column's values; each mask is None when there is no such cell."""

    values: NDArray[Any]
    """Numbers of any numeric type, NaN (or 0 in whole ones) where there is none; or words, "" where there is none."""
    null: Mask | None = None
    unreadable: Mask | None = None
    """Texts that should be numbers and are not, or are not UTF-8."""
    not_allowed: Mask | None = None
    """Words that the card does not allow."""


def is_readable(column: Column, type_: pa.DataType) -> bool:
    """Whether cells of a type can be a column's values. What JSON would not take, a number for a word, is not taken here."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_null(type_):
        return True
    if not column.kind.is_numeric:
        return _is_text(type_) or pa.types.is_binary(type_) or pa.types.is_large_binary(type_)
    if pa.types.is_boolean(type_):
        return column.kind is ColumnKind.BOOLEAN
    return _is_text(type_) or pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def read_numbers(column: Column, array: Array) -> Cells:
    """The numbers of a column, from numbers, truth values, or texts."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.string())  # its own way to float64 may be off by a bit
    unreadable = None
    if _is_text(array.type):
        parse = _parsed_truths if column.kind is ColumnKind.BOOLEAN else _parsed_numbers
        array, unreadable = parse(array.cast(pa.string()))
    null = _mask(array.is_null()) if array.null_count else None
    if null is not None and unreadable is not None:
        null &= ~unreadable
    return Cells(values=_numbers(array), null=null if null is not None and null.any() else None, unreadable=unreadable)


def read_words(column: Column, array: Array, allows: Callable[[str], bool]) -> Cells:
    """The words of a column. Categories are judged once a word, not once a row."""
    unreadable = None
    if pa.types.is_null(array.type):
        array = array.cast(pa.string())
    if not pa.types.is_dictionary(array.type):
        array, unreadable = _utf8(array)
        if column.kind is ColumnKind.CATEGORY:
            array = array.dictionary_encode()
    if pa.types.is_dictionary(array.type):
        return _from_dictionary(array, allows, unreadable)
    null = _mask(array.is_null()) if array.null_count else None
    values = _objects(array.fill_null("") if null is not None else array)
    not_allowed = None
    longest = pc.max(pc.utf8_length(array)).as_py() or 0
    if longest > column.longest_characters:
        not_allowed = ~np.fromiter(map(allows, values), dtype=bool, count=len(values))
    return Cells(values=values, null=_without(null, unreadable), unreadable=unreadable, not_allowed=not_allowed)


def _from_dictionary(array: Array, allows: Callable[[str], bool], unreadable: Mask | None) -> Cells:
    """The words behind the indices; the place after the last word stands for null."""
    texts, bad_texts = _utf8(array.dictionary)
    known = [*texts.to_pylist(), None]
    words = np.empty(len(known), dtype=object)
    words[:] = ["" if word is None else word for word in known]
    indices = array.indices.fill_null(len(texts)) if array.indices.null_count else array.indices
    place = indices.to_numpy(zero_copy_only=False)

    def where(flags: list[bool]) -> Mask | None:
        if not any(flags):
            return None
        mask: Mask = np.array(flags, dtype=bool)[place]
        return mask if mask.any() else None

    broken = [False] * len(known) if bad_texts is None else [*bad_texts.tolist(), False]
    if any(broken):
        unreadable = where(broken)
    is_null = [word is None and not bad for word, bad in zip(known, broken, strict=True)]
    return Cells(
        values=words[place],
        null=_without(where(is_null), unreadable),
        unreadable=unreadable,
        not_allowed=where([word is not None and not allows(word) for word in known]),
    )


def _parsed_numbers(texts: Array) -> tuple[Array, Mask | None]:
    """Texts as float64, empty ones as null, and which are no numbers."""
    try:
        return texts.cast(pa.float64()), None
    except pa.ArrowInvalid:
        pass
    texts = _trimmed(texts)
    looks = pc.match_substring_regex(texts, NUMBER_TEXT).fill_null(pa.scalar(value=True))
    unreadable = ~_mask(looks)
    texts = pc.if_else(looks, texts, pa.scalar(None, pa.string()))
    try:
        numbers = texts.cast(pa.float64())
    except pa.ArrowInvalid:  # one is beyond what float64 holds
        numbers = pa.array([None if text is None else float(text) for text in texts.to_pylist()], pa.float64())
    return numbers, unreadable if unreadable.any() else None


def _parsed_truths(texts: Array) -> tuple[Array, Mask | None]:
    """Texts as true and false, empty ones as null, and which are neither."""
    texts = _trimmed(texts)
    place = pc.index_in(pc.utf8_lower(texts), value_set=pa.array([*FALSE_WORDS, *TRUE_WORDS]))
    unreadable = _mask(pc.and_(pc.is_null(place), pc.is_valid(texts)))
    return pc.greater_equal(place, pa.scalar(len(FALSE_WORDS))), unreadable if unreadable.any() else None


def _trimmed(texts: Array) -> Array:
    texts = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(texts, pa.scalar("")), pa.scalar(None, pa.string()), texts)


def _numbers(array: Array) -> NDArray[Any]:
    """As numpy has them, in memory of their own: scikit-learn does not take what must not be written."""
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if pa.types.is_boolean(array.type):
        if not array.null_count:
            return _mask(array)
        array = array.cast(pa.uint8())
    if array.null_count or not pa.types.is_integer(array.type):
        array = array.cast(pa.float64(), safe=False)
    numbers: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers if numbers.flags.writeable else numbers.copy()


def _utf8(array: Array) -> tuple[Array, Mask | None]:
    """As texts that are UTF-8, null where one is not, and which these are."""
    try:
        texts = array.cast(pa.string())
        texts.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return texts, None
    decoded = [_decoded(content) for content in array.cast(pa.binary()).to_pylist()]
    unreadable = np.array([isinstance(word, bytes) for word in decoded], dtype=bool)
    return pa.array([None if isinstance(word, bytes) else word for word in decoded], pa.string()), unreadable


def _decoded(content: bytes | None) -> str | bytes | None:
    """The text, or the bytes as they are when they are none."""
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return content


def _objects(texts: Array) -> NDArray[np.object_]:
    words: NDArray[np.object_] = texts.to_numpy(zero_copy_only=False)
    return words


def _without(mask: Mask | None, others: Mask | None) -> Mask | None:
    """A mask without the rows of another; None when nothing is left."""
    if mask is None or others is None:
        return mask
    rest = mask & ~others
    return rest if rest.any() else None


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def _mask(array: Array) -> Mask:
    mask: Mask = array.to_numpy(zero_copy_only=False)
    return mask
