"""One wrong resource: a good one with one thing changed, the field that is named, and words of the refusal; which there are is for its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

GOOD: dict[str, Any] = {
    "apiVersion": "canario.dev/v1alpha1",
    "kind": "ModelDeployment",
    "metadata": {"name": "fraud"},
    "spec": {
        "image": "localhost/fraud:v2",
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": 1, "memory": "1Gi"}},
        "strategy": {
            "type": "canary",
            "steps": [{"weightPercent": 10}, {"weightPercent": 50}, {"weightPercent": 100}],
            "gates": [{"kind": "errors"}, {"kind": "slow", "marginPercent": 2}],
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One thing wrong."""

    change: dict[str, Any]
    """What is merged into the good resource's `spec`; None takes a field away, a list takes a list's place."""
    at: str
    """The field that the refusal names."""
    words: str
    """Part of what it says."""
    name: str = "fraud"
    """The resource's own name."""
    refused_by: Literal["api-server", "condition"] = "api-server"
    is_a_plan: bool = field(default=False)
    """Whether lint refuses it too, where it reaches the controller."""

    @property
    def resource(self) -> dict[str, Any]:
        """The whole resource."""
        return {**GOOD, "metadata": {"name": self.name}, "spec": merged(GOOD["spec"], self.change)}


def merged(content: Any, change: Any) -> Any:
    """A JSON merge patch (RFC 7386), applied."""
    if not isinstance(change, dict):
        return change
    base = content if isinstance(content, dict) else {}
    both = {**base, **{name: merged(base.get(name), value) for name, value in change.items()}}
    return {name: value for name, value in both.items() if value is not None}
