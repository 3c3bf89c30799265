"""A worker's entry in a pod: `python -m canario.stream fraud`, with CANARIO_BROKER_URL, CANARIO_ROUTER_URL and CANARIO_LEDGER_URL."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from canario.errors import CanarioError
from canario.stream.running import (
    OPERATOR_PORT,
    ROUTER_VARIABLE,
    WorkerSettings,
    bounds_from,
    quiet_libraries,
    run_worker,
)

logger = logging.getLogger(__name__)


def main() -> int:
    """Work until told to end; the exit code says whether it could."""
    parser = argparse.ArgumentParser(prog="python -m canario.stream", description="Answer the messages of a model.")
    parser.add_argument("model", help="whose messages, such as fraud")
    parser.add_argument("--router", default=os.environ.get(ROUTER_VARIABLE, ""), help=f"else {ROUTER_VARIABLE}")
    parser.add_argument("--broker", help="amqp://... or sqlite:PATH, else CANARIO_BROKER_URL")
    parser.add_argument("--ledger", help="postgresql://... or sqlite:PATH, else CANARIO_LEDGER_URL")
    parser.add_argument("--concurrency", type=int, default=16, help="messages that are asked at once (16)")
    parser.add_argument("--prefetch", type=int, default=16, help="messages of each priority in its hands (16)")
    parser.add_argument("--operator-port", type=int, default=OPERATOR_PORT, help="/livez, /readyz, /metrics (9000)")
    given = parser.parse_args()
    quiet_libraries()
    try:
        settings = WorkerSettings(
            model=given.model,
            router_url=given.router,
            broker_url=given.broker,
            ledger_url=given.ledger,
            operator_port=given.operator_port,
            bounds=bounds_from(given.concurrency, given.prefetch),
        )
        asyncio.run(run_worker(settings, lambda port: logger.info("operators ask on port %d", port)))
    except CanarioError as error:
        sys.stderr.write(f"canario: {error}\n" + (f"  {error.hint}\n" if error.hint else ""))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
