"""Clusters do not meet: each has its own folder, names and addresses, and what cannot work is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from canario.errors import UsageError
from tests.cluster.cluster import foreign_kubeconfig
from tests.cluster.settings import Settings


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A cluster with a state folder of its own."""
    monkeypatch.setenv("CANARIO_CLUSTER_STATE", "/tmp/one")  # noqa: S108 - a name; nothing is written there
    monkeypatch.setenv("CANARIO_CLUSTER_NETWORK", "10.213.0.0/16")
    return Settings.from_environment()


def test_a_network_is_divided_without_overlap(settings: Settings) -> None:
    """Pods, Services and the link to the machine share the one /16 of a cluster, and no address."""
    parts = [settings.pods, settings.services, settings.node_end.network]
    assert [str(part) for part in parts] == ["10.213.0.0/24", "10.213.64.0/18", "10.213.128.0/30"]
    assert all(part.subnet_of(settings.network) for part in parts)
    assert settings.dns_service in settings.services
    assert settings.machine_end.network == settings.node_end.network


def test_two_states_have_two_names(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the link and the cgroup comes from the state folder, and fits what Linux allows."""
    monkeypatch.setenv("CANARIO_CLUSTER_STATE", "/tmp/two")  # noqa: S108
    assert Settings.from_environment().name != settings.name
    assert len(settings.name) <= 15


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CANARIO_CLUSTER_NETWORK", "10.1.2.0/24", "no /16"),
        ("CANARIO_CLUSTER_NETWORK", "pods", "pods"),
        ("CANARIO_CLUSTER_STATE", "/run/cluster", "cannot see"),
        ("CANARIO_CLUSTER_STATE", "/tmp/" + "long/" * 30, "too long"),  # noqa: S108
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    variable: str, value: str, words: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable and what to set instead, before anything starts."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=words) as refused:
        Settings.from_environment()
    assert refused.value.at == variable
    assert refused.value.hint


def test_ones_own_cluster_is_used_when_kubeconfig_names_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """KUBECONFIG of the test cluster means that cluster, with its images; any other means that nothing is started."""
    monkeypatch.setenv("KUBECONFIG", str(settings.kubeconfig))
    assert foreign_kubeconfig(settings) == ""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "other"))
    assert foreign_kubeconfig(settings) == str(tmp_path / "other")
