"""Bad input is refused with the path of what is wrong, over every protocol, and is never the server's failure."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import grpc
import msgspec
import pytest

from canario.serving import open_inference_pb2 as pb
from tests.serving import sample_requests as samples
from tests.serving.sample_requests import customer
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real

JSON = {"content-type": "application/json"}
LONG = "x" * 21

ROWS: dict[str, tuple[Any, int, str]] = {
    "a missing column": ({"rows": [{"amount": 1.0}]}, 400, "rows[0].age"),
    "an extra column": (customer(colour="red"), 400, "colour"),
    "a wrong type": ({"rows": [customer(), customer(amount="12")]}, 400, "rows[1].amount"),
    "a number for a boolean": (customer(member=1), 400, "member"),
    "a fraction for an integer": (customer(age=40.5), 400, "age"),
    "below the range": ({"rows": [customer(amount=-0.01)]}, 400, "rows[0].amount"),
    "above the range": ({"rows": [customer(), customer(), customer(age=121)]}, 400, "rows[2].age"),
    "an integer beyond 2^53": (customer(visits=2**53 + 1), 400, "visits"),
    "an integer beyond 64 bits": (customer(visits=10**30), 400, "visits"),
    "an unknown category": (customer(country="DE"), 400, "country"),
    "an empty category": (customer(country=""), 400, "country"),
    "a text too long": ({"rows": [customer(note=LONG)]}, 400, "rows[0].note"),
    "null where none may be": (customer(amount=None), 400, "amount"),
    "no row": ({"rows": []}, 400, "rows"),
    "rows that are no list": ({"rows": customer()}, 400, "rows"),
    "a row that is no object": ({"rows": [customer(), 7]}, 400, "rows[1]"),
    "something beside rows": ({"rows": [customer()], "more": 1}, 400, "more"),
    "a list": ([customer()], 400, ""),
    "too many rows": ({"rows": [customer()] * 10_001}, 413, "rows"),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_do_not_fit_are_refused(shop: Server, case: str) -> None:
    """POST /predict says what is wrong, where, and what would fit."""
    content, status, at = ROWS[case]
    with shop.client() as client:
        answer = client.post("/predict", json=content)
    assert (answer.status_code, answer.json()["at"]) == (status, at)
    assert answer.json()["error"]
    assert answer.json()["hint"]


BODIES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "broken JSON": (b'{"rows": [', JSON, 400, ""),
    "nothing": (b"", JSON, 400, ""),
    "NaN in JSON": (b'{"amount": NaN}', JSON, 400, ""),
    "Infinity in JSON": (b'{"rows": [{"amount": Infinity}]}', JSON, 400, ""),
    "a number too large for a float": (
        msgspec.json.encode(customer()).replace(b"120.5", b"1e999"),
        JSON,
        400,
        "amount",
    ),
    "wrong UTF-8": (b'{"note": "\xff"}', JSON, 400, "body"),
    "wrong UTF-8 in a row": (b'{"rows": [{"note": "\xff"}]}', JSON, 400, "body"),
    "half a surrogate": (msgspec.json.encode(customer()).replace("olá".encode(), b"\\ud800"), JSON, 400, ""),
    "nested too deeply": (b'{"rows":' + b"[" * 100_000, JSON, 400, ""),
    "no content type": (b"{}", {}, 415, "headers.Content-Type"),
    "a form": (b"a=1", {"content-type": "application/x-www-form-urlencoded"}, 415, "headers.Content-Type"),
    "a pickle": (b"\x80\x04N.", {"content-type": "application/vnd.bentoml+pickle"}, 415, "headers.Content-Type"),
    "an unknown encoding": (b"{}", {**JSON, "content-encoding": "br"}, 415, "headers.Content-Encoding"),
    "broken gzip": (b"{}", {**JSON, "content-encoding": "gzip"}, 400, "body"),
    "half a gzip": (gzip.compress(b"{}" * 100)[:-9], {**JSON, "content-encoding": "gzip"}, 400, "body"),
    "too large": (b" " * (16 * 1024 * 1024 + 1), JSON, 413, "body"),
    "too large when unpacked": (
        gzip.compress(b" " * (17 * 1024 * 1024)),
        {**JSON, "content-encoding": "gzip"},
        413,
        "body",
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies_that_are_not_json_rows_are_refused(shop: Server, case: str) -> None:
    """Whatever bytes come, with whatever headers, the answer is a 4xx in the one form of all errors."""
    body, headers, status, at = BODIES[case]
    with shop.client() as client:
        answer = client.post("/predict", content=body, headers=headers)
        assert client.get("/livez").status_code == 200
    assert (answer.status_code, answer.json()["at"]) == (status, at)


def test_bytes_that_are_no_text_are_found(shop: Server) -> None:
    """What is not UTF-8 is refused with its place in the body, in words that are no library's."""
    with shop.client() as client:
        answer = client.post("/predict", content=b'{"rows": [{"note": "ab\xff"}]}', headers=JSON).json()
    assert answer["error"] == "the body is not UTF-8 from byte 22 on"


