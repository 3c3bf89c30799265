"""What the detector of new words promises."""

from __future__ import annotations

from math import exp

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from canario.drift.novelty import (
    MOST_WORDS,
    evidence,
    evidence_limit,
    is_novel,
    lonely_rows,
    vocabulary_of,
    words_of,
)


def test_words_are_runs_of_letters_of_any_alphabet() -> None:
    """Case, digits and signs make no new words, and accents belong to them."""
    assert words_of("Café 24h, à-la-carte_X") == ["café", "h", "à", "la", "carte", "x"]
    known = frozenset(vocabulary_of(["Corner market", "market 24"]))
    assert not is_novel(known, "MARKET corner 99!")
    assert not is_novel(known, "")
    assert is_novel(known, "market customs")


@given(st.lists(st.text(max_size=20), max_size=30))
def test_nothing_that_was_seen_is_novel(texts: list[str]) -> None:
    """No text is novel to a vocabulary that was made from it, and no more rows are lonely than there are."""
    known = frozenset(vocabulary_of(texts))
    assert not any(is_novel(known, text) for text in texts)
    assert 0 <= lonely_rows(texts) <= len(texts)
    assert lonely_rows([*texts, *texts]) == 0


def test_a_vocabulary_is_bounded() -> None:
    """However many words there are, the most frequent are kept, so that a reference stays small."""
    letters = "abcdefghij"
    many = ["".join(letters[int(digit)] for digit in f"{number:05d}") for number in range(MOST_WORDS + 100)]
    kept = vocabulary_of([*many, "often", "often"])
    assert len(kept) == MOST_WORDS
    assert "often" in kept


@given(st.integers(0, 60), st.integers(1, 10_000), st.integers(0, 60), st.integers(1, 10_000))
def test_the_evidence_is_never_stronger_than_chance_allows(ours: int, rows: int, theirs: int, reference: int) -> None:
    """So much evidence comes by chance no more often than exp(-evidence): the exact binomial tail is at most that."""
    found = evidence(ours, rows, theirs, reference)
    exact = binom.sf(ours - 1, ours + theirs, rows / (rows + reference))
    assert exact <= exp(-found) * (1 + 1e-9)
    assert np.isfinite(found)


def test_one_new_word_is_no_alarm_and_one_in_two_hundred_rows_is() -> None:
    """A single new word among 300 rows is chance; seven in 1,500 rows, after 27,000 without one, are not."""
    limit = evidence_limit(columns=12)
    assert evidence(1, 300, 0, 27_000) < limit < evidence(7, 1_500, 0, 27_000)
