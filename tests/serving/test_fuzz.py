"""Whatever is sent, the server neither fails nor hangs: valid requests with something broken in them, and plain noise."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving import sample_requests as samples
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
LONGEST_SECONDS = 20
FAILURES = {"UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNIMPLEMENTED", "CANCELLED"}

numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**53 + 1, -(2**63), 2**64, 1e308, -0.0])
)
words = st.text(max_size=30) | st.sampled_from(["", "PT", "FP64", "BYTES", "label", "\0", "�"])
leaves = st.none() | st.booleans() | numbers | words
trees = st.recursive(
    leaves, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(words, inside, max_size=3), max_leaves=8
)


@st.composite
def spoiled(draw: st.DrawFn, valid: dict[str, Any]) -> dict[str, Any]:
    """A valid request in which a few places are replaced, removed or doubled."""
    request = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(places(request)) or [(request, "inputs")]))
        match draw(st.sampled_from(["replace", "replace", "remove", "double"])):
            case "remove" if key in (holder if isinstance(holder, dict) else range(len(holder))):
                del holder[key]
            case "double" if isinstance(holder, list) and key < len(holder):
                holder.append(copy.deepcopy(holder[key]))
            case _:
                if isinstance(holder, dict) or key < len(holder):
                    holder[key] = draw(trees)
    return request


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON tree, as its holder and its key there."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield tree, key
        yield from places(child)


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Valid bytes, cut, stretched, or with some of them changed."""
    body = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(body) - 1)))
        match draw(st.sampled_from(["change", "cut", "insert", "end"])):
            case "change" if body:
                body[place] = draw(st.integers(0, 255))
            case "cut":
                del body[place : place + draw(st.integers(1, 9))]
            case "insert":
                body[place:place] = draw(st.binary(max_size=9))
            case _:
                body = body[:place]
    return bytes(body)


@pytest.fixture(scope="module")
def client(shop: Server) -> Iterator[httpx.Client]:
    """One connection for all of it."""
    with httpx.Client(base_url=shop.url, timeout=LONGEST_SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def infer(shop: Server) -> Iterator[Any]:
    """ModelInfer as a call of bytes."""
    with grpc.insecure_channel(shop.grpc) as channel:
        yield channel.unary_unary(f"{samples.SERVICE}/ModelInfer", bytes, bytes)


def check_rest(answer: httpx.Response) -> None:
    """Answered, or refused in the one form of all errors."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error", "at", "hint"}


def check_grpc(infer: Any, body: bytes) -> None:
    """The same over gRPC."""
    call = infer.future(body, timeout=LONGEST_SECONDS)
    assert call.code().name not in FAILURES, call.details()


@SETTINGS
@given(request=spoiled({"rows": [samples.customer(), samples.customer(distance=2.5)]}))
def test_spoiled_rows_never_fail_the_server(client: httpx.Client, request: dict[str, Any]) -> None:
    """A valid body of POST /predict with odd values, names and shapes in it is answered or refused."""
    check_rest(client.post("/predict", json=request))


@SETTINGS
@given(
    request=spoiled(
        samples.shop_inputs(rows=2)
        | {"outputs": [{"name": "label", "parameters": {"binary_data": True}}], "parameters": {}}
    )
)
def test_spoiled_tensors_never_fail_the_server(client: httpx.Client, request: dict[str, Any]) -> None:
    """A valid inference in JSON with odd values, names and shapes in it is answered or refused."""
    check_rest(client.post("/v2/models/shop/infer", json=request))


@SETTINGS
@given(data=st.data())
def test_damaged_binary_requests_never_fail_the_server(client: httpx.Client, data: st.DataObject) -> None:
    """A binary inference with damaged bytes or a wrong header length is answered or refused."""
    body, headers = samples.binary(samples.shop_inputs(rows=2))
    length = data.draw(st.just(headers["Inference-Header-Content-Length"]) | st.integers(-5, len(body) + 5).map(str))
    check_rest(
        client.post(
            "/v2/models/shop/infer",
            content=data.draw(damaged(body)),
            headers={"Inference-Header-Content-Length": length},
        )
    )


@SETTINGS
@given(
    path=st.sampled_from(["/predict", "/feedback", "/v2/models/shop/infer"]),
    body=st.binary(max_size=200) | damaged(msgspec.json.encode(samples.customer())),
    encoding=st.sampled_from(["", "gzip", "deflate", "br"]),
    kind=st.sampled_from(["application/json", "application/octet-stream", "text/plain"]),
)
def test_noise_never_fails_the_server(client: httpx.Client, path: str, body: bytes, encoding: str, kind: str) -> None:
    """Any bytes under any content type and encoding are answered or refused."""
    check_rest(client.post(path, content=body, headers={"content-type": kind, "content-encoding": encoding}))


@SETTINGS
@given(
    body=st.binary(max_size=200)
    | damaged(samples.message("shop", samples.shop_inputs(rows=2)).SerializeToString())
    | damaged(samples.message("shop", samples.shop_inputs(rows=2), raw=False).SerializeToString())
)
def test_damaged_messages_never_fail_the_server(infer: Any, body: bytes) -> None:
    """A damaged gRPC inference, raw or typed, and plain noise are answered or refused."""
    check_grpc(infer, body)


@SETTINGS
@given(data=st.data())
def test_spoiled_messages_never_fail_the_server(infer: Any, data: st.DataObject) -> None:
    """A well-formed gRPC inference with odd names, datatypes, shapes and contents is answered or refused."""
    request = samples.message("shop", samples.shop_inputs(rows=2), raw=data.draw(st.booleans()))
    tensor = data.draw(st.sampled_from(list(request.inputs)))
    tensor.shape[:] = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1) | st.sampled_from([1, 2]), max_size=3))
    tensor.datatype = data.draw(st.sampled_from([tensor.datatype, "FP64", "BYTES", "INT64", "BOOL", "FP16", ""]))
    tensor.contents.fp64_contents.extend(data.draw(st.lists(st.floats(), max_size=3)))
    tensor.contents.bytes_contents.extend(data.draw(st.lists(st.binary(max_size=9), max_size=3)))
    if request.raw_input_contents:
        place = data.draw(st.integers(0, len(request.raw_input_contents) - 1))
        request.raw_input_contents[place] = data.draw(st.binary(max_size=40))
    check_grpc(infer, request.SerializeToString())
