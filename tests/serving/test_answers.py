"""What a served version answers, over every protocol."""

from __future__ import annotations

import gzip
import zlib

import grpc
import httpx
import msgspec
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from canario.feedback.store import FeedbackStore
from canario.serving import open_inference_pb2 as pb
from tests.serving import sample_requests as samples
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real


def test_rows_are_answered_in_their_order(shop: Server) -> None:
    """Many rows in one request come back as many predictions, each with its own id."""
    rows = [samples.customer(amount=0.0), samples.customer(amount=1000.0)]
    with shop.client() as client:
        together = client.post("/predict", json={"rows": rows}, headers={"x-request-id": "order-1"}).json()
        alone = [client.post("/predict", json=row).json()["predictions"][0]["score"] for row in rows]
    assert (together["model"], together["version"]) == ("shop", "v1")
    assert [prediction["prediction_id"] for prediction in together["predictions"]] == ["v1.order-1.0", "v1.order-1.1"]
    assert [prediction["score"] for prediction in together["predictions"]] == alone
    assert [prediction["label"] for prediction in together["predictions"]] == ["no", "yes"]


def test_nullable_columns_may_be_left_out(shop: Server) -> None:
    """A row without its nullable columns is the row with null in them."""
    short = {name: value for name, value in samples.CUSTOMER.items() if value is not None}
    with shop.client() as client:
        answers = [
            client.post("/predict", json=row).json()["predictions"][0]["score"] for row in (short, samples.CUSTOMER)
        ]
    assert answers[0] == answers[1]


def test_an_unsafe_request_id_is_replaced(shop: Server) -> None:
    """Only a safe token becomes part of a prediction's id; anything else is replaced by a fresh one."""
    with shop.client() as client:
        answer = client.post("/predict", json=samples.CUSTOMER, headers={"x-request-id": "a b/../c"})
        fresh = [client.get("/livez").headers["x-request-id"] for _ in range(2)]
    assert answer.json()["predictions"][0]["prediction_id"].startswith(f"v1.{answer.headers['x-request-id']}.")
    assert answer.headers["x-request-id"].isalnum()
    assert fresh[0] != fresh[1]


