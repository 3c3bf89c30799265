"""What a model's labels say right now, gathered for whoever tells Prometheus; how it is told is for the exporters."""

from __future__ import annotations

from canario.feedback.opening import History
from canario.feedback.settings import FeedbackSettings
from canario.model.card import Label
from canario.model.quality import Delays, LabelFigures, QualityReport
from canario.quality.maturity import maturity_seconds
from canario.quality.report import Span, report_of

FIGURES_EVERY_SECONDS = 5.0
"""How often it is worth gathering them; Prometheus usually looks each 15 s."""


def figures_of(
    history: History, model: str, label: Label, settings: FeedbackSettings, now_seconds: float
) -> LabelFigures:
    """The figures; the quality is that of the mature cohorts of the quality window. Raises EvidenceLost."""
    maturity = present_maturity(history, settings, now_seconds)
    since = now_seconds - settings.quality_window_seconds - (maturity or 0.0) - settings.cohort_seconds
    return LabelFigures(
        report=quality_report(
            history, model, label, Span(since, now_seconds, settings.cohort_seconds, now_seconds), maturity
        ),
        predictions=history.predictions(),
        counts=history.counts(),
        delays=history.delays(),
    )


def present_maturity(history: History, settings: FeedbackSettings, now_seconds: float) -> float | None:
    """The age from which a cohort is judged: as it is set, or as the delays say; None while they say nothing yet."""
    if settings.maturity_seconds is not None:
        return settings.maturity_seconds
    began_at = history.began_at_seconds()
    if began_at is None:
        return None
    return maturity_seconds(sum(history.delays().values(), Delays()), now_seconds - began_at)


def quality_report(history: History, model: str, label: Label, span: Span, maturity: float | None) -> QualityReport:
    """The report of a span of time. Raises EvidenceLost."""
    cohorts = history.cohorts(span.since_seconds, span.until_seconds, span.cohort_seconds)
    return report_of(model, label, cohorts, span, maturity, history.unmatched().truths)
