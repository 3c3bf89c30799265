"""The rules file, whole, as Prometheus and the Prometheus operator read it."""

from __future__ import annotations

from canario.monitoring.client_rules import client_rules
from canario.monitoring.drift_rules import drift_rules
from canario.monitoring.message_rules import message_rules
from canario.monitoring.operation_rules import operation_rules
from canario.monitoring.quality_rules import quality_rules
from canario.monitoring.rule import AlertRule, Document, Group
from canario.monitoring.table import Table


def groups(table: Table) -> list[Group]:
    """Every group, each with its records before its alerts."""
    return [client_rules(table), drift_rules(table), quality_rules(table), operation_rules(table), message_rules(table)]


def rules(table: Table) -> Document:
    """The content of a rules file."""
    return {"groups": [group.document(table) for group in groups(table)]}


def alert_rules(table: Table) -> list[AlertRule]:
    """Every alert's rule."""
    return [rule for group in groups(table) for rule in group.rules if isinstance(rule, AlertRule)]
