"""Compares counted rows with their reference, column by column, and says what has moved; where the counts are from is for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from canario.drift import bins, novelty, psi
from canario.drift.budget import ALARMS_PER_DAY, quantile
from canario.drift.counting import Counts, RowCounter
from canario.drift.estimated_performance import estimated_performance
from canario.drift.hysteresis import Alarm, Patience
from canario.drift.kolmogorov_smirnov import KolmogorovSmirnov
from canario.drift.ranking import ranked
from canario.drift.wasserstein import Wasserstein
from canario.model.card import Card, ColumnKind
from canario.model.drift import Drift, DriftLook, DriftReport, DriftVerdict, EstimatedQuality, NewWords
from canario.model.reference import Reference, Spread
from canario.model.version import VersionName

FEWEST_ROWS = 300
"""In one look; fewer say nothing. The alarms by Prometheus have the same."""
MOST_LOOKS = 48
SCORES = "scores"


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a report is about, in seconds since 1970 (UTC)."""

    since_seconds: float
    until_seconds: float


def compare(name: VersionName, card: Card, reference: Reference, counter: RowCounter, span: Span) -> DriftReport:
    """What the counted rows say."""
    total, looks = counter.total(), counter.slices(FEWEST_ROWS, MOST_LOOKS)
    sharing = len(card.columns) + 1
    found, excess = {}, {}
    for column in card.columns:
        spread = reference.columns[column.name]
        drift = _drift(
            Drift(
                name=column.name,
                bins=bins.column_bins(spread),
                edges=spread.edges,
                unit="characters" if column.kind is ColumnKind.TEXT else column.unit,
                reference_rows=bins.reference_rows(spread),
                rows=tuple(total.columns[column.name]),
                verdict=DriftVerdict.NOT_ENOUGH_ROWS,
                importance=reference.importances.get(column.name),
            ),
            [(each.begins_at_seconds, each.columns[column.name]) for each in looks],
            sharing,
        )
        found[column.name] = _with_new_words(drift, spread, total.new_words.get(column.name), total.rows, sharing)
        excess[column.name] = _excess(drift)
    weights = ranked(excess, reference.importances)
    moved = [each for each in weights if found[each].verdict is DriftVerdict.DRIFT]
    order = [*moved, *(each for each in weights if each not in moved)]
    return DriftReport(
        model=name.model,
        version=name.tag,
        since_seconds=span.since_seconds,
        until_seconds=span.until_seconds,
        rows=total.rows,
        alarms_per_day=ALARMS_PER_DAY,
        columns=tuple(replace(found[each], weight=weights[each]) for each in order),
        scores=_scores(card, reference, total, looks, sharing),
        estimated=_estimated(card, reference, total),
    )


def _scores(card: Card, reference: Reference, total: Counts, looks: Sequence[Counts], sharing: int) -> Drift:
    drift = Drift(
        name=SCORES,
        bins=tuple(name for name, _ in bins.score_bins(card, reference)),
        edges=reference.scores.edges,
        unit=card.label.unit,
        reference_rows=reference.scores.counts,
        rows=tuple(total.scores),
        verdict=DriftVerdict.NOT_ENOUGH_ROWS,
    )
    return _drift(drift, [(each.begins_at_seconds, each.scores) for each in looks], sharing)


