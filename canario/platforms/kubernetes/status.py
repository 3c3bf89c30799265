"""A model's status as `kubectl get` shows it, made from the record and from what was last seen; pure, and writing it is for the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from canario.adapters.kubernetes_api import Object
from canario.model.deployment import PastRollout, Rollout
from canario.model.evidence import Evidence
from canario.model.resource_status import BatchStatus
from canario.model.rollout import Phase, RolloutState
from canario.model.split import Split
from canario.model.verdict import Verdict
from canario.platforms.kubernetes.batch_status import batch_condition
from canario.platforms.kubernetes.documents import write_noun
from canario.platforms.kubernetes.intent import Wanted, last_trial, other_content, waits_for
from canario.platforms.kubernetes.state import Record
from canario.rollout.counting import seen, what_is_lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the spec cannot be followed, or a thing that the controller cannot do."""

    reason: str
    """One CamelCase word."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the controller saw in its last turn."""

    generation: int
    """Of the resource that was read."""
    wanted: Wanted | None
    problem: Problem | None = None
    """With the spec."""
    hindrance: Problem | None = None
    """With the cluster."""
    evidence: Evidence = field(default_factory=Evidence)
    verdict: Verdict | None = None
    routers: int = 0
    """Routers that are ready."""
    history_limit: int = 10
    messages: Mapping[str, str] = field(default_factory=dict)
    """By version: why its servers are not ready, in words."""
    last_wish: str = ""
    scaling: tuple[str, str, str] | None = None
    """Whether the number of servers follows the load, as a condition; None when it shall not."""
    workers: tuple[str, str, str] | None = None
    """Whether the number of workers follows the queues, as a condition; None where nothing scales them."""
    batch: tuple[BatchStatus, ...] = ()
    """The schedules of rows to score, and their last runs."""
    batch_problem: Problem | None = None
    """With one of these schedules."""


def status_of(record: Record, sight: Sight, previous: Mapping[str, Any], now_seconds: float) -> Object:
    """The whole status; conditions keep the time at which they changed."""
    deployment, evidence = record.deployment, sight.evidence
    rollout, actual = deployment.rollout, evidence.router_split
    conditions = _conditions(record, sight)
    is_ready = conditions["Ready"][0] == "True"
    was_up = previous.get("phase") not in (None, "", "starting-up")
    idle_phase = "stable" if is_ready or was_up else "starting-up"
    status: Object = {
        "observedGeneration": sight.generation,
        "phase": rollout.state.phase.value if rollout else idle_phase,
        "stable": deployment.stable,
        "split": {"asked": _split(deployment.split)} | ({"actual": _split(actual)} if actual else {}),
        "versions": _versions(record, sight),
        "history": [_past(past) for past in deployment.past[-sight.history_limit :]],
        "conditions": _dated(conditions, previous, sight.generation, now_seconds),
    }
    if sight.batch:
        status["batch"] = write_noun(sight.batch)
    if rollout:
        status |= {
            "candidate": rollout.state.candidate,
            "weightPercent": deployment.split.weight_percent,
            "verdict": (sight.verdict.answer.value if sight.verdict else "unknown"),
            "rollout": _rollout(rollout),
            "evidence": _last_evidence(rollout.state, sight, previous, now_seconds),
        }
        if actual:
            status["actualWeightPercent"] = actual.weight_percent
    elif "evidence" in previous:
        status["evidence"] = previous["evidence"]
    wish = sight.last_wish or next(reversed(list(record.answered)), "")
    if wish in record.answered:
        status["lastRequest"] = {"id": wish, "answer": record.answered[wish]}
    return status


