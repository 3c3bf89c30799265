"""Whom Alertmanager tells: pages, tickets, and the webhook that begins a retraining; how to reach people is for each house."""

from __future__ import annotations

from canario.monitoring.quality_rules import ANSWER_RETRAIN
from canario.monitoring.rule import MODEL, Document
from canario.monitoring.table import Alert, Severity, Table

RETRAINING_WEBHOOK = "http://127.0.0.1:9099/alerts"
"""Where `canario retrain --listen 9099` takes alerts."""


def alertmanager(table: Table, retraining_webhook: str = RETRAINING_WEBHOOK) -> Document:
    """Alertmanager's configuration. The receivers of people are empty: what they get is seen on Alertmanager's own page."""
    telling = table.telling
    return {
        "route": {
            "receiver": Severity.TICKET.value,
            "group_by": list(MODEL),
            "group_wait": telling.wait,
            "group_interval": telling.interval,
            "repeat_interval": telling.repeat,
            "routes": [
                {
                    # A retraining is told to a program, and goes on to the people too.
                    "receiver": "retraining",
                    "matchers": [f'answer="{ANSWER_RETRAIN}"'],
                    "repeat_interval": telling.retraining_repeat,
                    "continue": True,
                },
                *({"receiver": who.value, "matchers": [f'severity="{who.value}"']} for who in Severity),
            ],
        },
        "inhibit_rules": [
            {
                # Who sees nothing cannot know that nothing arrives.
                "source_matchers": [f'alertname="{Alert.NO_METRICS.value}"'],
                "target_matchers": [f'alertname="{Alert.NO_TRAFFIC.value}"'],
                "equal": list(MODEL),
            },
            {
                "source_matchers": [f'severity="{Severity.PAGE.value}"'],
                "target_matchers": [f'severity="{Severity.TICKET.value}"'],
                "equal": [*MODEL, "concern"],
            },
        ],
        "receivers": [
            *({"name": who.value} for who in Severity),
            {
                "name": "retraining",
                "webhook_configs": [{"url": retraining_webhook, "send_resolved": False, "max_alerts": 0}],
            },
        ],
    }
