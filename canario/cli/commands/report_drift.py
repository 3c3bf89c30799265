"""`canario report drift`: how far what comes in lies from what a version was trained on, before any label has come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import click

from canario.cli.addressing import address_options
from canario.cli.commands.report_quality import Duration
from canario.cli.documented import Documented
from canario.cli.naming import model_argument
from canario.cli.printing import print_document, say
from canario.model.address import Address, PlatformKind

if TYPE_CHECKING:
    from rich.console import RenderableType

    from canario.adapters.versions import StoredVersion
    from canario.model.drift import Drift, DriftReport
    from canario.model.reference import Reference

GRAINS = 4096
"""Into so many pieces a report's time is cut when it looks for when something began to move."""


@click.command(
    "drift",
    cls=Documented,
    examples=[
        "canario report drift fraud",
        "canario report drift fraud --since 1h",
        "canario report drift fraud --version v2 --output html > drift.html",
    ],
)
@model_argument
@click.option(
    "--version", "tag", default="", help="This version, such as v2; the one that answers by default otherwise."
)
@click.option("--since", type=Duration(), default="1d", show_default=True, help="How far back, such as 7d or 30m.")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["table", "json", "html"]),
    default="table",
    show_default=True,
    help="A table for people, one JSON document for programs, or a page with plots.",
)
@click.option(
    "--language",
    type=click.Choice(["en", "pt-BR"]),
    default="en",
    show_default=True,
    help="The page's language.",
)
@address_options
def command(
    *,
    model: str,
    tag: str,
    since: float,
    output: Literal["table", "json", "html"],
    language: str,
    address: Address,
) -> None:
    """Compare what was asked lately with what the version was trained on.

    Needs no label. A column drifts when it lies further from the version's reference than matters and than chance explains
    for so many rows, or when its texts hold new words. Columns that moved and move the scores most come first.
    """
    _refuse_clusters(address)
    version = _version(model, tag)
    until = time.time()
    report = _report(version, until - since, until)
    if output == "html":
        from canario.web.drift import drift_page

        click.echo(drift_page(version.card(), report, language))
    else:
        print_document(output, report, lambda: _drawn(report))
    if output != "json":
        _say_what_follows(report)


def _refuse_clusters(address: Address) -> None:
    from canario.errors import UsageError

    if address.on is PlatformKind.KUBERNETES:
        raise UsageError(
            "the rows that a cluster's servers answer are kept in their pods, where this command cannot read them",
            at="--on",
            hint="ask Prometheus, which adds up all servers: canario:column_psi:1h beside canario:column_psi_limit:1h,"
            " or the dashboard of inputs",
        )


def _version(model: str, tag: str) -> StoredVersion:
    """The version that is asked for, or the one that answers by default, or the newest."""
    from canario.adapters.versions import find_version
    from canario.cli.platforms import local_platform

    if not model:
        model = local_platform("").model
    return find_version(f"{model}:{tag or local_platform(model).status().stable}")


def _report(version: StoredVersion, since_seconds: float, until_seconds: float) -> DriftReport:
    from canario.adapters.homes import predictions_folder
    from canario.drift.comparing import Span, compare
    from canario.drift.counting import RowCounter
    from canario.feedback.rows import answered_rows

    name, card, reference = version.record.name, version.card(), _reference(version)
    counter = RowCounter(card, reference, max(1.0, (until_seconds - since_seconds) / GRAINS))
    for row in answered_rows(predictions_folder(name.model), name.tag, since_seconds, until_seconds):
        counter.add(row.at_seconds, row.values, row.score)
    return compare(name, card, reference, counter, Span(since_seconds, until_seconds))


def _reference(version: StoredVersion) -> Reference:
    from canario.adapters.documents import read_record
    from canario.adapters.versions import REFERENCE_FILE
    from canario.errors import NotFound
    from canario.model.reference import Reference

    path = version.folder / REFERENCE_FILE
    if not path.is_file():
        raise NotFound(
            f"{version.record.name} has no reference to compare with",
            at=str(path),
            hint=f"`canario train {version.record.name.model}` makes a version that has one",
        )
    return read_record(Reference, path)


def _drawn(report: DriftReport) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from canario.cli.figures import count, figure, local_time
    from canario.cli.printing import table

    drawn = table(
        "column", "verdict", "psi", "limit", "ks", "moved by", "moves scores", "new words", "since",
        numbers=("psi", "limit", "ks", "moved by", "moves scores"),
    )  # fmt: skip
    for each in (*report.columns, report.scores):
        since = each.drifting_since_seconds
        drawn.add_row(
            each.name,
            _verdict(each),
            *(
                "-" if value is None else f"{value:.3f}"
                for value in (each.psi, each.psi_limit, each.kolmogorov_smirnov, each.wasserstein)
            ),
            "-" if each.importance is None else f"{100 * each.importance:.0f} %",
            _new_words(each),
            "-" if since is None else local_time(since),
        )
    heading = f"{report.model}:{report.version}, {count(report.rows)} rows since {local_time(report.since_seconds)}"
    parts: list[RenderableType] = [Text(heading, style="bold"), drawn]
    if report.estimated:
        foretold = table("estimated without labels", "now", "at the reference")
        for estimate in report.estimated:
            interval = f"({figure(estimate.low)} to {figure(estimate.high)})"
            foretold.add_row(estimate.name, f"{figure(estimate.value)} {interval}", figure(estimate.reference))
        parts += [Text(""), foretold]
    return Group(*parts)


def _verdict(drift: Drift) -> str:
    from canario.cli.figures import count
    from canario.model.drift import DriftVerdict

    if drift.verdict is not DriftVerdict.NOT_ENOUGH_ROWS:
        return drift.verdict
    if drift.more_rows is None:
        return "no reference"
    return f"not enough rows yet: {count(drift.more_rows)} more"


def _new_words(drift: Drift) -> str:
    from canario.cli.figures import count, percent

    found = drift.new_words
    if found is None:
        return "-"
    return f"{count(found.rows)} rows ({percent(100 * found.share)}; {percent(100 * found.reference_share)} before)"


def _say_what_follows(report: DriftReport) -> None:
    from canario.model.drift import DriftVerdict

    moved = [each.name for each in (*report.columns, report.scores) if each.verdict is DriftVerdict.DRIFT]
    waiting = [each.more_rows for each in report.columns if each.verdict is DriftVerdict.NOT_ENOUGH_ROWS]
    if moved:
        say(
            f"{', '.join(moved)}: not what {report.model}:{report.version} was trained on; `canario report quality"
            f" {report.model}` tells whether its answers are worse, `canario retrain {report.model}` learns from new labels"
        )
    elif waiting:
        say(
            f"nothing has moved yet; at most {max(each or 0 for each in waiting):,} more rows tell, or a longer --since"
        )
    else:
        say("nothing has moved further than matters and than chance explains")
