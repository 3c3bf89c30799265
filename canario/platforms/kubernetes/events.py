"""Events: one for each decision that a person would want to hear of, beside the resource in `kubectl describe`."""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime

from canario.adapters.kubernetes_api import EVENTS, MODEL_DEPLOYMENTS, KubernetesApi, Object
from canario.errors import CanarioError
from canario.model.rollout import Phase, RolloutState
from canario.rollout.decide import Decision

LONGEST_NOTE = 1000
REPEAT_SECONDS = 300.0
"""The same words are not told again sooner."""

_log = logging.getLogger(__name__)


class Teller:
    """Tells of one controller. An event that cannot be written costs nothing but itself."""

    def __init__(self, api: KubernetesApi, instance: str) -> None:
        self._api, self._instance = api, instance
        self._told: dict[tuple[str, str, str], float] = {}

    def tell(self, resource: Object, reason: str, note: str, *, is_warning: bool = False) -> None:
        """One event about a ModelDeployment; `reason` is a CamelCase word."""
        metadata = resource["metadata"]
        key, now = (metadata["uid"], reason, note), time.monotonic()
        if now - self._told.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        self._told = {each: at for each, at in self._told.items() if now - at < REPEAT_SECONDS} | {key: now}
        content: Object = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}"},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": "canario.dev/controller",
            "reportingInstance": self._instance,
            "action": reason,
            "reason": reason,
            "type": "Warning" if is_warning else "Normal",
            "note": note[:LONGEST_NOTE],
            "regarding": {
                "apiVersion": MODEL_DEPLOYMENTS.api_version,
                "kind": MODEL_DEPLOYMENTS.kind,
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        }
        try:
            self._api.create(EVENTS, content, metadata["namespace"])
        except CanarioError as lost:
            _log.warning("an event was not written: %s", lost)

    def tell_decision(self, resource: Object, before: RolloutState, decision: Decision) -> None:
        """What a decision changed, if anything."""
        after = decision.state
        if (before.phase, before.step_index, before.passed, before.lost_since_seconds is None) == (
            after.phase,
            after.step_index,
            after.passed,
            after.lost_since_seconds is None,
        ):
            return
        if before.lost_since_seconds is None and after.lost_since_seconds is not None:
            note = (
                f"{after.rollout}: evidence cannot be read; it holds, and nothing is promoted or thrown back for that"
            )
            self.tell(resource, "EvidenceLost", note, is_warning=True)
            return
        is_bad = Phase.ROLLED_BACK in (after.phase, after.outcome)
        reason = "Rollout" + "".join(word.capitalize() for word in after.phase.value.split("-"))
        self.tell(resource, reason, f"{after.rollout}: {after.reason}", is_warning=is_bad)
