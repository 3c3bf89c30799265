"""How answered rows are counted: exactly, in the reference's bins, however many come at once, and from whichever thread."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canario.drift import bins
from canario.kernel.columns import columns_from_frame
from canario.kernel.rows import json_cells
from canario.model.card import Card, Column, ColumnKind
from canario.model.reference import Reference, Spread
from canario.model.version import KernelChoice, KernelKind, Score, VersionName, VersionRecord
from canario.serving.metrics import Metrics
from canario.serving.request_metrics import Protocol
from tests.serving.metric_text import Series, of, promtool_says, series_of, values
from tests.serving.small_versions import SHOP, shop_rows

LABELS = {"model": "shop", "version": "v1"}
REFERENCE = Reference(
    columns={
        "amount": Spread(edges=(100.0, 250.5, 900.0), counts=(10, 20, 60, 10)),
        "age": Spread(edges=(18.0, 65.0), counts=(5, 80, 15)),
        "member": Spread(edges=(1.0,), counts=(50, 50)),
        "country": Spread(words=("PT", "ES", "FR"), counts=(40, 30, 30)),
        "note": Spread(
            edges=(5.0,), counts=(20, 50), nulls=30, vocabulary=("até", "já", "olá"), judged_rows=100, novel_rows=2
        ),
        "distance": Spread(edges=(1.0, 20.0), counts=(10, 60, 10), nulls=20),
        "visits": Spread(edges=(3.0,), counts=(40, 40), nulls=20),
        "referrer": Spread(words=("friend", "ad"), counts=(30, 30), nulls=40),
    },
    scores=Spread(edges=(0.1, 0.4, 0.8), counts=(40, 20, 20, 20)),
    positives=(1, 2, 10, 18),
)


def record_of(card: Card) -> VersionRecord:
    return VersionRecord(
        name=VersionName(model=card.name, tag="v1"),
        digest="sha256:1",
        files={},
        created_at_seconds=0.0,
        kernel=KernelChoice(kind=KernelKind.ONNX, reason="tested"),
        data_digest="sha256:0",
        code_commit="",
        libraries={},
        scores=(Score(name="recall", value=0.75, low=0.7, high=0.8, rows=100),),
    )


def metrics_of(card: Card = SHOP, reference: Reference | None = REFERENCE) -> Metrics:
    return Metrics(record_of(card), card, reference)


def count(metrics: Metrics, columns: dict[str, Any], scores: Any) -> None:
    cells = [json_cells(column, columns[column.name]) for column in SHOP.columns]
    metrics.rows.count(Protocol.REST, columns, cells, np.asarray(scores, dtype=np.float64))


def told(metrics: Metrics) -> Series:
    return series_of(metrics.text().decode())


def rows_told(metrics: Metrics) -> dict[tuple[str, str], float]:
    found = told(metrics)
    return {
        (column.name, name): of(found, "canario_column_rows_total", column=column.name, bin=name)
        for column in SHOP.columns
        for name in bins.column_bins(REFERENCE.columns[column.name])
    }


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(1, 120) | st.integers(900, 1100), min_size=1, max_size=5), seed=st.integers(0, 2**31))
def test_requests_of_any_size_are_counted_alike(sizes: list[int], seed: int) -> None:
    """Whether rows come one by one or by the hundred, each cell is counted once, in the bin that numpy finds for all at once."""
    metrics = metrics_of()
    columns = columns_from_frame(SHOP, shop_rows(sum(sizes), seed))
    scores = np.random.default_rng(seed).choice([0.0, 0.1, 0.39999, 0.4, 0.8, 1.0], sum(sizes))
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        count(metrics, {name: values[part] for name, values in columns.items()}, scores[part])
        start += size
    expected = {
        (column.name, name): number
        for column in SHOP.columns
        for name, number in zip(
            bins.column_bins(REFERENCE.columns[column.name]),
            bins.count(column.kind, REFERENCE.columns[column.name], columns[column.name]).tolist(),
            strict=True,
        )
    }
    assert rows_told(metrics) == expected
    found = told(metrics)
    assert of(found, "canario_rows_total") == sum(sizes)
    assert of(found, "canario_request_rows_count", protocol="rest") == len(sizes)
    assert of(found, "canario_request_rows_sum", protocol="rest") == sum(sizes)
    novel = sum("visit" in note for note in columns["note"].tolist())
    assert of(found, "canario_column_novel_rows_total", column="note") == novel
    assert of(found, "canario_score_rows_total", answer="positive") == (scores >= 0.4).sum()
    assert of(found, "canario_score_rows_total", answer="negative") == (scores < 0.4).sum()


def test_no_row_is_lost_between_threads() -> None:
    """Small requests and large ones are counted from two threads at once, and every row is there."""
    metrics = metrics_of()
    columns = columns_from_frame(SHOP, shop_rows(200))
    one = {name: values[:1] for name, values in columns.items()}

    def small() -> None:
        for _ in range(3000):
            count(metrics, one, [0.5])

    def large() -> None:
        for _ in range(100):
            count(metrics, columns, np.full(200, 0.5))

    threads = [threading.Thread(target=work) for work in (small, large, small)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = told(metrics)
    assert of(found, "canario_rows_total") == 26_000
    assert of(found, "canario_score_rows_total") == 26_000
    for column in SHOP.columns:
        assert of(found, "canario_column_rows_total", column=column.name) == 26_000


def test_every_bin_is_there_before_the_first_row() -> None:
    """Prometheus finds each bin with 0 from the start, beside the reference's rows, so that a rate misses nothing."""
    found = told(metrics_of())
    for column in SHOP.columns:
        spread = REFERENCE.columns[column.name]
        for name, number in zip(bins.column_bins(spread), bins.reference_rows(spread), strict=True):
            key = {**LABELS, "column": column.name, "bin": name}
            assert list(values(found, "canario_column_rows_total", key)) == [0]
            assert list(values(found, "canario_column_reference_rows", key)) == [number]
        assert of(found, "canario_column_drift_quantile", **LABELS, column=column.name) > 0
        assert of(found, "canario_column_refused_total", **LABELS, column=column.name) == 0
    assert of(found, "canario_score_reference_rows", **LABELS, answer="positive") == 40
    assert of(found, "canario_score_reference_positives", **LABELS, answer="positive") == 28
    assert of(found, "canario_score_drift_quantile", **LABELS) > 0
    assert of(found, "canario_column_novel_rows_total", **LABELS, column="note") == 0
    assert of(found, "canario_column_reference_novel_rows", **LABELS, column="note") == 2
    assert of(found, "canario_column_reference_judged_rows", **LABELS, column="note") == 100
    assert of(found, "canario_column_novelty_evidence_limit", **LABELS, column="note") > 0
    assert of(found, "canario_reference_quality", **LABELS, measure="recall", bound="low") == 0.7


