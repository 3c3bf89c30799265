"""How the router shares traffic among a model's versions, and where their servers listen; applying it is for the router."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who answers: the wanted share of each version. Versions are Bento tags without the model, such as `v2`."""

    stable: str
    candidate: str = ""
    """The version on trial; empty when there is none."""
    weight_percent: float = 0.0
    """The candidate's share of the requests, in percent (0 to 100, steps of 0.01)."""
    shadow_percent: float = 0.0
    """The share of stable's requests that is copied to the candidate, whose answers nobody sees (0 to 100)."""
    sticky_header: str = ""
    """The request header or gRPC metadata key whose value decides the version; empty means a random split."""

    @property
    def is_random(self) -> bool:
        """Whether each request is dealt independently, which the sequential judge needs."""
        return not self.sticky_header


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Endpoint:
    """Where one server process listens, or by what name all servers of a version are found."""

    host: str
    """An IP address; or a name that DNS knows the addresses of, those of the ready servers."""
    http_port: int
    grpc_port: int

    @property
    def is_named(self) -> bool:
        """Whether the host is a name, which the router keeps looking up by itself."""
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The servers of one version that may get requests now."""

    version: str
    endpoints: tuple[Endpoint, ...]
    draining: tuple[Endpoint, ...] = ()
    """Servers that get nothing new and finish what they have; named, so that their active requests can still be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterPlan:
    """Everything that the router's configuration is generated from; the same for both platforms."""

    model: str
    port: int
    """Where clients connect, REST and gRPC alike."""
    admin_port: int
    """Where the router answers its operator, on loopback only."""
    operator_port: int = 0
    """Where it lets itself be read from outside, and only be read; 0: nowhere."""
    split: Split
    backends: tuple[Backend, ...]
    """Every version that may be asked for, the ones with weight 0 included: they answer header routes."""
    latency_milliseconds: float
    """The objective: a first attempt that takes longer is counted as slow."""
    listen_host: str = "127.0.0.1"
    timeout_seconds: float = 15.0
    """The longest that a client waits, retries included."""
    longest_body_bytes: int = 16 * 1024 * 1024

    @property
    def finds_by_name(self) -> bool:
        """Whether servers are found by DNS, so that their coming and going changes nothing in the plan."""
        return any(
            endpoint.is_named for backend in self.backends for endpoint in (*backend.endpoints, *backend.draining)
        )
