"""What Prometheus reads and whom it tells, where targets are found in files; in a cluster that is the operator's, from the charts."""

from __future__ import annotations

from pathlib import Path

from canario.monitoring.rule import Document
from canario.monitoring.table import Table

PART = "part"
"""The label of a target that says what it is: server, router, supervisor or controller."""
_ROUTER_PATH, _OWN_PATH = "/stats/prometheus", "/metrics"


def prometheus(table: Table, *, rules_file: Path, targets: Path, alertmanager: str) -> Document:
    """The configuration; `targets` is the folder in which platforms name what is to be read, in files `<model>.json`."""
    return {
        "global": {
            "scrape_interval": table.scrape,
            "evaluation_interval": table.evaluate,
            "scrape_timeout": table.scrape,
        },
        "rule_files": [str(rules_file)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            {
                "job_name": "canario",
                # A server's own word for its model counts, and not the target's.
                "honor_labels": True,
                "file_sd_configs": [{"files": [str(targets / "*.json")], "refresh_interval": table.scrape}],
                "relabel_configs": [
                    {
                        "source_labels": [PART],
                        "regex": "router",
                        "target_label": "__metrics_path__",
                        "replacement": _ROUTER_PATH,
                    },
                    # Envoy tells hundreds of counters that never moved.
                    {
                        "source_labels": [PART],
                        "regex": "router",
                        "target_label": "__param_usedonly",
                        "replacement": "yes",
                    },
                ],
            }
        ],
    }
