"""A Grafana dashboard as code: panels with queries, and the JSON that Grafana imports; what is shown is for dashboards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_PANEL_WIDTH, _PANEL_HEIGHT, _PANELS_IN_A_ROW = 8, 8, 3


@dataclass(frozen=True, slots=True)
class Query:
    """One line or several, and how each is called."""

    promql: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    about: str
    """What a person reads in it, and what is good."""
    unit: str
    """Grafana's own word: `reqps`, `percentunit`, `s`, `short`."""
    queries: Sequence[Query]
    needs: str = ""
    """The event without which it has nothing to show; empty when traffic and labels are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Panels on one page, of one model."""

    name: str
    """Of its file, and its address."""
    title: str
    panels: Sequence[Panel]


def dashboard_json(dashboard: Dashboard, windows: Sequence[str]) -> str:
    """What Grafana imports; `windows` are those that a reader may choose for drift."""
    return json.dumps(_document(dashboard, windows), indent=2) + "\n"


def _document(dashboard: Dashboard, windows: Sequence[str]) -> dict[str, Any]:
    return {
        "uid": dashboard.name,
        "title": dashboard.title,
        "tags": ["canario"],
        "schemaVersion": 38,
        "editable": False,
        "refresh": "15s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables(windows)},
        "panels": [_panel(panel, number) for number, panel in enumerate(dashboard.panels)],
    }


def _variables(windows: Sequence[str]) -> list[dict[str, Any]]:
    def asked(name: str, query: str, every: str = "") -> dict[str, Any]:
        return {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "includeAll": bool(every),
            **({"allValue": every} if every else {}),
        }

    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        # On one machine there is no namespace: then all of them, which is none.
        asked("namespace", "label_values(canario_stable_info, namespace)", every=".*"),
        asked("model", 'label_values(canario_stable_info{namespace=~"$namespace"}, model)'),
        {"name": "window", "type": "custom", "query": ",".join(windows), "label": "window of drift"},
    ]


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    row, place = divmod(number, _PANELS_IN_A_ROW)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": {
            "h": _PANEL_HEIGHT,
            "w": _PANEL_WIDTH,
            "x": place * _PANEL_WIDTH,
            "y": row * _PANEL_HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query.promql, "legendFormat": query.legend}
            for place, query in enumerate(panel.queries)
        ],
    }