def test_a_version_without_a_reference_counts_its_rows() -> None:
    """There is nothing to compare columns with, so there are no bins; rows and requests are counted all the same."""
    metrics = metrics_of(reference=None)
    count(metrics, columns_from_frame(SHOP, shop_rows(5)), np.zeros(5))
    found = told(metrics)
    assert of(found, "canario_rows_total") == 5
    assert not any(name.startswith(("canario_column_rows", "canario_score")) for name, _ in found)


def test_a_reference_that_lacks_a_column_leaves_it_out() -> None:
    """A reference that does not know a column of the card counts the others."""
    known = {name: spread for name, spread in REFERENCE.columns.items() if name != "note"}
    metrics = metrics_of(reference=replace(REFERENCE, columns=known))
    count(metrics, columns_from_frame(SHOP, shop_rows(5)), np.zeros(5))
    found = told(metrics)
    assert of(found, "canario_column_rows_total", column="amount") == 5
    assert not list(values(found, "canario_column_rows_total", {"column": "note"}))


@pytest.mark.parametrize("words", [("other", "shoes"), ("null", "shoes"), ("other", "null"), ('a"b\\c\n', "é")])
def test_any_category_may_have_any_name(words: tuple[str, ...]) -> None:
    """A card whose categories are called `other` or `null`, or hold quotes, still gives a scrape without doubles."""
    card = replace(SHOP, columns=(Column(name="kind", kind=ColumnKind.CATEGORY, categories=words, nullable=True),))
    reference = Reference(columns={"kind": Spread(words=words, counts=(1,) * len(words))}, scores=REFERENCE.scores)
    metrics = metrics_of(card, reference)
    cells = [[*words, None]]
    array = np.array([*words, ""], dtype=object)
    metrics.rows.count(Protocol.GRPC, {"kind": array}, cells, np.zeros(len(array)))
    found = told(metrics)
    assert of(found, "canario_column_rows_total", column="kind") == len(array)
    assert promtool_says(metrics.text().decode()) == ""


def test_a_word_that_nobody_listed_makes_no_series() -> None:
    """Whatever column, result or outcome is counted, the series stay the same."""
    metrics = metrics_of()
    before = told(metrics).keys()
    metrics.count_refused("no such column")
    metrics.count_truth("no such result")
    assert told(metrics).keys() == before


def test_names_and_units_follow_the_conventions() -> None:
    """Promtool finds nothing to say against what a server tells."""
    assert promtool_says(metrics_of().text().decode()) == ""
