"""Words that no earlier row held: a new kind of text in a few rows of a thousand, which no comparison of bins can see.

A row is novel when its text holds a word that is not in the vocabulary. The question is whether novel rows have become more
frequent than among the reference's rows. Say they have not: then each of the novel rows of both is one of ours with a chance of
r = rows / (rows + reference rows), and that k of K are ours has a chance of at most exp(-evidence), by Chernoff's bound,

    evidence = K * KL(k / K || r) = k * ln(k / (K r)) + (K - k) * ln((K - k) / (K (1 - r)))        when k / K > r, otherwise 0

which holds for one novel row as for thousands; a normal approximation would cry at the first one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from math import log

from canario.drift.budget import ALARMS_PER_DAY, LOOKS_PER_DAY, chance_per_look

MOST_WORDS = 20_000
"""Of a vocabulary; rarer words are strangers, and the reference's own novel rows are counted in the same way."""

MATERIAL_SHARE = 0.001
"""Novel rows above the reference's share that matter to somebody (0 to 1)."""

_WORD = re.compile(r"[^\W\d_]+")


def words_of(text: str) -> list[str]:
    """The words of a text: runs of letters of any alphabet, in lower case."""
    return _WORD.findall(text.lower())


def vocabulary_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The words of many texts, in alphabetical order; the most frequent when there are too many."""
    seen = Counter(word for text in texts for word in set(words_of(text)))
    often = sorted(seen, key=lambda word: (-seen[word], word))[:MOST_WORDS]
    return tuple(sorted(often))


def is_novel(vocabulary: frozenset[str], text: str) -> bool:
    """Whether a text holds an unknown word; a server asks this of every row, so the common case is quick."""
    # Words that are only parted by spaces need no search: the vocabulary holds nothing but words.
    return not (vocabulary.issuperset(text.lower().split()) or vocabulary.issuperset(words_of(text)))


def lonely_rows(texts: Iterable[str]) -> int:
    """The texts that would be novel to all the others: how often a row is novel that comes from the same time (Good 1953)."""
    each = [set(words_of(text)) for text in texts]
    seen = Counter(word for words in each for word in words)
    return sum(any(seen[word] == 1 for word in words) for words in each)


def evidence(novel: float, rows: float, reference_novel: float, reference_rows: float) -> float:
    """How strongly the counts speak for more novel rows than before, in natural logarithms; 0 when there are no more."""
    total = novel + reference_novel
    ours = rows / (rows + reference_rows) if rows and reference_rows else 1.0
    if not total or novel / total <= ours:
        return 0.0
    theirs = reference_novel * log(reference_novel / (total * (1 - ours))) if reference_novel else 0.0
    return novel * log(novel / (total * ours)) + theirs


def evidence_limit(columns: int, alarms_per_day: float = ALARMS_PER_DAY, looks_per_day: float = LOOKS_PER_DAY) -> float:
    """The evidence that chance alone exceeds no more often than a column's part of the budget allows."""
    return -log(chance_per_look(columns, alarms_per_day, looks_per_day))