def moment(seconds: float) -> str:
    """A time as the API server writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(record: Record, sight: Sight) -> dict[str, tuple[str, str, str]]:
    """By type: status, reason, message."""
    scaling = {"Scaling": sight.scaling} if sight.scaling else {}
    problem = sight.batch_problem
    batch = ("False", problem.reason, problem.message) if problem else batch_condition(sight.batch)
    return {
        "Ready": _ready(record, sight),
        "Accepted": _accepted(record, sight),
        "Progressing": _progressing(record),
        "EvidenceReadable": _readable(record, sight),
        **scaling,
        **({"Stream": sight.workers} if sight.workers else {}),
        **({"Batch": batch} if sight.batch or problem else {}),
    }


def _ready(record: Record, sight: Sight) -> tuple[str, str, str]:
    deployment = record.deployment
    stable, ready = deployment.stable, sight.evidence.ready
    if sight.hindrance:
        return "False", sight.hindrance.reason, sight.hindrance.message
    if not sight.routers:
        return "False", "NoRouter", "no router is ready: `kubectl get pods -l canario.dev/component=router` shows them"
    answering = [version for version in deployment.wanted if ready.get(version)]
    if not answering:
        why = sight.messages.get(stable, "")
        return "False", "NoReadyServer", f"no server of {stable} is ready" + (f": {why}" if why else "")
    if sight.evidence.router_split is None:
        return "Unknown", "RouterNotRead", "what the routers run cannot be read now"
    return "True", "Answering", f"{ready.get(stable, 0)} servers of {stable} are ready behind {sight.routers} routers"


def _accepted(record: Record, sight: Sight) -> tuple[str, str, str]:
    if sight.problem:
        return "False", sight.problem.reason, sight.problem.message
    if sight.wanted is None:
        return "Unknown", "NotRead", "the spec has not been read yet"
    found = _not_taken_up(record, sight.wanted) or _held_back(record, sight.wanted)
    return ("False", *found) if found else ("True", "AsSpecified", "")


def _not_taken_up(record: Record, wanted: Wanted) -> tuple[str, str] | None:
    """Why the spec's version has not been tried."""
    change, wait = other_content(record, wanted), waits_for(record, wanted)
    if change:
        what = f"{wanted.version} is {change} here, and a version never changes"
        return "ImageChanged", f"{what}: give {wanted.archive or wanted.image} a version of its own"
    if wait:
        return "Waiting", f"{wanted.version} waits: {wait}"
    if record.refused:
        return "Refused", f"{wanted.version} was not taken up: {record.refused}"
    return None


def _held_back(record: Record, wanted: Wanted) -> tuple[str, str] | None:
    """Why the spec's version does not answer although it was tried."""
    deployment, version = record.deployment, wanted.version
    trial = last_trial(deployment, version)
    if deployment.rollout or version == deployment.stable or (trial and trial.phase is Phase.COMPLETED):
        return None
    instead = f"{deployment.stable} answers, not {version}"
    how = f"`canario rollout {deployment.model}:{version} --on kubernetes` tries it again; another version in the spec replaces it"
    last = deployment.past[-1] if deployment.past else None
    if trial and trial == last:
        return "RolledBack", f"{instead}: {trial.reason}. {how}"
    chosen = f": {last.rollout} was begun by hand" if last else ""
    return "HeldByHand", f"{instead}{chosen}. The same spec again changes nothing. {how}"


def _progressing(record: Record) -> tuple[str, str, str]:
    rollout = record.deployment.rollout
    if rollout:
        return "True", _camel(rollout.state.phase.value), rollout.state.reason
    if record.deployment.past:
        last = record.deployment.past[-1]
        return "False", _camel(last.phase.value), f"{last.rollout}: {last.reason}"
    return "False", "Idle", ""


def _readable(record: Record, sight: Sight) -> tuple[str, str, str]:
    rollout = record.deployment.rollout
    if rollout is None:
        return "Unknown", "NotNeeded", "no rollout is under way"
    if rollout.state.phase in (Phase.STARTING, Phase.RETURNING, Phase.FINISHING):
        return "Unknown", "NotNeeded", "nothing is judged in this phase"
    lost = what_is_lost(rollout.spec, rollout.state, sight.evidence)
    if lost:
        return "False", "Lost", f"{lost}: the rollout holds, and nothing is promoted or thrown back for that"
    return "True", "Read", ""


