"""Adds to the counts of versions and cohorts in PostgreSQL; what they mean is sums.py's affair."""

from __future__ import annotations

from collections.abc import Sequence

from canario.feedback.postgres import Connection
from canario.feedback.sums import Sums


def add_sums(connection: Connection, model: str, sums: Sums) -> None:
    """Add what was collected; rows are always touched in the same order, so that writers wait and never clash."""
    _add(
        connection,
        "INSERT INTO versions VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (model, version) DO UPDATE SET"
        " predictions = versions.predictions + excluded.predictions, labelled = versions.labelled + excluded.labelled,"
        " wrong = versions.wrong + excluded.wrong, positives = versions.positives + excluded.positives,"
        " missed = versions.missed + excluded.missed,"
        " delay_sum_seconds = versions.delay_sum_seconds + excluded.delay_sum_seconds",
        [(model, version, *counts) for version, counts in sorted(sums.versions.items())],
    )
    _add(
        connection,
        "INSERT INTO delays VALUES (%s, %s, %s, %s) ON CONFLICT (model, version, bin) DO UPDATE SET"
        " truths = delays.truths + excluded.truths",
        [(model, *key, truths) for key, truths in sorted(sums.delays.items())],
    )
    _add(
        connection,
        "INSERT INTO cohorts VALUES (%s, %s, %s, %s) ON CONFLICT (model, begins_at_seconds, version) DO UPDATE SET"
        " predictions = cohorts.predictions + excluded.predictions",
        [(model, *place, number) for place, number in sorted(sums.predictions.items())],
    )
    _add(
        connection,
        "INSERT INTO cells VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (model, begins_at_seconds, version, cell) DO UPDATE SET rows = cells.rows + excluded.rows,"
        " score_sum = cells.score_sum + excluded.score_sum, error_sum = cells.error_sum + excluded.error_sum,"
        " error_square_sum = cells.error_square_sum + excluded.error_square_sum",
        [(model, begins_at_seconds, version, *cell) for begins_at_seconds, version, cell in sums.cells()],
    )


def _add(connection: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
