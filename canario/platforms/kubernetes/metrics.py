"""What the controller counts of its own work and tells of its models; answering it over HTTP is for canario.platforms.exporter."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge

from canario.platforms.exporter import Exporter

LEADS = Gauge("canario_controller_leads", "Whether this controller holds the lease (1) or waits (0).")
MODELS = Gauge("canario_controller_models", "The ModelDeployments that this controller steers.")
DECISIONS = Counter(
    "canario_controller_decisions_total", "Decisions written to a journal.", ["namespace", "model", "phase"]
)
WRITES = Counter("canario_controller_writes_total", "Requests that change the cluster.", ["kind"])
MISHAPS = Counter("canario_controller_mishaps_total", "Turns that could not be finished.", ["namespace", "model"])
TURN_SECONDS = Gauge("canario_controller_turn_seconds", "How long the last turn took.", ["namespace", "model"])

MODELS_TOLD = Exporter()
"""What is told of each model, by its loop."""
REGISTRY.register(MODELS_TOLD)
