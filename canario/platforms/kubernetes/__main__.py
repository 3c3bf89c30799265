"""The controller's entry: `python -m canario.platforms.kubernetes --namespaces a,b --port 8081`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import uuid

from prometheus_client import REGISTRY

from canario.adapters.kubernetes_api import connect
from canario.errors import CanarioError
from canario.platforms.exporter import serve_operator
from canario.platforms.kubernetes.controller import Controller
from canario.platforms.kubernetes.jobs import AlertsTaken, RetrainingJobs
from canario.retraining.receiver import receiver


def main() -> int:
    """Steer until told to stop; the exit code says whether it could."""
    parser = argparse.ArgumentParser(
        prog="python -m canario.platforms.kubernetes", description="Steer the ModelDeployments of some namespaces."
    )
    parser.add_argument("--namespaces", default="", help="which ones, separated by commas; the own one otherwise")
    parser.add_argument("--port", type=int, default=8081, help="/metrics, /healthz, /readyz")
    parser.add_argument(
        "--prometheus-url", default="", help="the Prometheus that has read the servers, for autoscaling and gates"
    )
    parser.add_argument(
        "--alerts-port",
        type=int,
        help="POST /alerts, for Alertmanager: what asks for a retraining gets a Job (default: none does)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(message)s")
    for chatty in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        api = connect(namespace=os.environ.get("POD_NAMESPACE", ""))
        namespaces = [each for each in arguments.namespaces.split(",") if each] or [api.namespace]
        jobs = RetrainingJobs(api) if arguments.alerts_port is not None else None
        controller = Controller(api, namespaces, _identity(), arguments.prometheus_url.rstrip("/"), jobs)
        if jobs is not None:
            alerts = receiver(AlertsTaken(jobs, namespaces), arguments.alerts_port, host="")
            threading.Thread(target=alerts.serve_forever, name="alerts", daemon=True).start()
        serve_operator(arguments.port, controller.is_ready, REGISTRY)
        controller.run(ending)
    except CanarioError as error:
        sys.stderr.write(f"canario: {error}\n" + (f"  {error.hint}\n" if error.hint else ""))
        return error.exit_code
    return 0


def _identity() -> str:
    """Who this process is in the election: its pod, of which there is one, or else a name that nobody had before."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"


if __name__ == "__main__":
    sys.exit(main())
