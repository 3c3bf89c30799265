"""`python -m demo.clients fraud`: steady clients for a model that is up here or behind `--target`, until Ctrl-C; it prints what they see."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from urllib.parse import urlsplit

from canario.adapters.documents import read_document
from canario.adapters.homes import rooms_folder
from canario.errors import CanarioError, CardError, Conflict
from canario.model.card import Card
from canario.platforms.local.platform import LocalPlatform
from demo.rows import sample_rows
from demo.traffic import Traffic

REPORT_SECONDS = 5.0


def main() -> int:
    """Send until interrupted; 1 when a client has seen a failed request."""
    parser = argparse.ArgumentParser(prog="python -m demo.clients", description=__doc__)
    parser.add_argument("model", help="a model that has a room and is up, such as fraud")
    parser.add_argument(
        "--target",
        metavar="HOST:PORT",
        help="its router, such as the end of a kubectl port-forward; else this machine's",
    )
    parser.add_argument("--requests-per-second", type=float, default=50.0, help="half REST, half gRPC (50)")
    flags = parser.parse_args()
    try:
        target = flags.target or _router_of(flags.model)
        card = read_document(Card, rooms_folder() / flags.model / "model.yaml", CardError)
        rows = sample_rows(flags.model)
    except CanarioError as error:
        print(f"error: {error}\n  hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    traffic = Traffic(
        target=target,
        model=flags.model,
        card=card,
        rows=rows,
        requests_per_second=flags.requests_per_second,
    )
    print(f"sending {flags.requests_per_second:g} requests a second to {target}; Ctrl-C ends it")
    with traffic, contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(REPORT_SECONDS)
            tally = traffic.tally
            shares = ", ".join(f"{version} {count:,}" for version, count in sorted(tally.by_version.items()))
            print(f"{tally.requests:,} requests, {tally.failed:,} failed; answered by {shares or 'nobody'}")
    return 1 if traffic.tally.failed else 0


def _router_of(model: str) -> str:
    """Where the router of a model listens that is up on this machine."""
    status = LocalPlatform(model).status()
    if not status.is_up:
        raise Conflict(f"{model} is not up", hint=f"`canario up {model}` brings it up")
    return urlsplit(status.url).netloc


if __name__ == "__main__":
    sys.exit(main())
