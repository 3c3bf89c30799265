"""Draws the dashboards from a running Prometheus into one page of SVG, for machines without Grafana; prints where it is.

`python -m benchmarks.dashboards http://127.0.0.1:9090 fraud page.html` while `canario monitor` runs.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
import time
from pathlib import Path

import httpx

from canario.monitoring.dashboards import dashboards
from canario.monitoring.panels import Panel
from canario.monitoring.table import read_table

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 480, 240, 56, 26, 8
COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#db2777", "#65a30d", "#475569", "#b45309")
MOST_LINES = 12
POINTS = 120
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 24px; color: #0f172a; background: #f8fafc }
h2 { margin: 32px 0 12px }
main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 16px }
figure { margin: 0; padding: 12px; background: #fff; border: 1px solid #e2e8f0; border-radius: 6px }
figcaption { font-weight: 600 } small { color: #64748b; display: block }
svg { width: 100%; height: auto } text { font: 11px system-ui, sans-serif; fill: #64748b }
.legend span { font-size: 12px; margin-right: 10px; white-space: nowrap } .legend i { display: inline-block; width: 10px; height: 3px;
margin-right: 4px; vertical-align: middle }
"""

Line = tuple[str, list[tuple[float, float]]]


def main() -> int:
    """Draw the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("prometheus", help="its address")
    parser.add_argument("model")
    parser.add_argument("page", type=Path, help="the file to write")
    parser.add_argument("--minutes", type=float, default=15, help="how far back")
    parser.add_argument("--window", default="", help="the window of drift; the table's second one otherwise")
    parser.add_argument("--rate", default="1m", help="the window of rates")
    parser.add_argument("--table", type=Path, help="the table that `canario monitor` was given")
    asked = parser.parse_args()
    table = read_table(asked.table)
    window = asked.window or table.drift.windows[min(1, len(table.drift.windows) - 1)]
    words = {"$__rate_interval": asked.rate, "$namespace": ".*", "$model": asked.model, "$window": window}
    pages = [
        f"<h2>{html.escape(page.title)}</h2><main>"
        + "".join(figure(panel, asked.prometheus, words, asked.minutes * 60) for panel in page.panels)
        + "</main>"
        for page in dashboards(table)
    ]
    asked.page.write_text(
        f"<!doctype html><meta charset=utf-8><title>{html.escape(asked.model)}</title><style>{STYLE}</style>{''.join(pages)}"
    )
    print(asked.page)
    return 0


def figure(panel: Panel, prometheus: str, words: dict[str, str], seconds: float) -> str:
    """One panel with its lines."""
    lines: list[Line] = []
    for query in panel.queries:
        promql = query.promql
        for word, meant in words.items():
            promql = promql.replace(word, meant)
        lines += asked_lines(prometheus, promql, query.legend, seconds)
    left_out = f"<small>and {len(lines) - MOST_LINES} more</small>" if len(lines) > MOST_LINES else ""
    lines = sorted(lines, key=lambda line: -line[1][-1][1])[:MOST_LINES]
    legend = "".join(
        f'<span><i style="background:{COLOURS[place % len(COLOURS)]}"></i>{html.escape(name)}</span>'
        for place, (name, _) in enumerate(lines)
    )
    drawn = (
        drawing(lines, panel.unit, seconds)
        if lines
        else f"<p>nothing yet: needs {html.escape(panel.needs or 'data')}</p>"
    )
    return (
        f"<figure><figcaption>{html.escape(panel.title)}</figcaption><small>{html.escape(panel.about)}</small>{drawn}"
        f'<div class="legend">{legend}</div>{left_out}</figure>'
    )


def asked_lines(prometheus: str, promql: str, legend: str, seconds: float) -> list[Line]:
    """What a query found over time, each line under its legend."""
    now = time.time()
    params: dict[str, str | float] = {"query": promql, "start": now - seconds, "end": now, "step": seconds / POINTS}
    answer = httpx.get(f"{prometheus}/api/v1/query_range", params=params, trust_env=False).raise_for_status().json()
    found = []
    for each in answer["data"]["result"]:
        metric = each["metric"]
        name = re.sub(r"\{\{(\w+)\}\}", lambda label, metric=metric: str(metric.get(label[1], "")), legend)  # type: ignore[misc]
        points = [(float(at), float(value)) for at, value in each["values"] if value not in ("NaN", "+Inf")]
        if points:
            found.append((name.strip(), points))
    return found


def drawing(lines: list[Line], unit: str, seconds: float) -> str:
    """The lines, with an axis that says the unit."""
    end = time.time()
    top = max(value for _, points in lines for _, value in points) * 1.1 or 1.0

    def x(at: float) -> float:
        return LEFT + (at - end + seconds) / seconds * (WIDTH - LEFT - 8)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - max(value, 0.0) / top * (HEIGHT - BOTTOM - TOP)

    grid = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y(top * part):.1f}" y2="{y(top * part):.1f}" stroke="#e2e8f0"/>'
        f'<text x="{LEFT - 6}" y="{y(top * part) + 4:.1f}" text-anchor="end">{in_unit(top * part, unit)}</text>'
        for part in (0, 0.25, 0.5, 0.75, 1)
    )
    times = "".join(
        f'<text x="{x(end - seconds * part):.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{'now' if part == 0 else f'-{seconds * part / 60:.3g} min'}</text>"
        for part in (0.05, 0.33, 0.66, 0.95)
    )
    paths = "".join(
        f'<polyline fill="none" stroke-width="1.5" stroke="{COLOURS[place % len(COLOURS)]}" points="'
        + " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        + '"/>'
        + (
            f'<circle r="2.5" cx="{x(points[-1][0]):.1f}" cy="{y(points[-1][1]):.1f}" fill="{COLOURS[place % len(COLOURS)]}"/>'
        )
        for place, (_, points) in enumerate(lines)
    )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">{grid}{times}{paths}</svg>'


def in_unit(value: float, unit: str) -> str:
    """A figure of an axis."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "percent":
        return f"{value:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.3g}{'/s' if unit == 'reqps' else ''}"


if __name__ == "__main__":
    sys.exit(main())
