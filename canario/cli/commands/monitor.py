"""`canario monitor`: Prometheus and Alertmanager for this machine's models, with canario's rules, until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path

import click

from canario.cli.documented import Documented
from canario.cli.printing import say

PORT = click.IntRange(1, 65_535)


@click.command(
    "monitor",
    cls=Documented,
    examples=[
        "canario monitor",
        "canario monitor --port 9190 --alertmanager-port 9193",
        "canario monitor --table objectives.yaml --webhook http://127.0.0.1:9099/alerts",
    ],
)
@click.option("--port", type=PORT, default=9090, show_default=True, help="Where Prometheus answers.")
@click.option("--alertmanager-port", type=PORT, default=9093, show_default=True, help="Where Alertmanager answers.")
@click.option(
    "--table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Objectives, windows and thresholds in place of canario's own (monitoring/objectives.yaml).",
)
@click.option(
    "--webhook",
    metavar="URL",
    help="Who takes the alerts that ask for a retraining; `canario retrain --listen 9099` otherwise.",
)
def command(*, port: int, alertmanager_port: int, table: Path | None, webhook: str | None) -> None:
    """Run Prometheus and Alertmanager for the models of this machine until Ctrl-C.

    Needs both programs on PATH. Models that come up or go down are found by themselves; what was measured stays in the home
    for 15 days.
    """
    from canario.cli.progress import working
    from canario.errors import UsageError
    from canario.monitoring.alertmanager import RETRAINING_WEBHOOK
    from canario.monitoring.table import read_table
    from canario.platforms.local.monitoring import MonitoringPlan, monitoring

    if port == alertmanager_port:
        raise UsageError(f"both cannot answer on port {port}", hint="give --port or --alertmanager-port another one")
    webhook = webhook or RETRAINING_WEBHOOK
    if not webhook.startswith(("http://", "https://")):
        raise UsageError(f"{webhook!r} is no address", at="--webhook", hint=f"such as {RETRAINING_WEBHOOK}")
    over = threading.Event()
    plan = MonitoringPlan(table=read_table(table), port=port, alertmanager_port=alertmanager_port, webhook=webhook)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: over.set())
    with ExitStack() as stack:
        with working("starting Prometheus and Alertmanager"):
            running = stack.enter_context(monitoring(plan))
        say(f"alerts       {plan.url}/alerts")
        say(f"targets      {plan.url}/targets, a model's from when it is up")
        say(f"drift        {plan.url}/graph?g0.expr=%7B__name__%3D~%22canario%3Acolumn_psi%3A.%2A%22%7D&g0.tab=0")
        say(f"who is told  {plan.alertmanager_url}")
        say(f"retraining   {webhook} (`canario retrain --listen 9099` answers there)")
        say("runbooks     monitoring/runbooks/; dashboards for a Grafana: monitoring/dashboards/; Ctrl-C ends it")
        running.run(over.is_set)
    say("ended; what was measured stays in the home")
