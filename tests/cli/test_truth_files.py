"""Files of truths as people have them: what is wrong with one line costs that line, and is told with its number."""

from __future__ import annotations

import io

import pytest

from canario.cli.truth_files import members
from canario.errors import InputError, UsageError
from canario.feedback.incoming import SentTruth


def read(content: str | bytes, *, numbers: bool = False) -> tuple[dict[int, object], dict[int, str]]:
    """The truths by their lines' numbers, and what was refused, by theirs."""
    raw = content.encode() if isinstance(content, str) else content
    found = list(members(io.BytesIO(raw), truths_are_numbers=numbers))
    return (
        {number: each for number, each in found if not isinstance(each, InputError)},
        {number: each.message for number, each in found if isinstance(each, InputError)},
    )


def test_a_stray_quote_costs_its_own_line_only() -> None:
    """A remark with a quote that nobody closed is refused in its line; all the rows after it count."""
    rows = [f"v1.aa.{row},fraud,ok" for row in range(1, 1000)]
    taken, refused = read("\n".join(["prediction_id,truth,comment", 'v1.aa.0,fraud,"customer called', *rows]))
    assert len(taken) == 999
    assert list(refused) == [2]
    assert "CSV" in refused[2]


def test_what_follows_a_closing_quote_is_refused() -> None:
    """Text after a closing quote is a mistake in the file, not a part of the truth."""
    taken, refused = read('prediction_id,truth\nv1.a.0,"clean"fraud\nv1.a.1,"fraud"\n')
    assert (list(taken), list(refused)) == ([3], [2])


def test_a_quoted_line_break_swallows_nothing() -> None:
    """Two stray quotes in two rows do not make one row of all that stands between them."""
    taken, refused = read('prediction_id,truth,comment\nv1.a.0,fraud,"x\nv1.a.1,fraud,y\nv1.a.2,fraud,"z\n')
    assert (list(taken), list(refused)) == ([3], [2, 4])


@pytest.mark.parametrize("line", ["v1.a.0,1,234.5", "v1.a.0,1234,5", "v1.a.0,1_000", 'v1.a.0,"1,5"'])
def test_a_number_of_another_notation_is_refused(line: str) -> None:
    """A comma for thousands or decimals, or an underscore: refused in words, never kept as another number."""
    taken, refused = read(f"prediction_id,truth\n{line}\nv1.a.1,1234.5\n", numbers=True)
    assert list(refused) == [2]
    assert [each.truth for each in taken.values() if isinstance(each, SentTruth)] == [1234.5]


def test_more_fields_than_the_heading_has_are_told_with_the_way_out() -> None:
    """The refusal says that quotes keep a comma in a value."""
    (wrong,) = (each for _, each in members(io.BytesIO(b"prediction_id,truth\nv1.a.0,1,5\n"), truths_are_numbers=True))
    assert isinstance(wrong, InputError)
    assert "more fields than the heading" in wrong.message
    assert "in quotes" in wrong.hint


def test_a_heading_that_stands_twice_is_refused() -> None:
    """Which of two columns named truth holds the truth is not guessed."""
    with pytest.raises(UsageError, match="two columns truth"):
        read("prediction_id,truth,truth\nv1.a.0,fraud,clean\n")


BOM = b"\xef\xbb\xbf"
LINES = b'{"prediction_id": "v1.a.0", "truth": "fraud"}\n{"prediction_id": "v1.a.1", "truth": "clean"}\n'
LIST = b'[{"prediction_id":"v1.a.0","truth":"fraud"}]'


@pytest.mark.parametrize(
    "before", [BOM, BOM + b"\r\n", b"\n" * 100, b" " * 20_000], ids=["mark", "mark and line", "lines", "blanks"]
)
def test_what_editors_put_before_the_first_label_costs_no_label(before: bytes) -> None:
    """A byte order mark and blank lines are no part of any form: each file gives what it gives without them."""
    skipped = before.count(b"\n")
    taken, refused = read(before + LINES)
    assert ([*taken.values()], list(taken), refused) == (LINES.splitlines(), [1 + skipped, 2 + skipped], {})
    assert read(before + LIST) == ({1: LIST[1:-1]}, {})
    taken, refused = read(before + b"prediction_id,truth\nv1.a.0,fraud\n")
    assert (list(taken), refused) == ([2 + skipped], {})
