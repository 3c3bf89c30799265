"""What metrics cost a request: the CPU time of a server that counts against one that does not, and against another that counts.

    python -m benchmarks.metrics [--model fraud] [--seconds 1.5] [--rounds 5] [--starts 3]

A small version of the model is trained for it. All servers run the same code on the same version; the one without metrics is
started here with a `Metrics` that counts nothing, which the product has no option for. The servers take turns in an order that
changes every round, and are started anew several times, as two processes of the same code differ by where their memory lies; CPU
is each server process's own, user and system, by request, so that neighbours disturb it little. The two servers that both count
say how much of a difference is noise. Below it one process answers without a network, and counts in every other block.
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from prometheus_client import Metric

from benchmarks.machine import versions_line
from benchmarks.serving import Started, call, cpu_seconds, post, process
from canario.adapters.versions import StoredVersion
from canario.kernel.kernel import row_of
from canario.kernel.limits import Limits
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.serving import served
from canario.serving.answering import Caller
from canario.serving.http import JSON, Request
from canario.serving.metrics import Metrics
from canario.serving.own_requests import binary_request, grpc_request, predict_request
from canario.serving.process import ServeOptions, serve
from canario.serving.request_metrics import Protocol
from canario.serving.rest import Rest
from canario.serving.row_metrics import RowMetrics
from canario.serving.served import ServedVersion
from canario.serving.warmup import warm_up, warmup_columns

ARMS = ("on", "on again", "off")
BLOCK, BLOCKS = 512, 60
Figures = dict[str, dict[str, list[float]]]
"""By way and arm: CPU microseconds a request, once a round."""


class NoRows(RowMetrics):
    """Counts no rows."""

    def count(self, *_: Any) -> None:
        """Nothing."""

    def count_copies(self, rows: int) -> None:
        """Nothing."""


class NoMetrics(Metrics):
    """Counts nothing and tells nothing."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.rows = NoRows(arguments[1], None)

    def count(self, *_: Any) -> None:
        """Nothing."""

    def count_refused(self, column: str) -> None:
        """Nothing."""

    def collect(self) -> Iterator[Metric]:
        """Nothing."""
        return iter(())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What metrics cost a request.")
    parser.add_argument("--model", default="fraud", help="a room")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="in which all servers take turns")
    parser.add_argument("--starts", type=int, default=3, help="how often all servers are started anew")
    parser.add_argument("--serve", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--version-folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        run_server(arguments.version_folder, counts=arguments.serve != "off")
        return
    print(f"{versions_line()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"BENTOML_HOME": f"{folder}/bentoml", "CANARIO_HOME": f"{folder}/canario"}
        request = TrainingRequest(tag="v1", first_day=dt.date(2026, 1, 1), last_day=dt.date(2026, 1, 14))
        version = train(load_room(arguments.model), request)
        figures: Figures = {}
        for _ in range(arguments.starts):
            with ExitStack() as stack:
                servers = {arm: stack.enter_context(started(version, arm, Path(folder))) for arm in ARMS}
                measure(figures, version, servers, arguments)
        report(version, figures)
        report_work(version)
        report_scrape(version)


def run_server(folder: Path, *, counts: bool) -> None:
    """One server process, as `python -m canario.serving` is one."""
    logging.basicConfig(level=logging.INFO)
    if not counts:
        served.Metrics = NoMetrics  # type: ignore[attr-defined,assignment]  # the one place where servers take theirs from
    serve(ServeOptions(version_folder=folder, http_port=0, grpc_port=0, linger_seconds=0))


def started(version: StoredVersion, arm: str, folder: Path) -> Any:
    """A server of one arm, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.metrics", "--serve", arm, "--version-folder", str(version.folder)]
    return process(command, folder)


def ways(version: StoredVersion, servers: dict[str, Started]) -> dict[str, dict[str, Callable[[float], int]]]:
    """By way and arm: ask for so many seconds; how many were answered."""
    made = ServedVersion(version.folder, Limits())
    row = row_of(warmup_columns(made), 0)
    json = {"content-type": "application/json"}
    binary = binary_request(made, row)
    headers = {name.decode(): value.decode() for name, value in binary.headers.items()}
    model = f"/v2/models/{made.name.model}/infer"
    message = grpc_request(made, row).SerializeToString()
    one = predict_request(made, row).body
    many = predict_request(made, {name: values.repeat(20) for name, values in row.items()}).body
    made.close()
    return {
        "POST /predict, 1 row": {arm: post(f"{each.url}/predict", one, json) for arm, each in servers.items()},
        "POST /predict, 20 rows": {arm: post(f"{each.url}/predict", many, json) for arm, each in servers.items()},
        "infer, binary, 1 row": {
            arm: post(f"{each.url}{model}", binary.body, headers) for arm, each in servers.items()
        },
        "infer, gRPC, 1 row": {arm: call(each.grpc, message) for arm, each in servers.items()},
    }


def measure(
    figures: Figures, version: StoredVersion, servers: dict[str, Started], arguments: argparse.Namespace
) -> None:
    """Every way at every server, once a round, after one round that is not counted."""
    for way, arms in ways(version, servers).items():
        for ask in arms.values():
            ask(0.5)
        for _ in range(arguments.rounds):
            for arm in random.sample(ARMS, len(ARMS)):
                before = cpu_seconds(servers[arm].pid)
                answered = arms[arm](arguments.seconds)
                used = (cpu_seconds(servers[arm].pid) - before) / answered * 1e6
                figures.setdefault(way, {each: [] for each in ARMS})[arm].append(used)


def report(version: StoredVersion, figures: Figures) -> None:
    """Medians, and the differences within a round: median, and the middle half of the rounds."""
    record = version.record
    print(f"{record.name} ({record.estimator}, {record.kernel.kind}), {len(version.card().columns)} columns")
    print(
        f"{'CPU us a request':24}{'off':>9}{'on':>9}{'on - off':>10}{'of off':>9}{'middle half':>18}{'on again - on':>15}"
    )
    for way, arms in figures.items():
        off = statistics.median(arms["off"])
        costs = [on - none for on, none in zip(arms["on"], arms["off"], strict=True)]
        noise = [again - on for again, on in zip(arms["on again"], arms["on"], strict=True)]
        cost = statistics.median(costs)
        low, _, high = statistics.quantiles(costs, n=4)
        print(
            f"{way:24}{off:9.1f}{statistics.median(arms['on']):9.1f}{cost:10.1f}{cost / off:9.1%}"
            f"{f'{low:.1f} to {high:.1f}':>18}{statistics.median(noise):15.1f}"
        )


def report_work(version: StoredVersion) -> None:
    """What counting adds to an answer when nothing else is between, block by block in turn."""
    made = ServedVersion(version.folder, Limits())
    warm_up(made, Rest(made))
    made.begin_logging()
    row = row_of(warmup_columns(made), 0)
    counting = made.metrics.rows.count, made.metrics.count
    nothing = NoRows.count.__get__(made.metrics.rows), NoMetrics.count.__get__(made.metrics)
    for rows in (1, 20):
        body = predict_request(made, {name: values.repeat(rows) for name, values in row.items()}).body
        blocks: dict[str, list[float]] = {arm: [] for arm in ARMS}
        for _ in range(BLOCKS):
            for arm in random.sample(ARMS, len(ARMS)):
                made.metrics.rows.count, made.metrics.count = nothing if arm == "off" else counting  # type: ignore[method-assign]
                blocks[arm].append(block(made, body))
        off, on, again = (statistics.median(blocks[arm]) for arm in ("off", "on", "on again"))
        costs = [one - none for one, none in zip(blocks["on"], blocks["off"], strict=True)]
        low, _, high = statistics.quantiles(costs, n=4)
        print(
            f"in one process, {rows} rows: off {off:.1f}, on {on:.1f}, on again {again:.1f} us; on - off "
            f"{statistics.median(costs):.1f} us ({low:.1f} to {high:.1f})"
        )
    made.close()


def block(made: ServedVersion, body: bytes) -> float:
    """CPU microseconds an answer of some hundreds, as the REST face makes and counts it."""
    rest = Rest(made)
    request = Request({b"content-type": JSON}, b"", body, Caller("benchmark", shadow=False, protocol=Protocol.REST))
    began = time.process_time()
    for _ in range(BLOCK):
        status = rest.predict(request).status
        made.metrics.count(Protocol.REST, "predict", status, 0.001)
    return (time.process_time() - began) / BLOCK * 1e6


def report_scrape(version: StoredVersion) -> None:
    """What one scrape costs, in this process: as often as Prometheus asks, whatever the load."""
    made = ServedVersion(version.folder, Limits())
    text = made.metrics.text()
    began = time.process_time()
    for _ in range(200):
        made.metrics.text()
    milliseconds = (time.process_time() - began) / 200 * 1000
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    print(f"one scrape: {series} series, {len(text) / 1024:.0f} KiB, {milliseconds:.2f} ms of CPU")
    made.close()


if __name__ == "__main__":
    main()
