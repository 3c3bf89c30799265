"""Steady traffic of a real client over REST and gRPC that counts every answer and every failure; it judges nothing."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import grpc
import grpc.aio
import httpx

from canario.model.card import Card, ColumnKind
from canario.model.feedback import Value
from canario.serving import open_inference_pb2 as inference

DATATYPES = {
    ColumnKind.NUMBER: ("FP64", "fp64_contents"),
    ColumnKind.INTEGER: ("INT64", "int64_contents"),
    ColumnKind.BOOLEAN: ("BOOL", "bool_contents"),
    ColumnKind.CATEGORY: ("BYTES", "bytes_contents"),
    ColumnKind.TEXT: ("BYTES", "bytes_contents"),
}
LONGEST_WAIT_SECONDS = 20.0
MOST_IN_FLIGHT = 256
"""So many requests may wait at once; past that the client falls behind its rate and says so, and drops nothing."""
CONNECTIONS_PER_PROTOCOL = 4
AGAIN_SECONDS = 5.0
"""How long a request whose connection breaks goes out again, as any client's retry policy has it."""

T = TypeVar("T")

Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[inference.ModelInferRequest, inference.ModelInferResponse]"


@dataclass(slots=True)
class Tally:
    """What the clients have seen so far."""

    requests: int = 0
    failed: int = 0
    late_starts: int = 0
    """Requests that started late because too many were in flight."""
    sent_again: int = 0
    """How often a request went out again because its connection broke."""
    by_protocol: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """How often each kind of failure was seen, in words."""
    slowest_seconds: float = 0.0


def infer_request(model: str, card: Card, row: Mapping[str, Value]) -> inference.ModelInferRequest:
    """One row as an Open Inference request: one tensor for all-numeric models, one input a column otherwise."""
    request = inference.ModelInferRequest(model_name=model)
    if card.is_numeric:
        tensor = request.inputs.add(name="input", datatype="FP64", shape=[1, len(card.columns)])
        tensor.contents.fp64_contents.extend(float(row[name] or 0.0) for name in card.column_names)
        return request
    for column in card.columns:
        datatype, contents = DATATYPES[column.kind]
        tensor = request.inputs.add(name=column.name, datatype=datatype, shape=[1, 1])
        value = row[column.name]
        if value is None:
            value = float("nan")  # a nullable column travels as FP64
        getattr(tensor.contents, contents).append(str(value).encode() if datatype == "BYTES" else value)
    return request


class Traffic:
    """Sends rows at a steady rate, half over REST and half over gRPC, from a thread of its own.

    A context manager: leaving it lets the requests in flight end, and count.
    """

    def __init__(
        self,
        *,
        target: str,
        model: str,
        card: Card,
        rows: Sequence[Mapping[str, Value]],
        requests_per_second: float,
        headers: Mapping[str, str] | None = None,
        sends_again: bool = False,
    ) -> None:
        """`target` is `host:port` of the router, or of a server for REST alone when `requests_per_second` suits it.

        With `sends_again` a request whose connection breaks goes out again, as from any client behind a load balancer: for a
        second or so a Service still names a router that was killed, and a client still holds connections to it.
        """
        self.tally = Tally()
        self._target, self._model, self._card = target, model, card
        self._rest = [dict(row) for row in rows]
        self._grpc = [infer_request(model, card, row) for row in rows]
        self._interval_seconds = 1.0 / requests_per_second
        self._headers = dict(headers or {})
        self._sends_again = sends_again
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> Tally:
        """Send no more, wait for the answers under way, and give the final tally."""
        self._stop.set()
        self._thread.join()
        return self.tally

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=MOST_IN_FLIGHT, max_keepalive_connections=MOST_IN_FLIGHT)
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(self._target, options=options) for _ in range(CONNECTIONS_PER_PROTOCOL)]
        calls = itertools.cycle(
            [
                channel.unary_unary(
                    "/inference.GRPCInferenceService/ModelInfer",
                    request_serializer=inference.ModelInferRequest.SerializeToString,
                    response_deserializer=inference.ModelInferResponse.FromString,
                )
                for channel in channels
            ]
        )
        async with httpx.AsyncClient(
            base_url=f"http://{self._target}", timeout=LONGEST_WAIT_SECONDS, limits=limits, trust_env=False
        ) as client:
            under_way: set[asyncio.Task[None]] = set()
            loop = asyncio.get_running_loop()
            due = loop.time()
            for number in itertools.count():
                if self._stop.is_set():
                    break
                due += self._interval_seconds
                if (early := due - loop.time()) > 0:
                    await asyncio.sleep(early)
                while len(under_way) >= MOST_IN_FLIGHT:
                    self.tally.late_starts += 1
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                place = (number // 2) % len(self._rest)
                answer = self._ask_rest(client, place) if number % 2 else self._ask_grpc(next(calls), place)
                task = asyncio.create_task(answer)
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)
        for channel in channels:
            await channel.close(grace=None)

    async def _ask_rest(self, client: httpx.AsyncClient, place: int) -> None:
        started = asyncio.get_running_loop().time()
        send = partial(client.post, "/predict", json={"rows": [self._rest[place]]}, headers=self._headers)
        try:
            response = await self._until_taken(send, send)
        except httpx.HTTPError as error:
            self._count("REST", started, failure=f"REST {type(error).__name__}: {error}"[:200])
            return
        if response.status_code != httpx.codes.OK:
            self._count("REST", started, failure=f"REST {response.status_code}: {response.text}"[:200])
            return
        answer = response.json()
        whole = len(answer.get("predictions", ())) == 1
        self._count("REST", started, version=answer.get("version", ""), failure="" if whole else "REST half an answer")

    async def _until_taken(self, send: Callable[[], Awaitable[T]], again: Callable[[], Awaitable[T]]) -> T:
        """The answer to one request; with `sends_again`, over as many connections as break within a few seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + AGAIN_SECONDS
        try:
            return await send()
        except (httpx.HTTPError, grpc.aio.AioRpcError) as first:
            failure: Exception = first
        while self._sends_again and _broke_off(failure) and loop.time() < deadline:
            self.tally.sent_again += 1
            await asyncio.sleep(0.1)
            try:
                return await again()
            except (httpx.HTTPError, grpc.aio.AioRpcError) as another:
                failure = another
        raise failure

    async def _ask_grpc(self, call: Call, place: int) -> None:
        started = asyncio.get_running_loop().time()
        send = partial(call, self._grpc[place], timeout=LONGEST_WAIT_SECONDS, metadata=tuple(self._headers.items()))
        try:
            response = await self._until_taken(send, partial(send, wait_for_ready=True))
        except grpc.aio.AioRpcError as error:
            self._count("gRPC", started, failure=f"gRPC {error.code().name}: {error.details()}"[:200])
            return
        whole = {output.name for output in response.outputs} >= {"label", "score"}
        self._count("gRPC", started, version=response.model_version, failure="" if whole else "gRPC half an answer")

    def _count(self, protocol: str, started: float, *, version: str = "", failure: str = "") -> None:
        tally = self.tally
        tally.requests += 1
        tally.by_protocol[protocol] += 1
        tally.slowest_seconds = max(tally.slowest_seconds, asyncio.get_running_loop().time() - started)
        if failure:
            tally.failed += 1
            tally.failures[failure] += 1
        else:
            tally.by_version[version] += 1


def _broke_off(error: Exception) -> bool:
    """Whether a connection broke, or none could be had: nobody has answered, and an inference may be asked again."""
    if isinstance(error, grpc.aio.AioRpcError):
        return bool(error.code() is grpc.StatusCode.UNAVAILABLE)
    return isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