def test_a_large_body_is_refused_while_it_arrives(shop: Server) -> None:
    """A body without a declared length is counted as it arrives, and refused at the limit, not collected."""
    with shop.client() as client:
        answer = client.post("/predict", content=(b" " * 65_536 for _ in range(300)), headers=JSON)
    assert answer.status_code == 413


def spoiled(place: int, **changes: Any) -> dict[str, Any]:
    """The shop's request with one tensor changed."""
    request = samples.shop_inputs()
    request["inputs"][place].update(changes)
    return request


def without(place: int) -> dict[str, Any]:
    """The shop's request without one of its tensors."""
    request = samples.shop_inputs()
    del request["inputs"][place]
    return request


def twice(place: int) -> dict[str, Any]:
    """The shop's request with one tensor twice."""
    request = samples.shop_inputs()
    request["inputs"].append(request["inputs"][place])
    return request


TENSORS: dict[str, tuple[dict[str, Any], int, str]] = {
    "a missing input": (without(3), 400, "inputs"),
    "no input": ({"inputs": []}, 400, "inputs"),
    "a duplicate input": (twice(2), 400, "inputs[8].name"),
    "an unknown input": (spoiled(0, name="amont"), 400, "inputs[0].name"),
    "another datatype": (spoiled(0, datatype="FP32"), 400, "inputs[0].datatype"),
    "a datatype that is none": (spoiled(1, datatype="int"), 400, "inputs[1].datatype"),
    "too few dimensions": (spoiled(0, shape=[]), 400, "inputs[0].shape"),
    "too many dimensions": (spoiled(0, shape=[1, 1, 1]), 400, "inputs[0].shape"),
    "a negative dimension": (spoiled(0, shape=[-1]), 400, "inputs[0].shape"),
    "a shape whose product overflows": (spoiled(0, shape=[2**62, 2**62]), 400, "inputs[0].shape"),
    "rows that differ": (spoiled(4, shape=[2]), 400, "inputs[4].shape"),
    "a value out of range": (spoiled(0, data=[1000.5]), 400, "inputs[0].data[0]"),
    "an unknown word": (spoiled(3, data=["DE"]), 400, "inputs[3].data[0]"),
    "a text too long": (spoiled(4, data=[LONG]), 400, "inputs[4].data[0]"),
    "a fraction for an integer": (spoiled(6, data=[1.5]), 400, "inputs[6].data[0]"),
    "an integer beyond 2^53": (spoiled(1, data=[2**53 + 1]), 400, "inputs[1].data[0]"),
    "too many rows": (samples.shop_inputs(rows=10_001), 413, "inputs[0].shape"),
    "an unknown output": (
        samples.shop_inputs() | {"outputs": [{"name": "label"}, {"name": "lable"}]},
        400,
        "outputs[1].name",
    ),
    "an output twice": (samples.shop_inputs() | {"outputs": [{"name": "label"}] * 2}, 400, "outputs[1].name"),
    "shared memory": (
        spoiled(0, parameters={"shared_memory_region": "r"}),
        400,
        "inputs[0].parameters.shared_memory_region",
    ),
    "classification": (
        samples.shop_inputs() | {"outputs": [{"name": "label", "parameters": {"classification": 1}}]},
        400,
        "outputs[0].parameters.classification",
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_do_not_fit_are_refused_over_rest_and_grpc_alike(shop: Server, case: str) -> None:
    """Both protocols refuse the same request, with the same path."""
    request, status, at = TENSORS[case]
    with shop.client() as client:
        answer = client.post("/v2/models/shop/infer", json=request)
    assert (answer.status_code, answer.json()["at"]) == (status, at)
    made = pb.ModelInferRequest(model_name="shop")
    for tensor in request["inputs"]:
        added = made.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        for name in tensor.get("parameters", {}):
            added.parameters[name].string_param = "r"
        made.raw_input_contents.append(samples.wire(samples.DATATYPES.get(tensor["name"], "FP64"), tensor["data"]))
    for output in request.get("outputs", []):
        wanted = made.outputs.add(name=output["name"])
        for name in output.get("parameters", {}):
            wanted.parameters[name].int64_param = 1
    with pytest.raises(grpc.RpcError) as refused:
        samples.infer(shop.grpc, made)
    assert refused.value.code().name == ("RESOURCE_EXHAUSTED" if status == 413 else "INVALID_ARGUMENT")
    assert f"(at {at})" in str(refused.value.details())


JSON_TENSORS: dict[str, tuple[dict[str, Any], str]] = {
    "a value of another type": (spoiled(0, data=["x"]), "inputs[0].data[0]"),
    "null in an integer": (spoiled(1, data=[None]), "inputs[1].data[0]"),
    "null where none may be": (spoiled(0, data=[None]), "inputs[0].data[0]"),
    "null in a text that may not be missing": (spoiled(4, data=[None]), "inputs[4].data[0]"),
    "null in a word that may not be missing": (spoiled(3, data=[[None]]), "inputs[3].data[0][0]"),
    "more values than the shape": (spoiled(0, data=[1.0, 2.0]), "inputs[0].data"),
    "data that is no list": (spoiled(0, data=1.0), "inputs[0].data"),
    "no data": (spoiled(0, data=None), "inputs[0].data"),
    "a shape of words": (spoiled(0, shape=["one"]), "inputs[0].shape[0]"),
    "a name that is no word": (spoiled(0, name=3), "inputs[0].name"),
    "no inputs": ({"rows": []}, "inputs"),
    "binary data that is not there": (
        spoiled(0, parameters={"binary_data_size": 8}),
        "inputs[0].parameters.binary_data_size",
    ),
    "a negative binary size": (
        spoiled(0, parameters={"binary_data_size": -1}),
        "inputs[0].parameters.binary_data_size",
    ),
    "a binary size that is no number": (
        spoiled(0, parameters={"binary_data_size": True}),
        "inputs[0].parameters.binary_data_size",
    ),
    "both data and binary data": (spoiled(0, parameters={"binary_data_size": 0}), "inputs[0].data"),
}


@pytest.mark.parametrize("case", JSON_TENSORS)
def test_tensors_in_json_that_do_not_fit_are_refused(shop: Server, case: str) -> None:
    """A JSON tensor is refused with the path of its odd value."""
    request, at = JSON_TENSORS[case]
    with shop.client() as client:
        answer = client.post("/v2/models/shop/infer", json=request)
    assert (answer.status_code, answer.json()["at"]) == (400, at)


def test_a_text_that_is_empty_is_there(shop: Server) -> None:
    """What may not be missing may be empty, and what may be missing may be null: null is refused only where /predict does."""
    with shop.client() as client:
        for place, value in ((4, ""), (7, None)):
            assert client.post("/v2/models/shop/infer", json=spoiled(place, data=[value])).status_code == 200


def test_rows_of_a_nested_tensor_must_be_equally_long(rent: Server) -> None:
    """A nested tensor whose rows differ is refused, also when the number of values fits."""
    request = samples.rent_inputs()
    request["inputs"][0]["data"] = [[50.0, 2.0], [1.0, 80.0, 3.0, 0.0]]
    with rent.client() as client:
        answer = client.post("/v2/models/rent/infer", json=request)
    assert (answer.status_code, answer.json()["at"]) == (400, "inputs[0].data")


@pytest.mark.parametrize(("value", "index"), [(2.5, 1), (0.5, 2), (float("nan"), 3), (float("inf"), 0)])
def test_a_value_in_a_matrix_is_found_by_its_flat_index(rent: Server, value: float, index: int) -> None:
    """In the one tensor of a numeric model the path counts values row by row."""
    request = samples.rent_inputs()
    flat = [value if place == index else number for place, number in enumerate([*samples.FLATS[0], *samples.FLATS[1]])]
    request["inputs"][0]["data"] = flat
    body, headers = samples.binary(request)
    with rent.client() as client:
        answer = client.post("/v2/models/rent/infer", content=body, headers=headers)
    assert (answer.status_code, answer.json()["at"]) == (400, f"inputs[0].data[{index}]")
    with pytest.raises(grpc.RpcError) as refused:
        samples.infer(rent.grpc, samples.message("rent", request, raw=False))
    assert f"inputs[0].data[{index}]" in str(refused.value.details())


def resized(place: int, change: Callable[[bytes], bytes]) -> tuple[bytes, dict[str, str]]:
    """The shop's binary request with one tensor's bytes changed, and its declared size with them."""
    request = samples.shop_inputs()
    parts = [samples.wire(tensor["datatype"], tensor.pop("data")) for tensor in request["inputs"]]
    parts[place] = change(parts[place])
    for tensor, part in zip(request["inputs"], parts, strict=True):
        tensor["parameters"] = {"binary_data_size": len(part)}
    head = msgspec.json.encode(request)
    return b"".join([head, *parts]), {"Inference-Header-Content-Length": str(len(head))}


BYTES: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "too few bytes": (0, lambda part: part[:-1]),
    "too many bytes": (0, lambda part: part + b"\0"),
    "a boolean of 2": (2, lambda _: b"\2"),
    "a length prefix out of bounds": (3, lambda part: b"\xff\xff\xff\xff" + part[4:]),
    "half a length prefix": (3, lambda _: b"\1\0"),
    "more elements than the shape": (3, lambda part: part + part),
    "no element": (3, lambda _: b""),
    "wrong UTF-8": (4, lambda _: b"\2\0\0\0\xc3\x28"),
    "infinity": (0, lambda _: b"\0\0\0\0\0\0\xf0\x7f"),
}


@pytest.mark.parametrize("case", BYTES)
def test_bytes_that_are_not_the_tensor_are_refused_over_rest_and_grpc_alike(shop: Server, case: str) -> None:
    """Binary tensors and raw contents are read by the same rules."""
    place, change = BYTES[case]
    body, headers = resized(place, change)
    with shop.client() as client:
        answer = client.post("/v2/models/shop/infer", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["at"].startswith(f"inputs[{place}].data")
    request = samples.message("shop", samples.shop_inputs())
    request.raw_input_contents[place] = change(request.raw_input_contents[place])
    with pytest.raises(grpc.RpcError) as refused:
        samples.infer(shop.grpc, request)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("length", ["-1", "x", "999999", "", "9" * 5000, "1"])
def test_a_broken_binary_header_length_is_refused(shop: Server, length: str) -> None:
    """Inference-Header-Content-Length must be a number of bytes within the body, and end where the JSON ends."""
    body, _ = samples.binary(samples.shop_inputs())
    with shop.client() as client:
        answer = client.post("/v2/models/shop/infer", content=body, headers={"Inference-Header-Content-Length": length})
    assert answer.status_code == 400


def spoil(change: Callable[[pb.ModelInferRequest], None]) -> bytes:
    """The shop's gRPC request, changed."""
    request = samples.message("shop", samples.shop_inputs(), raw=False)
    change(request)
    return request.SerializeToString()


MESSAGES: dict[str, tuple[bytes, str, str]] = {
    "broken protobuf": (b"\xff\xff\xff", "INVALID_ARGUMENT", "message"),
    "a model that is not here": (spoil(lambda r: setattr(r, "model_name", "shap")), "NOT_FOUND", "model_name"),
    "a version that is not here": (spoil(lambda r: setattr(r, "model_version", "v9")), "NOT_FOUND", "model_version"),
    "fewer raw contents than inputs": (
        spoil(lambda r: r.raw_input_contents.append(b"")),
        "INVALID_ARGUMENT",
        "raw_input_contents",
    ),
    "raw and typed contents": (
        spoil(lambda r: r.raw_input_contents.extend([b""] * 8)),
        "INVALID_ARGUMENT",
        "inputs[0].contents",
    ),
    "contents of another type": (
        spoil(lambda r: r.inputs[0].contents.fp32_contents.append(1.0)),
        "INVALID_ARGUMENT",
        "inputs[0].contents.fp32_contents",
    ),
    "more values than the shape": (
        spoil(lambda r: r.inputs[0].contents.fp64_contents.append(1.0)),
        "INVALID_ARGUMENT",
        "inputs[0].contents.fp64_contents",
    ),
    "no contents": (
        spoil(lambda r: r.inputs[1].ClearField("contents")),
        "INVALID_ARGUMENT",
        "inputs[1].contents.int64_contents",
    ),
    "an unpacked value of wrong UTF-8": (
        spoil(lambda r: r.inputs[4].contents.bytes_contents.__setitem__(0, b"\xff")),
        "INVALID_ARGUMENT",
        "inputs[4].data[0]",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages_that_do_not_fit_are_refused(shop: Server, case: str) -> None:
    """What gRPC alone can get wrong is refused with its own status and the path."""
    body, code, at = MESSAGES[case]
    with pytest.raises(grpc.RpcError) as refused:
        samples.call(shop.grpc, "ModelInfer", body)
    assert refused.value.code().name == code
    assert f"(at {at})" in str(refused.value.details())


def test_a_message_too_large_is_refused(shop: Server) -> None:
    """GRPC has the same limit of bytes."""
    with pytest.raises(grpc.RpcError) as refused:
        samples.call(shop.grpc, "ModelInfer", b"\0" * (17 * 1024 * 1024))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
