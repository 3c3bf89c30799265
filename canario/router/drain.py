"""What a router's pod runs before it ends: it leaves the Service, sends its clients away, and returns when nobody is left.

Run as `python -m canario.router.drain`; only the standard library, so that it begins at once.
"""

from __future__ import annotations

import argparse
import sys
import time

from canario.adapters.envoy_drain import DrainingEnvoy
from canario.errors import Unavailable

STILL_SECONDS = 0.5
"""For how long there must be no client, so that one that is just changing connections is not missed."""


def drain(admin_port: int, quiet_seconds: float, notice_seconds: float) -> bool:
    """Whether every client has left in time. Raises Unavailable when the router cannot be reached."""
    envoy = DrainingEnvoy(admin_port)
    envoy.fail_readiness()
    # Until everybody has heard that this router is not ready, connections still come: they are served as before.
    time.sleep(notice_seconds)
    envoy.send_clients_away()
    return envoy.wait_until(
        lambda clients: clients.requests == clients.connections == 0, quiet_seconds, still_seconds=STILL_SECONDS
    )


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 also when some clients stayed: they are cut off, which is no fault of the router."""
    parser = argparse.ArgumentParser(prog="python -m canario.router.drain", description="Send a router's clients away.")
    parser.add_argument("--admin-port", type=int, default=9900, help="where its Envoy answers on loopback")
    parser.add_argument("--quiet-seconds", type=float, default=20.0, help="the longest wait for clients to leave")
    parser.add_argument("--notice-seconds", type=float, default=3.0, help="how long others need to hear of it")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        everybody_left = drain(options.admin_port, options.quiet_seconds, options.notice_seconds)
    except Unavailable as lost:
        sys.stderr.write(f"error: {lost.message}\n")
        return 1
    end = "every client has left" if everybody_left else "some clients stayed"
    sys.stdout.write(f"{end} after {time.monotonic() - start:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
