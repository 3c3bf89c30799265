"""A model's status for people and programs, put together from what the cluster keeps of it; pure, and the same noun as on a laptop."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from canario.adapters.kubernetes_api import Object
from canario.errors import UsageError
from canario.model.deployment import Status
from canario.model.resource_status import EvidenceStatus, ModelDeploymentStatus, SplitStatus
from canario.model.split import Split
from canario.model.verdict import Answer, GateVerdict, Verdict
from canario.platforms.kubernetes.documents import read_noun
from canario.platforms.kubernetes.leadership import LEASE_SECONDS
from canario.platforms.kubernetes.naming import CLIENTS_PORT, LEASE_NAME
from canario.platforms.kubernetes.pods import servers
from canario.platforms.kubernetes.resource import read_spec, version_of
from canario.platforms.kubernetes.state import Record

TOLD_WHEN_FALSE = ("Ready", "Accepted", "EvidenceReadable", "Scaling", "Stream", "Batch")
"""The conditions whose absence is news; a rollout that does not progress is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the cluster keeps of one model, read at about the same time."""

    resource: Object
    record: Record | None
    pods: Sequence[Object]
    lease: Object | None
    lease_namespace: str
    lease_is_hidden: bool = False
    """Whether this person may not look at the lease: then nobody says that no controller runs."""


def status_of(kept: Kept, now_seconds: float) -> Status:
    """How the model stands.

    A controller counts as running while its lease is fresh by this machine's clock, so a clock that is many seconds off is
    seen as a controller that does not run.
    """
    metadata = kept.resource["metadata"]
    model, namespace = metadata["name"], metadata["namespace"]
    told = _told(kept.resource)
    age_seconds = _lease_age_seconds(kept.lease, now_seconds)
    is_supervised = kept.lease_is_hidden or (age_seconds is not None and age_seconds <= LEASE_SECONDS)
    deployment = kept.record.deployment if kept.record else None
    rollout = deployment.rollout if deployment else None
    is_of_this_rollout = bool(rollout and told.rollout and told.rollout.name == rollout.state.rollout)
    actual = told.split.actual if told.split and is_supervised else None
    return Status(
        model=model,
        is_up=deployment is not None,
        url=f"http://{model}.{namespace}.svc:{CLIENTS_PORT}",
        stable=deployment.stable if deployment else "",
        is_supervised=is_supervised,
        heartbeat_age_seconds=age_seconds,
        processes=deployment.processes if deployment else 0,
        asked=deployment.split if deployment else None,
        actual=_split(actual) if actual else None,
        servers=tuple(servers(kept.pods)),
        rollout=rollout,
        verdict=_verdict(told.evidence) if is_of_this_rollout and told.evidence else None,
        past=deployment.past if deployment else (),
        namespace=namespace,
        lease=f"{kept.lease_namespace}/{LEASE_NAME}",
        spec_version=_spec_version(kept.resource),
        notices=_notices(told),
        batch=told.batch,
    )


def _told(resource: Object) -> ModelDeploymentStatus:
    """The status that the controller wrote; one of another release, which has other fields, tells nothing."""
    with contextlib.suppress(UsageError):
        return read_noun(ModelDeploymentStatus, resource.get("status") or {}, "status")
    return ModelDeploymentStatus()


def _lease_age_seconds(lease: Object | None, now_seconds: float) -> float | None:
    """How long ago a controller gave its last sign of life; None when there is none, or it has given the lease back."""
    spec: Mapping[str, str] = (lease or {}).get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return None
    return max(0.0, now_seconds - datetime.fromisoformat(spec["renewTime"]).timestamp())


def _split(told: SplitStatus) -> Split:
    return Split(
        stable=told.stable,
        candidate=told.candidate,
        weight_percent=told.weight_percent,
        shadow_percent=told.shadow_percent,
        sticky_header=told.sticky_header,
    )


def _verdict(evidence: EvidenceStatus) -> Verdict | None:
    if not evidence.answer:
        return None
    return Verdict(
        answer=Answer(evidence.answer),
        reason=evidence.reason,
        gates=tuple(
            GateVerdict(
                gate=gate.kind,
                name=gate.name,
                answer=gate.answer,
                method=gate.method,
                reason=gate.reason,
                requests_needed=gate.requests_needed,
                upper_bound_percent=gate.upper_bound_percent,
            )
            for gate in evidence.gates
        ),
    )


def _spec_version(resource: Object) -> str:
    with contextlib.suppress(UsageError):
        return version_of(read_spec(resource["spec"]), resource["metadata"]["name"])
    return ""


def _notices(told: ModelDeploymentStatus) -> dict[str, str]:
    return {
        each.type: each.message
        for each in told.conditions
        if each.type in TOLD_WHEN_FALSE and each.status == "False" and each.message
    }
