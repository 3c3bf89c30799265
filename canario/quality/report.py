"""The report of a model's quality: mature cohorts are judged and add up to a version's figures, the others are only shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from canario.model.card import Label
from canario.model.quality import Cohort, CohortQuality, QualityReport, Tally, VersionQuality
from canario.quality.maturity import is_mature
from canario.quality.measures import scores_of_tally


class Span(NamedTuple):
    """What a report is about."""

    since_seconds: float
    until_seconds: float
    cohort_seconds: float
    now_seconds: float


def report_of(
    model: str,
    label: Label,
    cohorts: Sequence[Cohort],
    span: Span,
    maturity_seconds: float | None,
    unknown_labels: int = 0,
) -> QualityReport:
    """The report over these cohorts."""
    versions = dict.fromkeys(cohort.version for cohort in cohorts)
    return QualityReport(
        model=model,
        since_seconds=span.since_seconds,
        until_seconds=span.until_seconds,
        cohort_seconds=span.cohort_seconds,
        maturity_seconds=maturity_seconds,
        versions=tuple(
            _version(label, version, [each for each in cohorts if each.version == version], span, maturity_seconds)
            for version in versions
        ),
        unknown_labels=unknown_labels,
    )


def _version(
    label: Label, version: str, cohorts: Sequence[Cohort], span: Span, maturity_seconds: float | None
) -> VersionQuality:
    mature = [each for each in cohorts if is_mature(each, maturity_seconds, span.now_seconds)]
    tally = sum((each.tally for each in mature), Tally())
    return VersionQuality(
        version=version,
        predictions=sum(each.predictions for each in mature),
        labelled=tally.labelled,
        scores=scores_of_tally(label, tally),
        cohorts=tuple(
            CohortQuality(
                cohort=each,
                is_mature=each in mature,
                scores=scores_of_tally(label, each.tally) if each in mature else (),
            )
            for each in cohorts
        ),
    )