def _dated(
    conditions: Mapping[str, tuple[str, str, str]], previous: Mapping[str, Any], generation: int, now_seconds: float
) -> list[Object]:
    before = {each["type"]: each for each in previous.get("conditions") or []}
    dated = []
    for kind, (status, reason, message) in conditions.items():
        known = before.get(kind, {})
        changed_at = known.get("lastTransitionTime") if known.get("status") == status else None
        dated.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": changed_at or moment(now_seconds),
            }
        )
    return dated


def _versions(record: Record, sight: Sight) -> list[Object]:
    deployment = record.deployment
    candidate = deployment.rollout.state.candidate if deployment.rollout else ""
    running = {*deployment.wanted, *sight.evidence.running}
    told = []
    for version in sorted({*running, *deployment.served}):
        role = "stable" if version == deployment.stable else "candidate" if version == candidate else "retired"
        served = deployment.served.get(version)
        told.append(
            {
                "name": version,
                "image": served.image if served else "",
                **({"archive": served.archive} if served and served.archive else {}),
                "role": role,
                "replicas": deployment.processes if version in running else 0,
                "ready": sight.evidence.ready.get(version, 0),
                "message": sight.messages.get(version, "") if version in running else "",
            }
        )
    return told


def _rollout(rollout: Rollout) -> Object:
    state = rollout.state
    return {
        "name": state.rollout,
        "strategy": rollout.spec.strategy.value,
        "phase": state.phase.value,
        "step": min(state.step_index + 1, len(rollout.spec.steps)),
        "steps": len(rollout.spec.steps),
        "startedAt": moment(state.started_at_seconds),
        "reason": state.reason,
    }


def _last_evidence(state: RolloutState, sight: Sight, previous: Mapping[str, Any], now_seconds: float) -> Object:
    """What was judged last: on the way to its end nothing is judged any more, and what led there is what people look for."""
    is_judged = sight.verdict is not None and bool(sight.verdict.gates)
    if state.outcome is not None and not is_judged and "evidence" in previous:
        return dict(previous["evidence"])
    return _evidence(state, sight.evidence, sight.verdict, now_seconds)


def _evidence(state: RolloutState, evidence: Evidence, verdict: Verdict | None, now_seconds: float) -> Object:
    told: Object = {"at": moment(now_seconds), "versions": [], "gates": []}
    if state.step_since_seconds is not None and evidence.counts is not None:
        for version in (state.stable, state.candidate):
            told["versions"].append({"name": version, **write_noun(seen(state, evidence, version))})
    if verdict:
        told |= {"answer": verdict.answer.value, "reason": verdict.reason}
        told["gates"] = [
            {
                "kind": gate.gate.value,
                **({"name": gate.name} if gate.name else {}),
                "answer": gate.answer.value,
                "method": gate.method.value,
                "reason": gate.reason,
                **({} if gate.requests_needed is None else {"requestsNeeded": gate.requests_needed}),
                **({} if gate.upper_bound_percent is None else {"upperBoundPercent": gate.upper_bound_percent}),
            }
            for gate in verdict.gates
        ]
    return told


def _past(past: PastRollout) -> Object:
    return {
        "rollout": past.rollout,
        "strategy": past.strategy.value,
        "stable": past.stable,
        "candidate": past.candidate,
        "phase": past.phase.value,
        "reason": past.reason,
        "startedAt": moment(past.started_at_seconds),
        "endedAt": moment(past.ended_at_seconds),
    }


def _split(split: Split) -> Object:
    return {
        "stable": split.stable,
        "candidate": split.candidate,
        "weightPercent": split.weight_percent,
        "shadowPercent": split.shadow_percent,
        "stickyHeader": split.sticky_header,
    }


def _camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.split("-"))
