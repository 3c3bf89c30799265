"""What a request costs: each way into a served version against a bare ASGI echo on the same server, taken in turns.

    python benchmarks/serving.py [--model loan] [--seconds 2] [--rounds 5]

A small version of the model is trained for it. CPU is the server process's own, user and system, by request. The client
is wrk where it is installed, otherwise a small one; gRPC always has a small one, which is slower than the server.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from grpc import aio

from canario.adapters.versions import StoredVersion
from canario.kernel.kernel import row_of
from canario.kernel.limits import Limits
from canario.packaging.rooms import load_room
from canario.packaging.training import TrainingRequest, train
from canario.serving import open_inference_pb2 as pb
from canario.serving.own_requests import binary_request, grpc_request, json_request, predict_request
from canario.serving.served import ServedVersion
from canario.serving.warmup import warmup_columns
from canario.serving.whole_answers import WholeAnswers

CONNECTIONS = 16
LISTENS = re.compile(r"answers REST on (\S+) and gRPC on (\S+)")


@dataclass(frozen=True)
class Started:
    """A server process."""

    pid: int
    url: str
    grpc: str


@dataclass(frozen=True)
class Way:
    """One way to ask a server."""

    name: str
    process: int
    run: Callable[[float], int]
    """Ask for so many seconds; how many were answered."""


async def echo(_: Any, receive: Any, send: Any) -> None:
    """The least that an ASGI application can do."""
    body = (await receive())["body"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What a request costs.")
    parser.add_argument("--model", default="loan", help="a room")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="in which all ways take turns")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"BENTOML_HOME": f"{folder}/bentoml", "CANARIO_HOME": f"{folder}/canario"}
        request = TrainingRequest(tag="v1", first_day=dt.date(2026, 1, 1), last_day=dt.date(2026, 1, 14))
        version = train(load_room(arguments.model), request)
        with servers(version, Path(folder)) as ways:
            report(version, measure(ways, arguments.rounds, arguments.seconds))


def measure(ways: list[Way], rounds: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """By way: requests a second and CPU microseconds a request, once a round."""
    figures: dict[str, list[tuple[float, float]]] = {way.name: [] for way in ways}
    for way in ways:
        way.run(0.5)
    for _ in range(rounds):
        for way in ways:
            cpu, started = cpu_seconds(way.process), time.perf_counter()
            answered = way.run(seconds)
            elapsed, used = time.perf_counter() - started, cpu_seconds(way.process) - cpu
            figures[way.name].append((answered / elapsed, used / answered * 1e6))
    return figures


def report(version: StoredVersion, figures: dict[str, list[tuple[float, float]]]) -> None:
    """The medians, and the echo's share."""
    print(f"{version.record.name} ({version.record.estimator}, {version.record.kernel.kind}), one row a request")
    print(f"{'':24}{'requests/s':>12}{'CPU us':>10}{'of the echo':>14}")
    least = statistics.median(cpu for _, cpu in next(iter(figures.values())))
    for name, rounds in figures.items():
        rate, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:24}{rate:12,.0f}{cpu:10.1f}{cpu / least:13.2f}x")


@contextmanager
def servers(version: StoredVersion, folder: Path) -> Iterator[list[Way]]:
    """An echo and the version, each in a process, and every way to ask them."""
    module = [sys.executable, "-m", "canario.serving", "--version-folder", str(version.folder)]
    served = [*module, "--http-port", "0", "--grpc-port", "0", "--linger-seconds", "0"]
    with process([sys.executable, __file__, "--echo"], folder) as echo_server, process(served, folder) as server:
        yield list(all_ways(version, echo_server, server))


def all_ways(version: StoredVersion, echo_server: Started, server: Started) -> Iterator[Way]:
    """The echo first."""
    loaded = ServedVersion(version.folder, Limits())
    row = row_of(warmup_columns(loaded), 0)
    json = {"content-type": "application/json"}
    predict = predict_request(loaded, row).body
    yield Way("bare ASGI echo", echo_server.pid, post(echo_server.url, predict, json))
    yield Way("POST /predict", server.pid, post(f"{server.url}/predict", predict, json))
    infer = f"{server.url}/v2/models/{loaded.name.model}/infer"
    yield Way("infer, JSON", server.pid, post(infer, json_request(loaded, row).body, json))
    binary = binary_request(loaded, row)
    headers = {name.decode(): value.decode() for name, value in binary.headers.items()}
    yield Way("infer, binary", server.pid, post(infer, binary.body, headers))
    yield Way("infer, gRPC", server.pid, call(server.grpc, grpc_request(loaded, row).SerializeToString()))
    loaded.close()


def post(url: str, body: bytes, headers: dict[str, str]) -> Callable[[float], int]:
    """wrk, or the small client."""
    if shutil.which("wrk"):
        return lambda seconds: wrk(url, body, headers, seconds)
    return lambda seconds: asyncio.run(small_client(url, body, headers, seconds))


def wrk(url: str, body: bytes, headers: dict[str, str], seconds: float) -> int:
    """Ask with wrk. Every answer must be good."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\n')
        script.write('wrk.body = "' + "".join(f"\\{byte:03d}" for byte in body) + '"\n')
        script.writelines(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", script.name, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    return int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]  # wrk always says so


async def small_client(url: str, body: bytes, headers: dict[str, str], seconds: float) -> int:
    """Ask over raw sockets, one request after the other on each."""
    host, _, path = url.removeprefix("http://").partition("/")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body
    until = time.perf_counter() + seconds

    async def one() -> int:
        reader, writer = await asyncio.open_connection(*host.split(":"))
        answered = 0
        while time.perf_counter() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))  # type: ignore[index]  # it is there
            answered += 1
        writer.close()
        return answered

    return sum(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))


def call(target: str, message: bytes) -> Callable[[float], int]:
    """GRPC."""

    async def client(seconds: float) -> int:
        until = time.perf_counter() + seconds
        async with aio.insecure_channel(target) as channel:
            infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", bytes, bytes)

            async def one() -> int:
                answered = 0
                while time.perf_counter() < until:
                    assert pb.ModelInferResponse.FromString(await infer(message)).outputs
                    answered += 1
                return answered

            return sum(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))

    return lambda seconds: asyncio.run(client(seconds))


@contextmanager
def process(command: list[str], folder: Path) -> Iterator[Started]:
    """A server process, once it says where it listens."""
    log = folder / f"{len(list(folder.iterdir()))}.log"
    with log.open("wb") as stream:
        started = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        while not (found := LISTENS.search(log.read_text())):
            assert started.poll() is None, log.read_text()
            time.sleep(0.05)
        yield Started(started.pid, found[1], found[2])
    finally:
        started.terminate()
        started.wait()


def cpu_seconds(pid: int) -> float:
    """What a process has used, user and system."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def serve_echo() -> None:
    """The bare server, with the settings of canario's own."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stderr.write(f"answers REST on http://127.0.0.1:{listener.getsockname()[1]} and gRPC on nothing\n")
    server = uvicorn.Server(
        uvicorn.Config(echo, http=WholeAnswers, ws="none", lifespan="off", access_log=False, log_config=None)
    )
    server.run(sockets=[listener])


if __name__ == "__main__":
    if "--echo" in sys.argv:
        serve_echo()
    else:
        main()
