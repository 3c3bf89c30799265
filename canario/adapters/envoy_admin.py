"""What a running Envoy tells its operator, over loopback or a network; what it means for a rollout is for canario.router."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from canario.errors import EvidenceLost
from canario.model.split import Endpoint


@dataclass(frozen=True, slots=True)
class Sample:
    """One counter as it stands now."""

    name: str
    tags: Mapping[str, str]
    value: int


_UNHEALTHY = {"failed_active_health_check", "pending_active_hc", "active_hc_timeout", "pending_dynamic_removal"}
"""What Envoy says of a host that its own health checks do not vouch for."""


class EnvoyAdmin:
    """One Envoy as its operator reads it: its admin port, or the operator's port that lets the same be read from outside.

    What cannot be read raises EvidenceLost.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", timeout_seconds: float = 2.0) -> None:
        self._port = port
        self._host = host
        self._timeout_seconds = timeout_seconds

    @property
    def address(self) -> str:
        """Where it is read: `host:port`."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def is_running(self) -> bool:
        """Whether a process listens at all."""
        try:
            self._read("/ready")
        except EvidenceLost as lost:
            return not isinstance(lost.__cause__, ConnectionRefusedError)
        return True

    def is_ready(self) -> bool:
        """Whether Envoy has read its whole configuration and takes requests."""
        try:
            self._read("/ready")
        except EvidenceLost:
            return False
        return True

    def counters(self, prefix: str) -> tuple[str, list[Sample]]:
        """The moment at which this process read its bootstrap, which names it, and its counters `<prefix>.*`.

        Both come over one connection, so they are of one process even if Envoy restarts in between.
        """
        with self._connection() as connection:
            start = self._get(connection, "/config_dump?mask=last_updated")
            text = self._get(connection, f"/stats/prometheus?usedonly&filter=^{prefix}\\.")
        name = f"envoy_{prefix}_"
        with self.understood():
            samples = [
                Sample(sample.name.removeprefix(name).removesuffix("_total"), sample.labels, int(sample.value))
                for family in text_string_to_metric_families(text.decode())
                for sample in family.samples
                if sample.name.startswith(name)
            ]
            return str(msgspec.json.decode(start)["configs"][0]["last_updated"]), samples

    def route_configurations(self) -> list[dict[str, Any]]:
        """What is loaded of each route configuration: `version_info` and `metadata`."""
        path = "/config_dump?resource=dynamic_route_configs&mask=version_info,route_config.metadata"
        with self.understood():
            return list(self._entries(path, "configs"))

    def active_clusters(self) -> set[str]:
        """The clusters that have been warmed up: routes may point to them."""
        path = "/config_dump?resource=dynamic_active_clusters&mask=cluster.name"
        with self.understood():
            return {entry["cluster"]["name"] for entry in self._entries(path, "configs")}

    def healthy_servers(self) -> dict[str, int]:
        """By cluster: how many servers pass the health checks, also if one is set aside for a moment. No cluster: not known here."""
        with self.understood():
            return {
                cluster["name"]: sum(
                    1 for host in cluster.get("host_statuses", []) if not _UNHEALTHY & host["health_status"].keys()
                )
                for cluster in self._entries("/clusters?format=json", "cluster_statuses")
            }

    def active_requests(self, endpoint: Endpoint) -> int:
        """The requests that one server has under way through this Envoy, REST and gRPC; 0 if it is in no cluster.

        Of a name: all servers that are found by it.
        """
        addresses = {(endpoint.host, endpoint.http_port), (endpoint.host, endpoint.grpc_port)}
        with self.understood():
            return sum(
                int(statistic.get("value", 0))
                for cluster in self._entries("/clusters?format=json", "cluster_statuses")
                for host in cluster.get("host_statuses", [])
                for address in [host["address"].get("socket_address", {})]
                if addresses
                & {(known, address.get("port_value")) for known in (address.get("address"), host.get("hostname"))}
                for statistic in host["stats"]
                if statistic["name"] == "rq_active"
            )

    @contextlib.contextmanager
    def understood(self) -> Iterator[None]:
        """For what reads an answer: one that no Envoy gives, as of a stranger who has the port now, raises EvidenceLost too."""
        try:
            yield
        except (msgspec.MsgspecError, LookupError, AttributeError, TypeError, ValueError, OverflowError) as strange:
            raise EvidenceLost(
                f"what answers at {self.address} is no router: {type(strange).__name__}: {strange}", at=self.address
            ) from strange

    def _entries(self, path: str, field: str) -> Iterable[dict[str, Any]]:
        entries: Iterable[dict[str, Any]] = msgspec.json.decode(self._read(path), type=dict[str, Any]).get(field, [])
        return entries

    def _read(self, path: str) -> bytes:
        with self._connection() as connection:
            return self._get(connection, path)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        try:
            connection.connect()
            connection.auto_open = 0  # what one block reads comes from one process, or not at all
            yield connection
        except (OSError, http.client.HTTPException) as lost:
            raise EvidenceLost(f"the router at {self.address} cannot be read: {lost}", at=self.address) from lost
        finally:
            connection.close()

    def _get(self, connection: http.client.HTTPConnection, path: str) -> bytes:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
        if response.status != http.client.OK:
            raise EvidenceLost(f"the router at {self.address} says {response.status} to {path}", at=self.address)
        return content
