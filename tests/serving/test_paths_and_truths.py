"""Unknown paths, wrong methods and truths that cannot be: each is told what would be right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serving.server_processes import Server

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("/v2/models/shap", "model_name"),
        ("/v2/models/shop/versions/v9", "model_version"),
        ("/v2/models/shap/versions/v1/ready", "model_name"),
        ("/v2/models/shop/versions/v1/nothing", "path"),
        ("/v2/models/", "path"),
        ("/predict/", "path"),
        ("//", "path"),
    ],
)
def test_unknown_paths_are_not_found(shop: Server, path: str, at: str) -> None:
    """A path that is not there is a 404 in JSON that says what is not there."""
    with shop.client() as client:
        answer = client.get(f"{shop.url}{path}")
    assert (answer.status_code, answer.json()["at"]) == (404, at)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/predict", "POST"), ("POST", "/livez", "GET, HEAD"), ("DELETE", "/v2/models/shop/infer", "POST")],
)
def test_wrong_methods_are_told_the_right_ones(shop: Server, method: str, path: str, allow: str) -> None:
    """A method that a path does not have is a 405 with Allow."""
    with shop.client() as client:
        answer = client.request(method, path)
        assert client.head("/livez").status_code == 200
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


TRUTHS: dict[str, tuple[Any, str]] = {
    "a class that is none": ({"prediction_id": "v1.r.0", "truth": "maybe"}, "truth"),
    "a number for a class": ({"prediction_id": "v1.r.0", "truth": 1}, "truth"),
    "no truth": ({"prediction_id": "v1.r.0"}, "truth"),
    "no id": ({"truth": "yes"}, "prediction_id"),
    "an id that is none": ({"prediction_id": "../../etc", "truth": "yes"}, "prediction_id"),
    "an id too long": ({"prediction_id": f"{'v' * 200}.r.0", "truth": "yes"}, "prediction_id"),
    "something more": ({"prediction_id": "v1.r.0", "truth": "yes", "sure": True}, "sure"),
}


@pytest.mark.parametrize("case", TRUTHS)
def test_truths_that_do_not_fit_are_refused(shop: Server, case: str) -> None:
    """Feedback is checked against the label before it is kept."""
    content, at = TRUTHS[case]
    with shop.client() as client:
        answer = client.post("/feedback", json=content)
    assert (answer.status_code, answer.json()["at"]) == (400, at)


@pytest.mark.parametrize(("truth", "status"), [(800.5, 200), (800, 200), ("800", 400), (True, 400), (None, 400)])
def test_the_truth_of_a_regression_is_a_number(rent: Server, truth: object, status: int) -> None:
    """A regression's truth is a finite number."""
    with rent.client() as client:
        assert client.post("/feedback", json={"prediction_id": "v1.r.0", "truth": truth}).status_code == status


@pytest.mark.parametrize("form", ["list", "lines"])
def test_many_truths_at_once(shop: Server, form: str) -> None:
    """A night's labels are one request: those that fit are kept, each other one is told by its line."""
    truths: list[Any] = [{"prediction_id": f"v1.{form}.{number}", "truth": "yes"} for number in range(3)]
    truths.insert(1, {"prediction_id": "v1.r.0", "truth": "maybe"})
    truths.append(truths[0])
    truths.append(truths[0] | {"truth": "no"})
    truths.append({"truth": "no"})
    content: Any = {"json": truths}
    if form == "lines":
        lines = "".join(f"{json.dumps(truth)}\n" for truth in truths)
        content = {"content": lines, "headers": {"content-type": "application/x-ndjson"}}
    with shop.client() as client:
        answer = client.post("/feedback", **content)
        again = client.post("/feedback", **content)
    assert answer.status_code == 200
    told = answer.json()
    refusals = told.pop("refusals")
    assert told == {"new": 3, "repeated": 1, "changed": 1, "refused": 2}
    assert [(refusal["line"], refusal["at"]) for refusal in refusals] == [(2, "truth"), (7, "")]
    assert again.json()["new"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[", 400), (b"[1, 2", 400), (b"[]", 200), (b"[1]", 200), (b"[" + b"1," * 10_000 + b"1]", 413)],
)
def test_a_list_that_is_none_is_refused(shop: Server, body: bytes, status: int) -> None:
    """What is no list, or too long a one, is refused as a whole, and nothing of it is kept."""
    with shop.client() as client:
        answer = client.post("/feedback", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
