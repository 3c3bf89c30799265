"""How fast and how exact the router is: a weight change until the first request on it, the measured split, the count.

Run: `python benchmarks/router.py [--requests 20000] [--changes 20]`; it starts Envoy and two small servers on loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
from scipy.stats import binom

from canario.model.split import Backend, Endpoint, RouterPlan, Split
from canario.platforms.local.processes import free_port
from canario.router.folder import Router

ECHO_SERVER = Path(__file__).parents[1] / "tests" / "router" / "echo_server.py"
WEIGHTS_PERCENT = (1.0, 5.0, 10.0, 50.0)


def main() -> None:
    """Print the figures; fails when one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, help="requests at each weight, half REST, half gRPC")
    parser.add_argument("--changes", type=int, default=20, help="changes of weight that are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (router, plan):
        time_changes(router, plan, options.changes)
        for percent in WEIGHTS_PERCENT:
            measure_split(router, plan, percent, options.requests)
        for name, read in (("split", router.split), ("counts", router.counts)):
            seconds = [timed(read) for _ in range(50)]
            print(f"reading the {name}: median {statistics.median(seconds) * 1000:.1f} ms")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[Router, RouterPlan]]:
    """Envoy in front of one server each of v1 and v2."""
    ports = [free_port() for _ in range(6)]
    endpoints = {
        "v1": Endpoint(host="127.0.0.1", http_port=ports[0], grpc_port=ports[1]),
        "v2": Endpoint(host="127.0.0.1", http_port=ports[2], grpc_port=ports[3]),
    }
    processes = [
        subprocess.Popen([sys.executable, str(ECHO_SERVER), version, str(each.http_port), str(each.grpc_port)])
        for version, each in endpoints.items()
    ]
    plan = RouterPlan(
        model="benchmark",
        port=ports[4],
        admin_port=ports[5],
        split=Split(stable="v1", candidate="v2", weight_percent=0.0),
        backends=tuple(Backend(version=version, endpoints=(each,)) for version, each in endpoints.items()),
        latency_milliseconds=100.0,
    )
    router = Router(folder, plan.admin_port)
    try:
        for each in endpoints.values():
            wait_for(each.http_port)
        router.write(plan)
        processes.append(subprocess.Popen(router.command()))
        while not router.is_ready():
            time.sleep(0.01)
        yield router, plan
    finally:
        for process in processes:
            process.kill()
            process.wait()


def time_changes(router: Router, plan: RouterPlan, changes: int) -> None:
    """From the moved file to the first answer of the version that has all the weight now."""
    effect, whole = [], []
    client = http.client.HTTPConnection("127.0.0.1", plan.port)
    for number in range(changes):
        percent, version = ((100.0, "v2"), (0.0, "v1"))[number % 2]
        start = time.time()
        router.write(replace(plan, split=replace(plan.split, weight_percent=percent)))
        moved = (Path(router.command()[2]).parent / "routes.json").stat().st_mtime
        while ask_rest(client) != version:
            pass
        effect.append(time.time() - moved)
        whole.append(time.time() - start)
    client.close()
    for name, seconds in (("moved file to first request", effect), ("the check by Envoy included", whole)):
        print(f"{changes} changes of weight, {name}: median {statistics.median(seconds) * 1000:.0f} ms, "
              f"longest {max(seconds) * 1000:.0f} ms")  # fmt: skip
    assert statistics.median(effect) < 0.2


def measure_split(router: Router, plan: RouterPlan, percent: float, requests: int) -> None:
    """The candidate's requests as its clients saw them and as the evidence has them, in the 99 % interval."""
    wanted = replace(plan, split=replace(plan.split, weight_percent=percent))
    router.write(wanted)
    while router.split() != wanted.split:
        time.sleep(0.001)
    before = dict(router.counts() or {})
    client = http.client.HTTPConnection("127.0.0.1", plan.port)
    half = requests // 2
    start = time.perf_counter()
    rest = Counter(ask_rest(client) for _ in range(half))
    client.close()
    with grpc.insecure_channel(f"127.0.0.1:{plan.port}") as channel:
        call = channel.unary_unary("/echo.Echo/Predict", bytes, bytes)
        grpc_ = Counter(ask_grpc(call) for _ in range(half))
    seconds = time.perf_counter() - start
    time.sleep(0.1)
    after = dict(router.counts() or {})
    counted = {
        version: after[version].requests - (before[version].requests if version in before else 0) for version in after
    }
    for name, got, total in (("REST", rest, half), ("gRPC", grpc_, half), ("both", rest + grpc_, 2 * half)):
        low, high = (int(binom.ppf(tail, total, percent / 100)) for tail in (0.005, 0.995))
        verdict = "inside" if low <= got["v2"] <= high else "OUTSIDE"
        print(f"{percent:g} % of {total} {name}: {got['v2']} to the candidate, {verdict} {low} to {high}")
    print(
        f"{percent:g} %: sent {dict(sorted((rest + grpc_).items()))}, counted {counted}, {2 * half / seconds:.0f} requests/s"
    )
    assert counted == rest + grpc_


def ask_rest(client: http.client.HTTPConnection) -> str:
    """The version that answers one REST request."""
    client.request("POST", "/predict", b"{}")
    response = client.getresponse()
    response.read()
    assert response.status == 200
    return str(response.getheader("x-canario-version"))


def ask_grpc(call: grpc.UnaryUnaryMultiCallable[bytes, bytes]) -> str:
    """The version that answers one gRPC request."""
    _, told = call.with_call(b"{}", timeout=10)
    return next(str(value) for key, value in told.initial_metadata() if key == "x-canario-version")


def timed(deed: object) -> float:
    """How many seconds a call takes."""
    assert callable(deed)
    start = time.perf_counter()
    deed()
    return time.perf_counter() - start


def wait_for(port: int) -> None:
    """Return when somebody listens."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main()
