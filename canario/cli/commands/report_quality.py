"""`canario report quality`: how good the answers of each version turned out to be, by the time when they were given."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Literal

import click

from canario.cli.documented import Documented
from canario.cli.naming import model_argument
from canario.cli.printing import print_document, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from canario.adapters.versions import StoredVersion
    from canario.model.quality import QualityReport
    from canario.model.version import Score

COHORTS = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_DAYS = 36_500
"""A century: what lies much further back has no date."""


class Duration(click.ParamType[float]):
    """A length of time such as 7d, 12h or 90m; its value is in seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value.strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is no length of time: write it as 7d, 12h, 90m or 30s", param, ctx)
        seconds = float(found[1]) * _UNITS[found[2]]
        if seconds > LONGEST_DAYS * _UNITS["d"]:
            self.fail(f"{value!r} is too long: the longest is {LONGEST_DAYS}d", param, ctx)
        return seconds


@click.command(
    "quality",
    cls=Documented,
    examples=[
        "canario report quality fraud",
        "canario report quality fraud --window 30d --cohort day",
        "canario report quality fraud --version v2 --output html > quality.html",
    ],
)
@model_argument
@click.option("--version", "tag", default="", help="Only this version, such as v2.")
@click.option(
    "--window",
    type=Duration(),
    default="7d",
    show_default=True,
    help="How far back, such as 30d or 12h; the hour or day in which it begins is shown as a whole.",
)
@click.option(
    "--cohort",
    type=click.Choice(list(COHORTS)),
    default="hour",
    show_default=True,
    help="Answers are taken together by when they were given; minutes only where CANARIO_COHORT_SECONDS is as small.",
)
@click.option(
    "--maturity",
    type=Duration(),
    help="From which age on answers are judged, such as 2d; as the labels' own delays say when it is left out.",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["table", "json", "html"]),
    default="table",
    show_default=True,
    help="A table for people, one JSON document for programs, or a page with plots.",
)
def command(
    *,
    model: str,
    tag: str,
    window: float,
    cohort: str,
    maturity: float | None,
    output: Literal["table", "json", "html"],
) -> None:
    """Show how good answers turned out to be.

    Answers are judged once nearly all their labels can have come: labels that come fast are not like the others. Younger
    answers are counted and not judged.
    """
    from canario.adapters.versions import find_version, stored_versions
    from canario.cli.platforms import local_platform
    from canario.feedback.figures import present_maturity, quality_report
    from canario.feedback.opening import open_history
    from canario.feedback.settings import feedback_settings
    from canario.feedback.sums import begin_of
    from canario.quality.report import Span

    model = model or local_platform("").model
    label = find_version(model).card().label
    history, feedback = open_history(model, label), feedback_settings()
    now = time.time()
    try:
        history.catch_up()
        age = present_maturity(history, feedback, now) if maturity is None else maturity
        seconds = max(COHORTS[cohort], feedback.cohort_seconds)
        span = Span(begin_of(now - window, seconds), now, seconds, now)
        report = quality_report(history, model, label, span, age)
    finally:
        history.close()
    if tag:
        report = _only(report, tag)
    trained = {each.record.name.tag: each for each in stored_versions(model)}
    if output == "html":
        from canario.cli.quality_page import quality_page

        click.echo(quality_page(report, _trained_scores(trained)))
    elif report.versions or output == "json":
        print_document(output, report, lambda: _drawn(report, _trained_scores(trained)))
    if output != "json":
        _say_what_is_missing(report)


def _only(report: QualityReport, tag: str) -> QualityReport:
    """The report of one version, which need not be stored here any more. Raises NotFound when nothing is known of it."""
    from dataclasses import replace

    from canario.adapters.versions import find_version

    if not any(each.version == tag for each in report.versions):
        tag = find_version(f"{report.model}:{tag}").record.name.tag
    return replace(report, versions=tuple(each for each in report.versions if each.version == tag))


def _trained_scores(trained: Mapping[str, StoredVersion]) -> dict[str, tuple[Score, ...]]:
    return {tag: version.record.scores for tag, version in trained.items()}


def _drawn(report: QualityReport, trained: Mapping[str, Sequence[Score]]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_versions(report, trained)]
    for version in report.versions:
        parts += [
            Text(f"\n{version.version.upper()} BY THE TIME OF ITS ANSWERS", style="bold"),
            _cohorts(report, version.version),
        ]
    return Group(*parts)


def _versions(report: QualityReport, trained: Mapping[str, Sequence[Score]]) -> RenderableType:
    from canario.cli.figures import count, percent, score
    from canario.cli.printing import table

    drawn = table(
        "version", "measure", "since then", "labels", "when trained", "covered", numbers=("labels", "covered")
    )
    for version in report.versions:
        covered = "-" if version.coverage is None else percent(100 * version.coverage)
        then = {each.name: score(each, interval=True) for each in trained.get(version.version, ())}
        for each in version.scores:
            drawn.add_row(
                version.version,
                each.name,
                score(each, interval=True),
                count(each.rows),
                then.get(each.name, "-"),
                covered,
            )
        if not version.scores:
            drawn.add_row(version.version, "-", "nothing to judge yet", "0", "-", covered)
    return drawn


def _cohorts(report: QualityReport, version: str) -> RenderableType:
    from canario.cli.figures import count, figure, local_time
    from canario.cli.printing import table

    found = next(each for each in report.versions if each.version == version)
    names = [score.name for score in found.scores]
    drawn = table("from", "answers", "labels", *names, "", numbers=("answers", "labels"))
    for each in found.cohorts:
        scores = {score.name: score for score in each.scores}
        shown = [f"{figure(scores[name].value)}" if name in scores else "-" for name in names]
        drawn.add_row(
            local_time(each.cohort.begins_at_seconds).rpartition(":")[0],
            count(each.cohort.predictions),
            count(each.cohort.tally.labelled),
            *shown,
            "" if each.is_mature else "too young to judge",
        )
    return drawn


def _say_what_is_missing(report: QualityReport) -> None:
    from canario.cli.figures import duration

    if not report.versions:
        say(f"{report.model} has given no answers in this time that are known here")
    elif report.maturity_seconds is None:
        say(
            "how long labels take is not known yet, so nothing is judged: at least 20 labels are needed, and a history twice as"
            " long as nearly all of them took; --maturity 2d judges answers from that age on"
        )
    else:
        say(f"answers are judged from an age of {duration(report.maturity_seconds)} on")
    if report.unknown_labels == 1:
        say("1 label is for a prediction that is not known here")
    elif report.unknown_labels:
        say(f"{report.unknown_labels:,} labels are for predictions that are not known here")
