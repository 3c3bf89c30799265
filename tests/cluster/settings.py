"""Where one cluster lives: its folders, its addresses and its names, all from two settings; it starts nothing."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from canario.errors import UsageError

STATE_VARIABLE = "CANARIO_CLUSTER_STATE"
NETWORK_VARIABLE = "CANARIO_CLUSTER_NETWORK"
DEFAULT_NETWORK = "10.212.0.0/16"
HIDDEN_FOLDERS = (Path("/run"), Path("/var/run"), Path("/var/lib"), Path("/var/log"), Path("/proc"), Path("/sys"))
"""The node has its own of these, so nothing that it shares with the machine can lie there."""
LONGEST_STATE = 80
"""Characters; a socket's path, which has some 20 more, may have 107."""


@dataclass(frozen=True)
class Settings:
    """One cluster. Two with different states and networks run side by side."""

    state: Path
    cache: Path
    network: IPv4Network

    @classmethod
    def from_environment(cls) -> Settings:
        """What CANARIO_CLUSTER_STATE and CANARIO_CLUSTER_NETWORK say, or the defaults. Raises UsageError."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "canario" / "cluster"
        state = Path(os.environ.get(STATE_VARIABLE) or cache / "state").absolute()
        network = os.environ.get(NETWORK_VARIABLE) or DEFAULT_NETWORK
        try:
            return cls(state, cache, IPv4Network(network))
        except ValueError as error:
            raise UsageError(
                str(error), at=NETWORK_VARIABLE, hint=f"name a network such as {DEFAULT_NETWORK}"
            ) from None

    def __post_init__(self) -> None:
        if self.network.prefixlen != 16:
            raise UsageError(f"{self.network} is no /16", at=NETWORK_VARIABLE, hint="a cluster takes one whole /16")
        for folder in (self.state, self.programs):
            if any(folder.is_relative_to(hidden) for hidden in HIDDEN_FOLDERS):
                raise UsageError(f"the node cannot see {folder}", at=STATE_VARIABLE, hint="use a folder such as /tmp/x")
        if len(str(self.state)) > LONGEST_STATE:
            raise UsageError(f"{self.state} is too long for sockets", at=STATE_VARIABLE, hint="use a shorter path")

    @property
    def name(self) -> str:
        """The name of the link on the machine and of the cgroup: short, and one for each state folder."""
        return f"canario-{hashlib.sha256(str(self.state).encode()).hexdigest()[:6]}"

    @property
    def programs(self) -> Path:
        """The components, built; shared by all clusters."""
        return self.cache / "bin"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """One JSON line for every answered request to the API server: who asked, which verb, which object."""
        return self.state / "audit.jsonl"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def pods(self) -> IPv4Network:
        """The addresses of the node's pods."""
        return next(self._quarter(0).subnets(new_prefix=24))

    @property
    def services(self) -> IPv4Network:
        return self._quarter(1)

    @property
    def api_service(self) -> IPv4Address:
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        return self.services[10]

    @property
    def machine_end(self) -> IPv4Interface:
        """The machine's end of the link to the node."""
        return IPv4Interface(f"{self._quarter(2)[1]}/30")

    @property
    def node_end(self) -> IPv4Interface:
        """The node's end of that link: where the API server answers."""
        return IPv4Interface(f"{self._quarter(2)[2]}/30")

    @property
    def server(self) -> str:
        return f"https://{self.node_end.ip}:6443"

    def _quarter(self, number: int) -> IPv4Network:
        return list(self.network.subnets(new_prefix=18))[number]
