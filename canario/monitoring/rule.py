"""A rule as Prometheus reads it, and the pieces of PromQL that all rules share; which rules there are is for the other modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from canario.monitoring.table import Alert, Table

Document = dict[str, Any]

MODEL = ("namespace", "model")
"""What names a model: `namespace` is empty on a laptop, and PromQL takes an empty label for one that is not there."""
VERSION = (*MODEL, "version")
LONGEST_GAP = "15m"
"""For so long scrapes may fail without a counter being taken for a new one when they come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A series that is computed again and again, and kept."""

    name: str
    query: str

    def document(self) -> Document:
        """As the rules file has it."""
        return {"record": self.name, "expr": self.query}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """A question whose every answer is told to somebody."""

    alert: Alert
    query: str
    concern: str
    """What it is about: a page silences the tickets of the same concern of the same model."""
    summary: str
    description: str
    labels: dict[str, str] = field(default_factory=dict)

    def document(self, table: Table) -> Document:
        """As the rules file has it; who is told, and when, is in the table."""
        row = table.alerts[self.alert]
        return {
            "alert": self.alert.value,
            "expr": self.query,
            "for": row.after,
            **({"keep_firing_for": row.kept} if row.kept else {}),
            "labels": {"severity": row.severity.value, "concern": self.concern, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{table.runbooks}{self.alert.value}.md",
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are computed together, in this order: an alert sees what was recorded a moment before."""

    name: str
    rules: Sequence[Record | AlertRule]

    def document(self, table: Table) -> Document:
        """As the rules file has it."""
        rules = [rule.document() if isinstance(rule, Record) else rule.document(table) for rule in self.rules]
        return {"name": self.name, "interval": table.evaluate, "rules": rules}


def labels(names: Sequence[str]) -> str:
    """Label names as PromQL lists them."""
    return f"({', '.join(names)})"


def one(selector: str, by: Sequence[str]) -> str:
    """A gauge that several processes tell alike, once."""
    return f"max by {labels(by)} ({selector})"


def counted(selector: str, window: str, by: Sequence[str]) -> str:
    """By how much counters have risen in a window, over servers that come, go and begin again at 0.

    `increase` sees a counter from its second sample on: what a counter held at its first one is added where that counter
    was born in the window. It was if nothing was there a window ago, although this model was read then: a Prometheus that has just
    begun has seen no birth. A scrape that failed then hides a counter and is no birth either: what was there shortly before was
    there. After a restart under the same name the least value counts, so that nothing counts twice.
    """
    present = f"last_over_time({selector}[{LONGEST_GAP}] offset {window})"
    born = (
        f"(min_over_time({selector}[{window}]) unless {present})\n"
        f"        and on {labels(MODEL)} count by {labels(MODEL)} (up offset {window})"
    )
    return (
        f"sum by {labels(by)} (\n"
        f'    label_replace(increase({selector}[{window}]), "part_of_sum", "rise", "", "")\n'
        f"  or\n"
        f'    label_replace(\n      {born},\n      "part_of_sum", "birth", "", ""\n    )\n'
        f")"
    )
