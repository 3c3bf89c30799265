"""Reads what a join's record knows: counts and delays a version, cohorts, labelled answers; writing it is for join.py."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from canario.feedback.sums import cohorts_of, delays_of, label_counts, window_of
from canario.model.card import Label
from canario.model.evidence import Comparison
from canario.model.feedback import LabelCounts, LabelledPrediction, Unmatched
from canario.model.quality import Cohort, Delays


class Joined:
    """The tables, at one moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute

    def counts(self) -> dict[str, LabelCounts]:
        """By version that has answered users."""
        return label_counts(self._run("SELECT version, labelled, wrong, positives, missed FROM versions"))

    def predictions(self) -> dict[str, int]:
        """By version: answers to users."""
        return dict(self._run("SELECT version, predictions FROM versions").fetchall())

    def delays(self) -> dict[str, Delays]:
        """By version: how long first truths took."""
        sums = dict(self._run("SELECT version, delay_sum_seconds FROM versions").fetchall())
        return delays_of(self._run("SELECT version, bin, truths FROM delays"), sums)

    def unmatched(self) -> Unmatched:
        """What found no partner."""
        found = self._run(
            "SELECT dropped_truths + (SELECT count(*) FROM early_truths),"
            " dropped_copies + (SELECT count(*) FROM copies WHERE NOT paired), broken_lines FROM totals"
        ).fetchone()
        return Unmatched(*found)

    def comparison(self, stable: str, candidate: str) -> Comparison:
        """What the candidate's copies showed."""
        found = self._run(
            "SELECT pairs, flips, distance_sum FROM comparisons WHERE stable = ? AND candidate = ?", (stable, candidate)
        ).fetchone()
        return Comparison(pairs=found[0], flips=found[1], distance_sum=found[2]) if found else Comparison()

    def began_at_seconds(self) -> float | None:
        """When the oldest cohort begins."""
        found = self._run("SELECT min(begins_at_seconds) FROM cohorts").fetchone()[0]
        return None if found is None else float(found)

    def cohorts(self, label: Label, since_seconds: float, until_seconds: float, seconds: float) -> list[Cohort]:
        """Answers and labels by version and span of time."""
        window = window_of(since_seconds, until_seconds, seconds)
        return cohorts_of(
            label,
            seconds,
            self._run(
                "SELECT begins_at_seconds, version, predictions FROM cohorts"
                " WHERE begins_at_seconds >= ? AND begins_at_seconds < ?",
                window,
            ),
            self._run(
                "SELECT begins_at_seconds, version, cell, rows, score_sum, error_sum, error_square_sum FROM cells"
                " WHERE begins_at_seconds >= ? AND begins_at_seconds < ?",
                window,
            ),
        )

    def labelled_page(self, after: tuple[float, int], until_seconds: float, most: int) -> list[Sequence[Any]]:
        """At most `most` labelled answers behind a place (time, number) of the history; a row begins with its own place."""
        return self._run(
            "SELECT at_seconds, number, prediction, version, label, score, row_values, truth, truth_at_seconds"
            " FROM answers WHERE truth IS NOT NULL AND (at_seconds, number) > (?, ?) AND at_seconds < ?"
            " ORDER BY at_seconds, number LIMIT ?",
            (*after, until_seconds, most),
        ).fetchall()


def labelled_prediction(row: Sequence[Any]) -> LabelledPrediction:
    """One row of `labelled_page`."""
    at_seconds, _, prediction, version, label, score, values, truth, truth_at_seconds = row
    return LabelledPrediction(
        prediction=prediction,
        version=version,
        at_seconds=at_seconds,
        label=label,
        score=score,
        values=msgspec.json.decode(values) if values else {},
        truth=truth,
        truth_at_seconds=truth_at_seconds,
    )
