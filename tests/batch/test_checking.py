"""Tables against the card: the same words as REST, for any cell, and whole files that cannot be right."""

from __future__ import annotations

import decimal
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from canario.batch.checking import TableCheck
from canario.errors import InputError
from canario.kernel.columns import columns_from_frame
from canario.kernel.limits import Limits
from canario.kernel.rows import RowsCodec
from tests.serving.small_versions import SHOP, shop_rows

Cell = float | int | bool | str | None

TYPES: dict[str, pa.DataType] = {
    "amount": pa.float64(),
    "age": pa.float64(),
    "member": pa.bool_(),
    "country": pa.string(),
    "note": pa.string(),
    "distance": pa.float64(),
    "visits": pa.int64(),
    "referrer": pa.string(),
}
NUMBERS = st.one_of(
    st.none(), st.integers(-3, 130), st.floats(-10, 1200), st.floats(allow_nan=False, allow_infinity=False)
)
WORDS = st.one_of(st.none(), st.sampled_from(["PT", "ES", "friend", "ad", "", "XX"]), st.text(max_size=25))
ROWS = st.fixed_dictionaries(
    {
        "amount": NUMBERS,
        "age": NUMBERS,
        "member": st.sampled_from([True, False, None]),
        "country": WORDS,
        "note": WORDS,
        "distance": NUMBERS,
        "visits": st.none() | st.integers(-(2**60), 2**60) | st.integers(-1, 9),
        "referrer": WORDS,
    }
)
TEXT_NUMBERS = st.sampled_from(
    ["1", "1.5", " 2 ", "+3", "1e3", "1e999", "-0", "", "x", "1,5", "0x10", "nan", "inf", "Infinity", "1_0", "5.", ".5"]
)


@pytest.fixture(scope="module")
def check() -> TableCheck:
    return TableCheck(SHOP)


@pytest.fixture(scope="module")
def rest() -> RowsCodec:
    """What `POST /predict` reads rows with."""
    return RowsCodec(SHOP, Limits())


def batch_of(rows: list[dict[str, Any]], **types: pa.DataType) -> pa.RecordBatch:
    fields = {name: pa.array([row[name] for row in rows], {**TYPES, **types}[name]) for name in TYPES}
    return pa.RecordBatch.from_pydict(fields)


def good_row(**changes: Cell) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        "amount": 10.0,
        "age": 40.0,
        "member": True,
        "country": "PT",
        "note": "hi",
        "distance": None,
        "visits": 3,
        "referrer": "ad",
    }
    return row | changes


def said_by_rest(rest: RowsCodec, row: dict[str, Any]) -> str | dict[str, Any]:
    """The reason that REST gives, or the columns, for a row whose values stand in the order of the card."""
    try:
        return rest.columns(msgspec.json.encode({name: row[name] for name in TYPES}))
    except InputError as misfit:
        return misfit.message


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=6))
def test_each_row_is_judged_as_rest_judges_it(check: TableCheck, rest: RowsCodec, rows: list[dict[str, Any]]) -> None:
    """Whatever stands in a table, a row fits if REST takes it, with the same values, and is refused with the same words."""
    fitted = check.fit(batch_of(rows))
    reasons, place = iter(fitted.reasons), 0
    for row, fits in zip(rows, fitted.fits, strict=True):
        said = said_by_rest(rest, row)
        assert isinstance(said, dict) is bool(fits), (row, said)
        if isinstance(said, dict):
            for name, value in said.items():
                found = fitted.columns[name]
                assert found.dtype == value.dtype
                assert np.array_equal(found[place : place + 1], value, equal_nan=value.dtype.kind == "f")
            place += 1
        else:
            assert next(reasons) == said
    assert next(reasons, None) is None
    assert all(name in reason for name, reason in zip(fitted.wrong_columns, fitted.reasons, strict=True))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=6))
def test_how_a_table_keeps_its_words_changes_nothing(check: TableCheck, rows: list[dict[str, Any]]) -> None:
    """Words as a dictionary, as views or as large strings are judged as plain words are."""
    plain = check.fit(batch_of(rows))
    for type_ in (pa.dictionary(pa.int32(), pa.string()), pa.string_view(), pa.large_string()):
        batch = batch_of(rows)
        for name in ("country", "note", "referrer"):
            words = batch.column(name)
            other = words.dictionary_encode() if pa.types.is_dictionary(type_) else words.cast(type_)
            batch = batch.set_column(batch.schema.get_field_index(name), name, other)
        fitted = check.fit(batch)
        assert fitted.reasons == plain.reasons
        assert all((fitted.columns[name] == plain.columns[name]).all() for name in ("country", "note", "referrer"))


@settings(max_examples=300, deadline=None)
@given(
    text=TEXT_NUMBERS | st.text(max_size=8) | st.floats().map(repr),
    name=st.sampled_from(["amount", "visits", "member"]),
)
@example(text="1e999", name="amount")
def test_what_a_text_means_does_not_depend_on_its_neighbours(check: TableCheck, text: str, name: str) -> None:
    """A number in a CSV is read as the same number, or refused with the same words, whatever stands above and below it."""
    alone = check.fit(batch_of([good_row(**{name: text})], **{name: pa.string()}))
    for other in ("x", "", "1"):
        rows = [good_row(**{name: other}), good_row(**{name: text})]
        beside = check.fit(batch_of(rows, **{name: pa.string()}))
        assert beside.fits[1] == alone.fits[0]
        if alone.all_fit:
            assert np.array_equal(beside.columns[name][-1:], alone.columns[name], equal_nan=True)
        else:
            assert beside.reasons[-1] == alone.reasons[0]


