"""The documentation of a served version is true."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.serving import sample_requests as samples
from tests.serving.server_processes import Server

pytestmark = pytest.mark.real

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
]


@pytest.mark.parametrize("model", ["shop", "rent"])
def test_the_server_does_what_its_document_says(request: pytest.FixtureRequest, model: str) -> None:
    """Requests made from the document, fitting and not, get the answers that the document promises, and never a 5xx."""
    server: Server = request.getfixturevalue(model)
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 16
    for operation in operations:
        try_out(operation)


def try_out(operation: Any) -> None:
    """Some requests to one operation."""
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    examples = 4 if operation.method == "get" or "version" in operation.path else 12

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=st.one_of(modes))
    def check(case: Any) -> None:
        # A schema cannot say that a tensor's shape must match its data: requests that fit it may still be refused.
        excluded = [positive_data_acceptance] if case.path.endswith("/infer") else []
        case.call_and_validate(checks=CHECKS, excluded_checks=excluded)

    check()


def test_examples_are_real(shop: Server) -> None:
    """Sending the document's example gets the document's answer, but for the id."""
    with shop.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
        for path, url in (("/predict", "/predict"), ("/v2/models/{model}/infer", "/v2/models/shop/infer")):
            operation = paths[path]["post"]
            request = operation["requestBody"]["content"]["application/json"]["example"]
            expected = operation["responses"]["200"]["content"]["application/json"]["example"]
            answer = client.post(url, json=request, headers={"x-request-id": "warm-up"})
            assert answer.json() == expected


def test_the_page_of_documentation_stands_alone(shop: Server) -> None:
    """GET /docs shows every route and loads nothing from elsewhere."""
    with shop.client() as client:
        page = client.get("/docs")
        paths = client.get("/openapi.json").json()["paths"]
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for path in paths)
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert samples.customer()["country"] in page.text


def test_the_form_speaks_the_reader_s_language(shop: Server) -> None:
    """GET / is the form, in English or Portuguese, with the policy that allows its own script only."""
    with shop.client() as client:
        english = client.get("/")
        portuguese = client.get("/", headers={"accept-language": "pt-BR,pt;q=0.9"})
        asked = client.get("/?lang=en", headers={"accept-language": "pt-BR"})
    assert 'lang="en"' in english.text
    assert 'lang="pt-BR"' in portuguese.text
    assert asked.text == english.text
    assert "script-src 'sha256-" in english.headers["content-security-policy"]
