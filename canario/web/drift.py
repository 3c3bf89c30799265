"""The report of drift as a page: a table, and for each column its bins now beside the reference's; the figures are the report's.

The page is whole in itself: it has no script and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from itertools import pairwise

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from canario.drift.bins import NULL, OTHER
from canario.model.card import Card, ColumnKind
from canario.model.drift import Drift, DriftReport, DriftVerdict
from canario.web.drift_words import DRIFT_WORDS
from canario.web.words import BRAZILIAN

PLOT_WIDTH, PLOT_HEIGHT = 640.0, 150.0
TIME_HEIGHT = 46.0
LONGEST_NAME = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bin, drawn: places in the plot's own units."""

    middle: float
    width: float
    now: float
    """The height of the bar of now."""
    then: float
    name: str
    """Short, for the axis."""
    says: str
    """Whole, for the pointer and for readers of screens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One column, drawn."""

    drift: Drift
    title: str
    unit: str
    bars: tuple[Bar, ...]
    path: str
    """PSI over time."""
    limit_path: str


def drift_page(card: Card, report: DriftReport, language: str) -> str:
    """One HTML document, in one of the languages of DRIFT_WORDS (KeyError otherwise)."""
    words = DRIFT_WORDS[language]
    columns = {column.name: column for column in card.columns}
    panels = [
        _panel(
            each,
            columns[each.name].title or each.name,
            language,
            is_boolean=columns[each.name].kind is ColumnKind.BOOLEAN,
        )
        for each in report.columns
    ]
    panels.append(_panel(report.scores, words["scores"], language, is_boolean=False))
    return _template().render(
        report=report,
        words=words,
        language=language,
        panels=panels,
        summary=_summary(panels, words),
        style=_style(),
        verdicts=DriftVerdict,
        number=lambda value, digits=3: number(value, language, digits),
        count=lambda value: number(value, language, 0),
        time=lambda seconds: datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M"),
        width=PLOT_WIDTH,
        height=PLOT_HEIGHT,
        time_height=TIME_HEIGHT,
    )


def number(value: float | None, language: str, digits: int) -> str:
    """`1234.5` as a reader writes it: `1,234.500`, in Brazil `1.234,500`; a dash for none."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:,.{digits}f}"
    return text.translate(str.maketrans(",.", ".,")) if language == BRAZILIAN else text


def _summary(panels: list[Panel], words: Mapping[str, str]) -> str:
    moved = [panel.title for panel in panels if panel.drift.verdict is DriftVerdict.DRIFT]
    if moved:
        return words["moved"].format(columns=", ".join(moved))
    waits = any(panel.drift.verdict is DriftVerdict.NOT_ENOUGH_ROWS for panel in panels)
    return words["waiting" if waits else "still"]


def _panel(drift: Drift, title: str, language: str, *, is_boolean: bool) -> Panel:
    words = DRIFT_WORDS[language]
    unit = words.get(drift.unit, drift.unit)
    names = _names(drift, language, is_boolean=is_boolean)
    now_rows, then_rows = sum(drift.rows) or 1, sum(drift.reference_rows) or 1
    shares = [(now / now_rows, then / then_rows) for now, then in zip(drift.rows, drift.reference_rows, strict=True)]
    highest = max((share for pair in shares for share in pair), default=0.0) or 1.0
    # A bin for what never comes, such as a missing value where there must be one, says nothing.
    shown = [
        (names[place], pair) for place, pair in enumerate(shares) if any(pair) or drift.bins[place] not in (NULL, OTHER)
    ]
    step = PLOT_WIDTH / len(shown)
    bars = tuple(
        Bar(
            middle=(place + 0.5) * step,
            width=min(step * 0.36, 44.0),
            now=now / highest * PLOT_HEIGHT,
            then=then / highest * PLOT_HEIGHT,
            name=short if len(short) <= LONGEST_NAME else f"{short[: LONGEST_NAME - 1]}…",
            says=words["bar"].format(
                bin=whole, now=number(100 * now, language, 1), then=number(100 * then, language, 1)
            ),
        )
        for place, ((short, whole), (now, then)) in enumerate(shown)
    )
    top = max((max(look.psi, look.psi_limit) for look in drift.looks), default=1.0)
    return Panel(
        drift=drift,
        title=title,
        unit=unit,
        bars=bars,
        path=_path([look.psi for look in drift.looks], top),
        limit_path=_path([look.psi_limit for look in drift.looks], top),
    )


def _names(drift: Drift, language: str, *, is_boolean: bool) -> list[tuple[str, str]]:
    """Each bin's name on the axis, and in full."""
    words = DRIFT_WORDS[language]
    named = {NULL: (words["null"],) * 2, OTHER: (words["other"],) * 2}
    if not drift.edges or is_boolean:
        truths = (words["false"], words["true"]) if is_boolean and len(drift.edges) == 1 else drift.bins
        whole = [*truths, *drift.bins[len(truths) :]]
        return [named.get(name, (name, name)) for name in whole]
    edges = [_edge(edge, language) for edge in drift.edges]
    names = [(f"< {edges[0]}", words["below"].format(edge=edges[0]))]
    for low, high in pairwise(edges):
        names.append((f"≥ {low}", f"{low} \N{EN DASH} {high}"))
    names.append((f"≥ {edges[-1]}", words["from"].format(edge=edges[-1])))
    return [*names, *(named[name] for name in drift.bins[len(names) :])]


def _edge(edge: float, language: str) -> str:
    text = f"{edge:,.0f}" if abs(edge) >= 1000 else f"{edge:.3g}" if abs(edge) >= 0.01 else f"{edge:.2g}"
    return text.translate(str.maketrans(",.", ".,")) if language == BRAZILIAN else text


def _path(values: list[float], top: float) -> str:
    if len(values) < 2:
        return ""
    step = PLOT_WIDTH / (len(values) - 1)
    points = (f"{place * step:.1f},{TIME_HEIGHT * (1 - value / top):.1f}" for place, value in enumerate(values))
    return "M" + " L".join(points)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("canario.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("drift.html")


@cache
def _style() -> str:
    return (files("canario.web") / "static" / "drift.css").read_text(encoding="utf-8")
