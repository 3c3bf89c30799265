"""Removes from PostgreSQL what is older than it shall be kept, in small pieces that keep nobody waiting."""

from __future__ import annotations

from canario.feedback.postgres import Connection

CLEAR_EVERY_SECONDS = 60.0
MOST_ROWS = 5000
"""What one transaction removes of each table at most."""


def clear_old(connection: Connection, model: str, oldest_seconds: float) -> bool:
    """Remove a piece of what was before a moment; whether there may be more. Versions' counts stay for ever.

    A truth goes with its prediction; one that waits for a prediction in vain goes when it is that old itself, and is counted.
    """
    bounds = {"model": model, "oldest": oldest_seconds, "most": MOST_ROWS}
    # Truths first: they name their predictions' time, and a truth without its row would be a row that cannot be learnt from.
    labelled = connection.execute(
        "WITH old AS (SELECT prediction FROM truths WHERE model = %(model)s AND predicted_at_seconds < %(oldest)s"
        " ORDER BY predicted_at_seconds LIMIT %(most)s FOR UPDATE SKIP LOCKED), gone AS (DELETE FROM earlier_truths e"
        " USING old WHERE e.model = %(model)s AND e.prediction = old.prediction)"
        " DELETE FROM truths t USING old WHERE t.model = %(model)s AND t.prediction = old.prediction",
        bounds,
    ).rowcount
    unknown = connection.execute(
        "WITH old AS (SELECT prediction FROM truths WHERE model = %(model)s AND look_at_seconds IS NOT NULL"
        " AND version IS NULL AND at_seconds < %(oldest)s LIMIT %(most)s FOR UPDATE SKIP LOCKED), gone AS"
        " (DELETE FROM earlier_truths e USING old WHERE e.model = %(model)s AND e.prediction = old.prediction)"
        " DELETE FROM truths t USING old WHERE t.model = %(model)s AND t.prediction = old.prediction",
        bounds,
    ).rowcount
    if unknown:
        connection.execute(
            "INSERT INTO totals (model, dropped_truths) VALUES (%s, %s) ON CONFLICT (model) DO UPDATE SET"
            " dropped_truths = totals.dropped_truths + excluded.dropped_truths",
            (model, unknown),
        )
    answered = connection.execute(
        "DELETE FROM predictions WHERE ctid = ANY(ARRAY(SELECT ctid FROM predictions"
        " WHERE model = %(model)s AND at_seconds < %(oldest)s LIMIT %(most)s FOR UPDATE SKIP LOCKED))",
        bounds,
    ).rowcount
    for table, column in (
        ("cells", "begins_at_seconds"),
        ("cohorts", "begins_at_seconds"),
        ("files", "shipped_at_seconds"),
    ):
        connection.execute(
            f"DELETE FROM {table} WHERE model = %(model)s AND {column} < %(oldest)s",  # noqa: S608 - fixed words
            bounds,
        )
    return max(labelled, unknown, answered) == MOST_ROWS
