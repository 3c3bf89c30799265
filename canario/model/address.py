"""Where a model is spoken to, and how a command line is written that reaches the same place; connecting is for the platforms."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum


class PlatformKind(StrEnum):
    """Where versions run."""

    LOCAL = "local"
    KUBERNETES = "kubernetes"


PROGRAM, KUBECTL_PROGRAM = "canario", "kubectl canario"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The platform that a command speaks to."""

    on: PlatformKind = PlatformKind.LOCAL
    context: str = ""
    """Kubernetes: which of the clusters in the kubeconfig; empty: the current one."""
    namespace: str = ""
    """Kubernetes: where the model is; empty: the context's own."""
    program: str = PROGRAM
    """What the person has typed to get here, `canario` or `kubectl canario`."""

    def command(self, words: str) -> str:
        """The command line that does this here: `promote fraud` is `canario promote fraud --on kubernetes -n models`."""
        return f"{self.program} {words}{self.flags}"

    def kubectl(self, words: str) -> str:
        """The line for kubectl that reaches the same namespace."""
        return f"kubectl {words}{self._cluster_flags('--context')}"

    def helm(self, words: str) -> str:
        """The line for helm that reaches the same namespace."""
        return f"helm {words}{self._cluster_flags('--kube-context')}"

    @property
    def flags(self) -> str:
        """What stands at the end of each command line, with a space before it; empty on this machine."""
        if self.on is PlatformKind.LOCAL:
            return ""
        chosen = "" if self.program == KUBECTL_PROGRAM else f" --on {self.on}"
        return chosen + self._cluster_flags("--context")

    def _cluster_flags(self, context_flag: str) -> str:
        context = f" {context_flag} {shlex.quote(self.context)}" if self.context else ""
        return context + (f" -n {self.namespace}" if self.namespace else "")