def _drift(drift: Drift, looks: Sequence[tuple[float, Sequence[int]]], sharing: int) -> Drift:
    """The distances and what they say."""
    needed = quantile(len(drift.bins), sharing)
    rows, reference_rows = sum(drift.rows), sum(drift.reference_rows)
    if not reference_rows:
        return replace(drift, more_rows=None)
    enough = rows_needed(needed, reference_rows)
    if not rows:
        return replace(drift, more_rows=max(FEWEST_ROWS, enough))
    stability = psi.PopulationStability()
    distance = stability.distance(drift.reference_rows, drift.rows)
    limit = max(psi.MATERIAL, psi.chance_limit(reference_rows, rows, needed))
    seen = tuple(
        DriftLook(
            begins_at_seconds=at,
            rows=sum(counts),
            psi=stability.distance(drift.reference_rows, counts),
            psi_limit=max(psi.MATERIAL, psi.chance_limit(reference_rows, sum(counts), needed)),
        )
        for at, counts in looks
    )
    since = _drifting_since(seen)
    has_moved = rows >= FEWEST_ROWS and (distance > limit or since is not None)
    short = max(0, max(FEWEST_ROWS, enough) - rows)
    smirnov, wasserstein = _ordered_distances(drift)
    verdict = DriftVerdict.DRIFT if has_moved else DriftVerdict.NOT_ENOUGH_ROWS if short else DriftVerdict.NONE
    return replace(
        drift,
        verdict=verdict,
        more_rows=short if verdict is DriftVerdict.NOT_ENOUGH_ROWS else 0,
        psi=distance,
        psi_limit=limit,
        drifting_since_seconds=since,
        looks=seen,
        kolmogorov_smirnov=smirnov,
        wasserstein=wasserstein,
    )


def rows_needed(quantile_: float, reference_rows: int) -> int:
    """How many rows it takes until chance explains no more than what matters.

    A small reference leaves more to chance, whatever comes; then until there are as many rows as it has itself.
    """
    lasting = quantile_ / reference_rows
    return ceil(quantile_ / (max(psi.MATERIAL, 2 * lasting) - lasting)) if quantile_ else 0


def _ordered_distances(drift: Drift) -> tuple[float | None, float | None]:
    """Those that need an order: of numbers and lengths, among the rows that have a value."""
    has_null = drift.bins[-1] == bins.NULL
    values = len(drift.edges) + 1
    reference, rows = drift.reference_rows[:values], drift.rows[:values]
    if len(drift.bins) != values + has_null or not sum(reference) or not sum(rows):
        return None, None
    return KolmogorovSmirnov().distance(reference, rows), Wasserstein().distance(reference, rows)


def _with_new_words(drift: Drift, spread: Spread, novel: int | None, rows: int, sharing: int) -> Drift:
    if novel is None or not spread.judged_rows or not rows:
        return drift
    found = NewWords(
        rows=novel,
        share=novel / rows,
        reference_share=spread.novel_rows / spread.judged_rows,
        evidence=novelty.evidence(novel, rows, spread.novel_rows, spread.judged_rows),
        evidence_limit=novelty.evidence_limit(sharing),
    )
    if found.share - found.reference_share > novelty.MATERIAL_SHARE and found.evidence > found.evidence_limit:
        drift = replace(drift, verdict=DriftVerdict.DRIFT, more_rows=0)
    return replace(drift, new_words=found)


def _drifting_since(looks: Sequence[DriftLook]) -> float | None:
    """When the alarm that still rings at the last look began, by the first look that passed the limit."""
    alarm, patience, since = Alarm(), Patience(), None
    for look in looks:
        before, alarm = alarm, alarm.look(look.psi, look.psi_limit, patience)
        if not before.is_ringing and (alarm.is_ringing or alarm.looks == 1) and not before.looks:
            since = look.begins_at_seconds
    return since if alarm.is_ringing else None


def _excess(drift: Drift) -> float:
    rows, reference_rows = sum(drift.rows), sum(drift.reference_rows)
    return psi.excess(drift.psi, reference_rows, rows, len(drift.bins)) if drift.psi is not None else 0.0


def _estimated(card: Card, reference: Reference, total: Counts) -> tuple[EstimatedQuality, ...]:
    answers = [answer for _, answer in bins.score_bins(card, reference)]
    if not reference.positives or bins.POSITIVE not in answers:
        return ()
    found = estimated_performance(
        reference.scores.counts, reference.positives, total.scores, answers.index(bins.POSITIVE)
    )
    return tuple(
        EstimatedQuality(name=each.name, value=each.value, low=each.low, high=each.high, reference=each.reference)
        for each in found
    )
