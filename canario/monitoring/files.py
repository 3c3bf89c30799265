"""The files that follow from the table, as text with a line that says where they come from; writing them is for whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from canario.monitoring.alertmanager import alertmanager
from canario.monitoring.dashboards import dashboards
from canario.monitoring.panels import dashboard_json
from canario.monitoring.rule import Document
from canario.monitoring.rules import rules
from canario.monitoring.table import Table

RULES_FILE = "rules.yaml"
ALERTMANAGER_FILE = "alertmanager.yaml"
PROMETHEUS_FILE = "prometheus.yaml"


class _Blocks(yaml.SafeDumper):
    """Texts of several lines stay as they were written."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _text)


def to_yaml(content: Document, *about: str) -> str:
    """A document as YAML, below lines about it."""
    said = "".join(f"# {line}\n" for line in about)
    written: Any = yaml.dump(content, Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=1000)
    return f"{said}{written}"


def monitoring_files(table: Table) -> dict[Path, str]:
    """Everything for monitoring/, by its path below it."""
    pages = {
        Path("dashboards") / f"{page.name}.json": dashboard_json(page, table.drift.windows)
        for page in dashboards(table)
    }
    made = "Made by `make monitoring` from objectives.yaml; change that."
    return {
        **pages,
        Path(RULES_FILE): to_yaml(rules(table), made, "Recording rules and alerts."),
        Path(ALERTMANAGER_FILE): to_yaml(
            alertmanager(table),
            made,
            "Copy it and give the receivers `page` and `ticket` their own ways to people; `retraining` is a program.",
        ),
    }
