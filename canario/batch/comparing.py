"""Two versions side by side on the same file, piece by piece in bounded memory; whether they are alike enough is for canario.quality."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canario.batch.checking import TableCheck
from canario.batch.inputs import Source, sources_of
from canario.batch.loading import LoadedVersion
from canario.batch.reading import Piece, Wanted, pieces_of
from canario.batch.settings import ScoreSettings
from canario.errors import Conflict, InputError, KernelError, UsageError
from canario.kernel.kernel import Columns, rows_from, rows_of
from canario.model.batch import InputFile
from canario.model.card import Card, ColumnKind, Label, Task
from canario.model.preflight import ChangedRow, ClassCount, Comparison, FailedRow

Progress = Callable[[str], None]

SHOWN_ROWS = 10
MOST_FAILURES = 1000
"""So many rows that a model itself fails on are enough: each is found by trying halves, which takes long."""
SECONDS_BETWEEN_WORDS = 2.0


@dataclass(frozen=True, slots=True)
class _Answers:
    """One version's answers to a piece; the label and score of a row without an answer mean nothing."""

    labels: NDArray[Any]
    scores: NDArray[np.float64]
    reasons: Mapping[int, str]
    """Why a row has no answer, by its place in the piece."""


class _Side:
    """One of the two versions."""

    def __init__(self, loaded: LoadedVersion) -> None:
        self.loaded = loaded
        self.check = TableCheck(loaded.card)
        self.failures = 0
        """Rows that fit the card and that the model itself failed on."""

    def check_columns(self, piece: Piece, file: str) -> None:
        """Raise InputError when the file does not have what the version takes."""
        try:
            self.check.check_schema(piece.batch.schema)
        except InputError as wrong:
            raise InputError(
                f"{self.loaded.name} cannot answer {file}: {wrong.message}", at=wrong.at, hint=wrong.hint
            ) from wrong

    def answer(self, piece: Piece) -> _Answers:
        """Answer what can be answered."""
        rows = len(piece.batch)
        is_number = self.loaded.card.label.task is Task.REGRESSION
        labels: NDArray[Any] = np.zeros(rows) if is_number else np.full(rows, "", dtype=object)
        scores = np.zeros(rows)
        fitted = self.check.fit(piece.batch)
        reasons = dict(zip(np.flatnonzero(~fitted.fits).tolist(), fitted.reasons, strict=True))
        reasons.update(piece.unreadable)
        places = np.flatnonzero(fitted.fits)
        for start, found in self._tried(fitted.columns, 0):
            if isinstance(found, KernelError):
                reasons.setdefault(int(places[start]), found.message)
            else:
                where = places[start : start + len(found.scores)]
                labels[where], scores[where] = found.labels, found.scores
        return _Answers(labels, scores, reasons)

    def _tried(self, columns: Columns, start: int) -> Iterator[tuple[int, Any]]:
        """The answers to ranges of rows, or what the model said of a row that it failed on; by their first row."""
        rows = rows_of(columns)
        if not rows:
            return
        try:
            yield start, self.loaded.answer(columns)
        except KernelError as failed:
            if rows == 1 or self.failures >= MOST_FAILURES:
                self.failures += rows
                yield from ((start + row, failed) for row in range(rows))
                return
            yield from self._tried(rows_from(columns, 0, rows // 2), start)
            yield from self._tried(rows_from(columns, rows // 2, rows), start + rows // 2)


@dataclass(slots=True)
class _Sums:
    """What has been compared so far."""

    label: Label
    names: tuple[str, str]
    rows: int = 0
    compared: int = 0
    changed: int = 0
    equal: int = 0
    distance_sum: float = 0.0
    largest_distance: float = 0.0
    only_stable_failed: int = 0
    only_candidate_failed: int = 0
    both_failed: int = 0
    classes: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    furthest: list[tuple[float, int, ChangedRow]] = field(default_factory=list)
    failed: list[FailedRow] = field(default_factory=list)

    def add(self, file: str, piece: Piece, stable: _Answers, candidate: _Answers) -> None:
        """Count a piece that both were asked."""
        self._add_failures(file, piece, stable.reasons, candidate.reasons)
        answered = np.ones(len(piece.batch), dtype=bool)
        answered[list(stable.reasons.keys() | candidate.reasons.keys())] = False
        places = np.flatnonzero(answered)
        distances = np.abs(candidate.scores - stable.scores)[places]
        self.rows += len(piece.batch)
        self.compared += len(places)
        self.equal += int((stable.scores[places] == candidate.scores[places]).sum())
        self.distance_sum += float(distances.sum())
        self.largest_distance = max(self.largest_distance, float(distances.max(initial=0.0)))
        is_changed = _differ(self.label, candidate.labels[places], stable.labels[places])
        self.changed += int(is_changed.sum())
        changed = places[is_changed]
        if self.label.task is not Task.REGRESSION:
            for counts, answers in zip(self.classes, (stable, candidate), strict=True):
                counts.update(answers.labels[places].tolist())
            self.changes.update(zip(stable.labels[changed], candidate.labels[changed], strict=True))
        self._keep_furthest(file, piece, changed, stable, candidate)

    def _add_failures(self, file: str, piece: Piece, stable: Mapping[int, str], candidate: Mapping[int, str]) -> None:
        self.both_failed += len(stable.keys() & candidate.keys())
        self.only_stable_failed += len(stable.keys() - candidate.keys())
        self.only_candidate_failed += len(candidate.keys() - stable.keys())
        for row in sorted(stable.keys() | candidate.keys())[: SHOWN_ROWS - len(self.failed)]:
            who = [name for name, said in zip(self.names, (stable, candidate), strict=True) if row in said]
            reason = candidate.get(row) or stable[row]
            self.failed.append(
                FailedRow(file=file, row=piece.first_row + row, version=" and ".join(who), reason=reason)
            )

    def _keep_furthest(
        self, file: str, piece: Piece, changed: NDArray[np.intp], stable: _Answers, candidate: _Answers
    ) -> None:
        distances = np.abs(candidate.scores - stable.scores)[changed]
        for place in np.argsort(-distances, kind="stable")[:SHOWN_ROWS]:
            row = int(changed[place])
            shown = ChangedRow(
                file=file,
                row=piece.first_row + row,
                stable=_plain(stable.labels[row]),
                candidate=_plain(candidate.labels[row]),
                stable_score=float(stable.scores[row]),
                candidate_score=float(candidate.scores[row]),
            )
            # Of rows equally far apart the first ones stay.
            entry = (float(distances[place]), -(self.rows + row), shown)
            if len(self.furthest) < SHOWN_ROWS:
                heapq.heappush(self.furthest, entry)
            else:
                heapq.heappushpop(self.furthest, entry)

    def whole(self, *, is_whole: bool) -> Comparison:
        """What came of it."""
        return Comparison(
            rows=self.rows,
            compared=self.compared,
            changed=self.changed,
            equal=self.equal,
            mean_distance=self.distance_sum / self.compared if self.compared else 0.0,
            largest_distance=self.largest_distance,
            only_stable_failed=self.only_stable_failed,
            only_candidate_failed=self.only_candidate_failed,
            both_failed=self.both_failed,
            classes=tuple(
                ClassCount(name=name, stable=self.classes[0][name], candidate=self.classes[1][name])
                for name in dict.fromkeys((*self.label.classes, *self.classes[0], *self.classes[1]))
                if self.label.task is not Task.REGRESSION
            ),
            changes={f"{before} -> {after}": number for (before, after), number in self.changes.most_common()},
            changed_rows=tuple(shown for *_, shown in sorted(self.furthest, key=lambda entry: entry[:2], reverse=True)),
            failed_rows=tuple(self.failed),
            is_whole=is_whole,
        )


def compare(
    stable: LoadedVersion, candidate: LoadedVersion, url: str, tell: Progress = lambda _: None
) -> tuple[Comparison, tuple[InputFile, ...]]:
    """Have both versions answer every row of an input (a file, a folder, a pattern, here or in an object store).

    Each checks the rows against its own card. Raises Conflict when their answers are no kind of the same, InputError when
    the input has not the columns that one of them takes, and what reading raises.
    """
    label = stable.card.label
    if label.task is not candidate.card.label.task:
        raise Conflict(
            f"{stable.name} answers with {label.task} and {candidate.name} with {candidate.card.label.task}",
            hint="they cannot be compared; leave --preflight out",
        )
    sides = _Side(stable), _Side(candidate)
    wanted = _wanted(stable.card, candidate.card)
    sums = _Sums(label, (str(stable.name), str(candidate.name)))
    read: list[InputFile] = []
    is_whole = True
    for source in _sources(url):
        is_whole = is_whole and _compare_file(source, wanted, sides, sums, tell)
        if not is_whole:
            break
        rows = sums.rows - sum(file.rows for file in read)
        read.append(InputFile(path=source.name, digest=source.place.digest(), rows=rows))
    return sums.whole(is_whole=is_whole), tuple(read)


def _sources(url: str) -> list[Source]:
    try:
        return sources_of(url, ScoreSettings())
    except UsageError as unknown:
        raise UsageError(
            unknown.message, at=unknown.at, hint="name files that end in .csv, .parquet or .arrow"
        ) from None


def _compare_file(source: Source, wanted: Wanted, sides: tuple[_Side, _Side], sums: _Sums, tell: Progress) -> bool:
    """Compare a file; whether it was read to its end."""
    told_at = time.monotonic()
    for piece in pieces_of(source, wanted):
        for side in sides:
            side.check_columns(piece, source.name)
        if not len(piece.batch):
            continue
        sums.add(source.name, piece, *(side.answer(piece) for side in sides))
        if time.monotonic() - told_at > SECONDS_BETWEEN_WORDS:
            told_at = time.monotonic()
            tell(f"{sums.rows:,} rows compared, {100 * piece.share:.0f} % of {source.name}")
        if any(side.failures >= MOST_FAILURES for side in sides):
            return False
    return True


def _wanted(*cards: Card) -> Wanted:
    columns = [column for card in cards for column in card.columns]

    def named(kind: ColumnKind) -> frozenset[str]:
        return frozenset(column.name for column in columns if column.kind is kind)

    return Wanted(
        names=tuple(dict.fromkeys(column.name for column in columns)),
        categories=named(ColumnKind.CATEGORY) - named(ColumnKind.TEXT),
        texts=named(ColumnKind.TEXT),
    )


def _plain(label: Any) -> str | float:
    """As a record holds it; numpy's own numbers cannot be written down."""
    return label if isinstance(label, str) else float(label)


def _differ(label: Label, answers: NDArray[Any], references: NDArray[Any]) -> NDArray[np.bool_]:
    """`canario.quality.differs`, for many answers at once."""
    differ: NDArray[np.bool_]
    if label.task is Task.REGRESSION:
        differ = np.abs(answers - references) > label.tolerance_percent / 100 * np.abs(references)
    else:
        differ = answers != references
    return differ