@given(number=st.floats(0, 1000))
def test_a_number_in_text_keeps_every_bit(check: TableCheck, number: float) -> None:
    """The shortest text of a float64 is read as that very float64."""
    fitted = check.fit(batch_of([good_row(amount=repr(number))], amount=pa.string()))
    assert fitted.columns["amount"][0] == number


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("amount", "ten", "amount does not fit: Expected `float`, got `str`"),
        ("amount", "", "amount does not fit: Expected `float`, got `null`"),
        ("amount", "nan", "amount must not be empty (null or NaN)"),
        ("age", "40.5", "age is 40.5, which is not allowed"),
        ("member", "perhaps", "member does not fit: Expected `bool`, got `str`"),
        ("visits", "some", "visits does not fit: Expected `float | null`, got `str`"),
    ],
)
def test_texts_that_are_no_numbers_are_told_apart(check: TableCheck, name: str, text: str, reason: str) -> None:
    """A cell of a CSV that is no number, empty, or out of the card's bounds is refused with what is wrong with it."""
    fitted = check.fit(batch_of([good_row(**{name: text}), good_row(**{name: "1"})], **{name: pa.string()}))
    assert fitted.reasons == (reason,)
    assert fitted.fits.tolist() == [False, True]
    assert fitted.wrong_columns == (name,)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (pa.int8(), 40),
        (pa.uint64(), 40),
        (pa.float32(), 40.0),
        (pa.decimal128(10, 2), decimal.Decimal(40)),
        (pa.string(), "40.0"),
        (pa.dictionary(pa.int8(), pa.int64()), 40),
    ],
)
def test_any_type_of_number_is_a_number(check: TableCheck, type_: pa.DataType, value: Any) -> None:
    """Tables from other programs keep numbers in other types; what they mean is the same."""
    fitted = check.fit(batch_of([good_row(age=value)] * 2, age=type_))
    assert fitted.columns["age"].tolist() == [40, 40]
    assert fitted.columns["age"].dtype == np.int64


@pytest.mark.parametrize("words", [["true", "FALSE", "1", "0"], [True, False, True, False], [1.0, 0.0, 1.0, 0.0]])
def test_truth_values_come_in_many_clothes(check: TableCheck, words: list[Any]) -> None:
    """True and false may be words, truth values, or the 1 and 0 that other programs write."""
    fitted = check.fit(batch_of([good_row(member=word) for word in words], member=pa.array(words).type))
    assert fitted.columns["member"].tolist() == [True, False, True, False]


def test_all_that_is_wrong_with_a_table_is_told_at_once(check: TableCheck) -> None:
    """A table that can never fit is refused as a whole, with all missing, doubled and unreadable columns."""
    batch = batch_of([good_row()]).drop_columns(["age", "country"])
    batch = batch.set_column(0, "amount", pa.array([0], pa.timestamp("s"))).append_column("note", pa.array(["again"]))
    with pytest.raises(InputError) as refused:
        check.fit(batch)
    assert "no column age, country" in str(refused.value)
    assert "amount is a number, which cannot be read from timestamp[s]" in str(refused.value)
    assert "the column note is there 2 times" in str(refused.value)
    assert "distance" in refused.value.hint


def test_a_column_of_nothing_is_null(check: TableCheck) -> None:
    """A column in which a program wrote nothing at all is empty cells, which only some columns may have."""
    fitted = check.fit(
        batch_of([good_row(visits=None, distance=None, referrer=None)], visits=pa.null(), referrer=pa.null())
    )
    assert fitted.all_fit
    assert fitted.columns["referrer"].tolist() == [""]
    fitted = check.fit(batch_of([good_row(country=None)], country=pa.null()))
    assert fitted.reasons == ("country does not fit: Expected `str`, got `null`",)


def test_words_that_are_not_utf8_are_refused_one_by_one(check: TableCheck) -> None:
    """Bytes that are no UTF-8 make their own row unfit, and no other."""
    batch = batch_of([good_row(), good_row(), good_row(country="XX")])
    for name in ("note", "country"):
        words = pa.array([b"PT", b"\xff\xfe", b"ES"], pa.binary())
        place = batch.schema.get_field_index(name)
        for broken in (words, words.cast(pa.string(), safe=False) if name == "note" else words):
            fitted = check.fit(batch.set_column(place, name, broken))
            assert fitted.reasons[0] == f"{name} does not fit: it is not UTF-8"
            assert fitted.fits[:2].tolist() == [True, False]


def test_other_columns_are_left_out(check: TableCheck) -> None:
    """A table may have more columns than the card, such as an id."""
    fitted = check.fit(batch_of([good_row()]).append_column("id", pa.array(["a"])))
    assert tuple(fitted.columns) == SHOP.column_names


def test_an_empty_batch_is_no_error(check: TableCheck) -> None:
    """No rows are checked as well as many."""
    fitted = check.fit(batch_of([]))
    assert (len(fitted.fits), fitted.reasons, len(fitted.columns["note"])) == (0, (), 0)


def test_many_rows_are_what_memory_has(check: TableCheck) -> None:
    """A table written from a frame gives the columns that a model is trained on."""
    rows = shop_rows(5000)
    table = pa.Table.from_pandas(rows, preserve_index=False).combine_chunks()
    fitted = check.fit(table.to_batches()[0])
    assert fitted.all_fit
    for name, values in columns_from_frame(SHOP, rows).items():
        assert fitted.columns[name].dtype == values.dtype
        assert np.array_equal(fitted.columns[name], values, equal_nan=values.dtype.kind == "f")
