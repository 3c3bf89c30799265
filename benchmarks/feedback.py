"""How fast feedback is kept, joined and asked for, with many rows: `python benchmarks/feedback.py --keeper postgres --predictions 1000000`.

A third of the answers is labelled. Idle looks are what a platform's loop costs each second when nothing has come.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from canario.adapters.homes import predictions_folder
from canario.feedback.figures import figures_of, present_maturity, quality_report
from canario.feedback.log import PredictionLog
from canario.feedback.opening import open_history, open_truths
from canario.feedback.settings import URL_VARIABLE, feedback_settings
from canario.feedback.shipping import LogShipper
from canario.model.card import Label, Task
from canario.model.feedback import Feedback, Prediction, prediction_id
from canario.quality.report import Span

T = TypeVar("T")
MODEL = "fraud"
LABEL = Label(name="outcome", task=Task.CLASSIFICATION, classes=("clean", "fraud"))
ROWS_A_REQUEST = 100
WEEK_SECONDS = 7 * 86400.0


def timed(what: str, rows: int, work: Callable[[], T]) -> T:
    """Do it, and print how long it took."""
    began = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - began
    rate = f", {rows / seconds:,.0f} a second" if rows else ""
    print(f"{what}: {seconds * 1000:,.1f} ms{rate}", flush=True)
    return result


def answers(number: int) -> Iterator[list[Prediction]]:
    """A week's answers of two versions, with a dozen columns each."""
    began = time.time() - WEEK_SECONDS
    values = {f"column-{place}": place * 1.234567 for place in range(12)}
    for request in range(number // ROWS_A_REQUEST):
        version = "v2" if request % 4 == 0 else "v1"
        yield [
            Prediction(
                prediction=prediction_id(version, f"r{request}", row),
                request=f"r{request}",
                row=row,
                model=MODEL,
                version=version,
                at_seconds=began + (request * ROWS_A_REQUEST + row) / number * WEEK_SECONDS,
                label=LABEL.classes[row % 20 == 0],
                score=row / ROWS_A_REQUEST,
                shadow=False,
                values=values,
            )
            for row in range(ROWS_A_REQUEST)
        ]


def measure(number: int, url: str) -> None:
    """Everything, in the order in which it happens."""
    log = PredictionLog(predictions_folder(MODEL))

    def append() -> list[str]:
        names = []
        for rows in answers(number):
            log.append(rows)
            names += [row.prediction for row in rows[::3]]
        return names

    print(f"{number:,} answers, {'PostgreSQL' if url else 'files'}")
    names = timed("log, 100 rows a request", number, append)
    if url:
        shipper = LogShipper(url, MODEL, LABEL, predictions_folder(MODEL))

        def ship() -> None:
            while shipper.ship():
                pass

        timed("ship", number, ship)
    truths = open_truths(MODEL)
    told = [
        Feedback(prediction=name, truth=LABEL.classes[place % 19 == 0], at_seconds=time.time())
        for place, name in enumerate(names)
    ]
    timed("truths, one by one", 500, lambda: [truths.add(each) for each in told[:500]])

    def tell() -> None:
        for place in range(0, len(told), 5000):
            truths.add_many(told[place : place + 5000])

    timed("truths, 5,000 at once", len(told), tell)
    history, settings = open_history(MODEL, LABEL), feedback_settings()
    timed("join", len(told) if url else number + len(told), history.catch_up)
    for _ in range(2):
        timed("an idle look at the counts", 0, history.counts)
    timed("the figures for Prometheus", 0, lambda: figures_of(history, MODEL, LABEL, settings, time.time()))
    now = time.time()
    span = Span(now - 30 * 86400, now, 86400.0, now)
    maturity = present_maturity(history, settings, now)
    timed("a report of 30 days", 0, lambda: quality_report(history, MODEL, LABEL, span, maturity))
    found = timed("labelled rows, all", len(told), lambda: sum(1 for _ in history.labelled(0.0, now)))
    assert found == len(told)
    assert sum(each.labelled for each in history.counts().values()) == len(told)
    if url:
        again = "SELECT p.version, count(*), count(*) FILTER (WHERE p.label_word <> t.word) FROM canario.truths t JOIN canario.predictions p USING (model, prediction) GROUP BY 1"
        import psycopg

        with psycopg.connect(url) as connection:
            timed(
                "for comparison: the same counts by one SQL join of all rows",
                0,
                lambda: connection.execute(again).fetchall(),
            )


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keeper", choices=["files", "postgres"], default="files")
    parser.add_argument("--predictions", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CANARIO_HOME"] = folder
        if arguments.keeper == "files":
            measure(arguments.predictions, "")
            return
        from tests.feedback.postgres_server import PostgresServer

        server = PostgresServer()
        server.start()
        os.environ[URL_VARIABLE] = server.url
        try:
            measure(arguments.predictions, server.url)
        finally:
            server.stop()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