@pytest.mark.parametrize("nested", [True, False])
def test_json_tensors_may_be_flat_or_nested(rent: Server, nested: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The protocol allows both ways to write a tensor in JSON, and both give the same answer."""
    request = samples.rent_inputs()
    if not nested:
        request["inputs"][0]["data"] = [value for row in samples.FLATS for value in row]
    with rent.client() as client:
        answer = client.post("/v2/models/rent/infer", json=request | {"id": "mine"}).json()
        rows = [dict(zip(("area", "rooms", "lift"), (a, int(r), bool(x)), strict=True)) for a, r, x in samples.FLATS]
        plain = client.post("/predict", json={"rows": rows}).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("rent", "v1", "mine")
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["label"]["datatype"] == outputs["score"]["datatype"] == "FP64"
    assert outputs["score"]["shape"] == [2]
    assert outputs["score"]["data"] == [prediction["score"] for prediction in plain["predictions"]]


def test_a_column_may_be_a_matrix_of_one(shop: Server) -> None:
    """One input a column has shape [n] or [n, 1]."""
    request = samples.shop_inputs(rows=2)
    request["inputs"][0]["shape"] = [2, 1]
    with shop.client() as client:
        answer = client.post("/v2/models/shop/versions/v1/infer", json=request)
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["shape"] == [2]


def test_only_wanted_outputs_come_back(iris: Server) -> None:
    """A request that names outputs gets those, in its order; without names it gets all, with a probability a class."""
    request = {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 2], "data": [6.0, 2.0]}]}
    with iris.client() as client:
        every = client.post("/v2/models/iris/infer", json=request).json()["outputs"]
        some = client.post(
            "/v2/models/iris/infer", json=request | {"outputs": [{"name": "probabilities"}, {"name": "label"}]}
        )
    by_name = {output["name"]: output for output in every}
    assert list(by_name) == ["label", "score", "probabilities"]
    assert by_name["probabilities"]["shape"] == [1, 3]
    assert by_name["score"]["data"] == [max(by_name["probabilities"]["data"])]
    assert [output["name"] for output in some.json()["outputs"]] == ["probabilities", "label"]


def test_binary_outputs_follow_the_json(shop: Server) -> None:
    """With binary_data the values follow the JSON, whose length a header tells."""
    body, headers = samples.binary(
        samples.shop_inputs(rows=2)
        | {"outputs": [{"name": "label"}, {"name": "score", "parameters": {"binary_data": True}}]}
    )
    with shop.client() as client:
        answer = client.post("/v2/models/shop/infer", content=body, headers=headers)
    length = int(answer.headers["inference-header-content-length"])
    head = msgspec.json.decode(answer.content[:length])
    assert head["outputs"][0]["data"] in (["no", "no"], ["yes", "yes"])
    assert head["outputs"][1]["parameters"]["binary_data_size"] == 16
    assert len(np.frombuffer(answer.content[length:], "<f8")) == 2


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_requests_are_read(shop: Server, encoding: str, compress: object) -> None:
    """A body may come in gzip or deflate."""
    assert callable(compress)
    body = compress(msgspec.json.encode(samples.CUSTOMER))
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    with shop.client() as client:
        assert client.post("/predict", content=body, headers=headers).status_code == 200


def test_metadata_says_which_kernel_answers_and_why(shop: Server, moody: Server) -> None:
    """Metadata shows the inputs, the outputs, the kernel with its reason, the digest and the version."""
    with shop.client() as client, moody.client() as other:
        compiled = client.get("/v2/models/shop").json()
        plain = other.get("/v2/models/moody").json()
        server = client.get("/v2").json()
    assert {tensor["name"]: tensor["datatype"] for tensor in compiled["inputs"]} == samples.DATATYPES
    assert compiled["versions"] == ["v1"]
    assert compiled["properties"]["digest"].startswith("sha256:")
    assert (compiled["properties"]["kernel"], plain["properties"]["kernel"]) == ("onnx", "sklearn")
    assert "Moody" in plain["properties"]["kernel_reason"]
    assert server["name"] == "canario"
    assert server["extensions"] == ["binary_tensor_data"]


def test_health_is_told_on_every_path(shop: Server) -> None:
    """Probes of Kubernetes and of the protocol find the server live and ready."""
    paths = (
        "/livez",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/shop/ready",
        "/v2/models/shop/versions/v1/ready",
    )
    with shop.client() as client:
        assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 200)


def test_grpc_has_the_same_methods(shop: Server) -> None:
    """Live, ready, metadata and inference answer over gRPC as over REST."""
    assert pb.ServerLiveResponse.FromString(samples.call(shop.grpc, "ServerLive", b"")).live
    assert pb.ServerReadyResponse.FromString(samples.call(shop.grpc, "ServerReady", b"")).ready
    named = pb.ModelReadyRequest(name="shop", version="v1").SerializeToString()
    assert pb.ModelReadyResponse.FromString(samples.call(shop.grpc, "ModelReady", named)).ready
    assert pb.ServerMetadataResponse.FromString(samples.call(shop.grpc, "ServerMetadata", b"")).name == "canario"
    metadata = pb.ModelMetadataResponse.FromString(samples.call(shop.grpc, "ModelMetadata", named))
    assert {tensor.name: tensor.datatype for tensor in metadata.inputs} == samples.DATATYPES


@pytest.mark.parametrize("raw", [True, False])
def test_grpc_takes_raw_and_typed_contents(shop: Server, raw: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Both forms of a tensor's content give the answer that REST gives."""
    request = samples.message("shop", samples.shop_inputs(), raw=raw)
    request.id = "mine"
    answer = samples.infer(shop.grpc, request)
    with shop.client() as client:
        plain = client.post("/predict", json=samples.CUSTOMER).json()["predictions"][0]
    assert answer.id == "mine"
    assert [output.name for output in answer.outputs] == ["label", "score"]
    assert answer.raw_output_contents[0][4:].decode() == plain["label"]
    assert np.frombuffer(answer.raw_output_contents[1], "<f8")[0] == plain["score"]


def test_grpc_health_and_reflection_answer(shop: Server) -> None:
    """GRPC's own tools find the service, its description and its health."""
    with grpc.insecure_channel(shop.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "inference.GRPCInferenceService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="inference.ModelInferRequest"),
        ]
        listed, described = list(reflection.ServerReflectionInfo(iter(asked), timeout=60))
    assert "inference.GRPCInferenceService" in {service.name for service in listed.list_services_response.service}
    assert b"ModelInferRequest" in described.file_descriptor_response.file_descriptor_proto[0]


def test_a_failing_model_is_an_error_of_its_own(moody: Server) -> None:
    """When the model fails on a valid row, the answer is a 500 that says so, and no traceback."""
    row = {"seconds": 0.0, "mood": "broken"}
    with moody.client() as client:
        answer = client.post("/predict", json=row)
    assert answer.status_code == 500
    assert "the mood was broken" in answer.json()["error"]
    assert "Traceback" not in answer.text
    request = {
        "inputs": [
            {"name": "seconds", "datatype": "FP64", "shape": [1], "data": [0.0]},
            {"name": "mood", "datatype": "BYTES", "shape": [1], "data": ["broken"]},
        ]
    }
    with pytest.raises(grpc.RpcError) as failed:
        samples.infer(moody.grpc, samples.message("moody", request))
    assert failed.value.code() == grpc.StatusCode.INTERNAL
    assert "the mood was broken" in str(failed.value.details())


def test_a_slow_model_does_not_hold_up_health(moody: Server) -> None:
    """While a model computes, probes are answered at once."""
    with httpx.Client(timeout=3) as client, moody.client() as patient:
        import threading

        slow = threading.Thread(
            target=lambda: patient.post(f"{moody.url}/predict", json={"seconds": 4.0, "mood": "fine"})
        )
        slow.start()
        try:
            assert all(client.get(f"{moody.url}/livez").status_code == 200 for _ in range(10))
            assert slow.is_alive()
        finally:
            slow.join()


def test_metrics_count_by_protocol_method_and_outcome(iris: Server) -> None:
    """Prometheus finds how many requests ended how, how long they took, and which version answers."""
    with iris.client() as client:
        client.post("/predict", json={"length": "long"})
        samples.infer(
            iris.grpc,
            samples.message(
                "iris", {"inputs": [{"name": "input", "datatype": "FP64", "shape": [1, 2], "data": [[1.0, 1.0]]}]}
            ),
        )
        client.get("/no/such/path/1")
        text = client.get("/metrics").text
    assert (
        'canario_requests_total{method="predict",model="iris",outcome="refused",protocol="rest",version="v1"}' in text
    )
    assert 'canario_requests_total{method="infer",model="iris",outcome="answered",protocol="grpc",version="v1"}' in text
    assert 'canario_request_duration_seconds_bucket{le="0.05",method="infer",model="iris",protocol="grpc"' in text
    assert 'canario_version_info{digest="sha256:' in text
    assert "no/such/path" not in text


def test_a_truth_is_kept_before_it_is_acknowledged(iris: Server) -> None:
    """Feedback is on the disk when the answer comes; sent again it is repeated, another truth replaces it."""
    with iris.client() as client:
        prediction = client.post("/predict", json={"length": 1.5, "width": 0.2}).json()["predictions"][0][
            "prediction_id"
        ]

        def tell(truth: str) -> str:
            answer = client.post("/feedback", json={"prediction_id": prediction, "truth": truth}).json()
            assert answer["prediction_id"] == prediction
            return str(answer["received"])

        assert [tell("setosa"), tell("setosa"), tell("virginica")] == ["new", "repeated", "changed"]
    store = FeedbackStore(iris.home / "feedback" / "iris.sqlite")
    assert store.truth_of(prediction) == "virginica"
    store.close()
