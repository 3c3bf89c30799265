"""KEDA beside a cluster: what it is told, so that several clusters have one each, and the API server trusts it for a reason."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.cluster import certificates, keda
from tests.cluster.settings import Settings


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """A cluster with a state folder of its own and nothing in it."""
    monkeypatch.setattr("tests.cluster.settings.LONGEST_STATE", 200)
    monkeypatch.setenv("CANARIO_CLUSTER_STATE", str(tmp_path))
    monkeypatch.setenv("CANARIO_CLUSTER_NETWORK", "10.213.0.0/16")
    return Settings.from_environment()


def test_the_metrics_api_is_trusted_by_the_cluster_s_own_authority(settings: Settings) -> None:
    """No connection goes unchecked: the API server is told by whom the certificate was issued."""
    settings.keys.mkdir()
    (settings.keys / "ca.crt").write_text("the authority")
    (service,) = [each for each in keda.API.objects(settings)["items"] if each["kind"] == "APIService"]
    assert base64.b64decode(service["spec"]["caBundle"]) == b"the authority"
    assert "insecureSkipTLSVerify" not in service["spec"]


def test_names_are_the_cluster_s_and_the_machine_s_stay_as_they_are(settings: Settings) -> None:
    """KEDA runs beside the pods and asks a Prometheus by its Service's name; only its own view of the names is changed."""
    for command in (keda.operator(settings), keda.adapter(settings)):
        assert list(command[:2]) == ["unshare", "--mount"]
        assert str(settings.state) in str(command)


def test_every_port_is_the_node_s_own(settings: Settings) -> None:
    """Two clusters have the same ports and different addresses: what listens beyond the loopback is told by the node's address."""
    (slice_,) = [each for each in keda_objects(settings) if each["kind"] == "EndpointSlice"]
    assert slice_["endpoints"] == [{"addresses": ["10.213.128.2"]}]


def keda_objects(settings: Settings) -> list[dict[str, object]]:
    """What is applied, with a real authority's certificate."""
    certificates.issue_all(settings)
    found: list[dict[str, object]] = keda.API.objects(settings)["items"]
    return found
