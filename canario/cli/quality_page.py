"""The report of quality as a page of its own: every measure over time with its interval, beside what training had promised."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from canario.cli.figures import count, duration, figure, local_time, percent, score
from canario.model.quality import CohortQuality, QualityReport, VersionQuality
from canario.model.version import Score

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 760, 190, 56, 12, 26
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2127;--soft:#667;--line:#d5d9e0;--paper:#fff;--blue:#2362c0;--band:#2362c033;--then:#b5651d}
@media (prefers-color-scheme:dark){:root{--ink:#e7eaf0;--soft:#99a;--line:#3a4150;--paper:#14171c;--blue:#7fb2ff;--band:#7fb2ff33;--then:#e6a15c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}p,figcaption{color:var(--soft)}figure{margin:1rem 0}
table{border-collapse:collapse}td,th{padding:.25rem .9rem .25rem 0;text-align:left;border-bottom:1px solid var(--line)}
svg{max-width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
"""


def quality_page(report: QualityReport, trained: Mapping[str, Sequence[Score]]) -> str:
    """One HTML document that needs nothing else. `trained`: by version, the scores that its training measured."""
    matured = (
        "How long labels take is not known yet, so nothing is judged."
        if report.maturity_seconds is None
        else f"Answers are judged from an age of {duration(report.maturity_seconds)} on; younger ones are only counted."
    )
    span = f"{local_time(report.since_seconds)} to {local_time(report.until_seconds)}"
    body = "".join(_version(version, trained.get(version.version, ())) for version in report.versions)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Quality of {html.escape(report.model)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Quality of {html.escape(report.model)}</h1><p>{span}. {matured}"
        f" {count(report.unknown_labels)} labels are for predictions that are not known.</p>"
        f"{body or '<p>No answers are known in this time.</p>'}</body></html>"
    )


def _version(version: VersionQuality, trained: Sequence[Score]) -> str:
    then = {each.name: each for each in trained}
    covered = "-" if version.coverage is None else percent(100 * version.coverage)
    rows = "".join(
        f"<tr><td>{html.escape(each.name)}</td><td>{score(each, interval=True)}</td><td>{count(each.rows)}</td>"
        f"<td>{score(then[each.name], interval=True) if each.name in then else '-'}</td></tr>"
        for each in version.scores
    )
    plots = "".join(_plot(each, version.cohorts, then.get(each.name)) for each in version.scores)
    return (
        f"<h2>{html.escape(version.version)}</h2><p>{count(version.labelled)} of {count(version.predictions)} answers that"
        f" are old enough are labelled ({covered}).</p>"
        + (
            f"<table><tr><th>measure</th><th>since then</th><th>labels</th><th>when trained</th></tr>{rows}</table>{plots}"
            if rows
            else "<p>Nothing to judge yet.</p>"
        )
    )


def _plot(measure: Score, cohorts: Sequence[CohortQuality], trained: Score | None) -> str:
    points = [
        (each.cohort.begins_at_seconds, found)
        for each in cohorts
        for found in each.scores
        if found.name == measure.name
    ]
    bounds = [bound for _, each in points for bound in (each.low, min(each.high, 4 * max(each.value, 1e-12)))]
    if trained is not None:
        bounds += [trained.low, trained.high]
    low, high = min(bounds, default=0.0), max(bounds, default=1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)

    def x(at: float) -> float:
        return _LEFT + 8 + (at - first) / (last - first) * (_WIDTH - _LEFT - 24)

    def y(value: float) -> float:
        return _TOP + (high - min(max(value, low), high)) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="var(--line)"/>'
        f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{figure(value)}</text>'
        for value in (low, (low + high) / 2, high)
    ]
    if trained is not None:
        parts.append(
            f'<rect x="{_LEFT}" width="{_WIDTH - _LEFT}" y="{y(trained.high):.1f}"'
            f' height="{max(1.0, y(trained.low) - y(trained.high)):.1f}" fill="var(--then)" opacity=".18"/>'
        )
    path = " ".join(
        f"{'M' if not place else 'L'}{x(at):.1f},{y(each.value):.1f}" for place, (at, each) in enumerate(points)
    )
    parts.append(f'<path d="{path}" fill="none" stroke="var(--blue)"/>')
    for at, each in points:
        words = html.escape(f"{local_time(at)}: {score(each, interval=True)}, {count(each.rows)} labels")
        parts.append(
            f'<g><title>{words}</title><line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{y(each.low):.1f}" y2="{y(each.high):.1f}"'
            f' stroke="var(--band)" stroke-width="5"/><circle cx="{x(at):.1f}" cy="{y(each.value):.1f}" r="3" fill="var(--blue)"/></g>'
        )
    for at, anchor in ((first, "start"), (last, "end")):
        parts.append(
            f'<text x="{x(at):.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{local_time(at).rpartition(":")[0]}</text>'
        )
    promised = "; the band is what training measured" if trained is not None else ""
    name = html.escape(measure.name)
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name} over time">{"".join(parts)}</svg>'
        f"<figcaption>{name} of each cohort with its 95 % interval{promised}</figcaption></figure>"
    )
