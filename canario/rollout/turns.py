"""One turn of a platform's control loop as a pure step: deployment, requests and evidence in; the next deployment and what to note out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from canario.errors import PlanError
from canario.model.deployment import Deployment, PastRollout, RetrainingWish, Rollout
from canario.model.evidence import Command, Evidence
from canario.model.orders import AskForRetraining, Conclude, Order, SetSplit, StartVersion, StopVersion
from canario.model.requests import Numbered, StartRollout, TakeDown, UsePrometheus, Wish
from canario.model.rollout import Phase
from canario.model.split import Split
from canario.rollout.decide import Decision, begin, decide

KEPT_ROLLOUTS = 50
KEPT_ANSWERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came of one turn."""

    deployment: Deployment
    before: Rollout | None = None
    """The rollout that was decided on, as it was; None if there was nothing to decide."""
    decision: Decision | None = None


def take_requests(deployment: Deployment, requests: Sequence[Numbered], now_seconds: float) -> Deployment:
    """Take the requests that are not for the engine, in order, up to the first one that is."""
    for numbered in requests:
        request = numbered.request
        if isinstance(request, Wish) and deployment.rollout is not None:
            break
        answer = ""
        if isinstance(request, Wish):
            answer = f"no rollout of {deployment.model} is under way, so there is nothing to {request.kind.value}"
        elif isinstance(request, StartRollout):
            deployment, answer = _begin(deployment, request, now_seconds)
        elif isinstance(request, TakeDown):
            deployment = taken_down(deployment, now_seconds)
        elif isinstance(request, UsePrometheus):
            deployment = replace(deployment, prometheus_url=request.url)
        deployment = _answered(deployment, numbered.number, answer)
    return deployment


def commands_among(deployment: Deployment, requests: Sequence[Numbered]) -> tuple[Command, ...]:
    """The wishes at the head of the queue that the engine has not taken yet."""
    commands = []
    for numbered in requests:
        if numbered.number <= deployment.last_request:
            continue
        if not isinstance(numbered.request, Wish):
            break
        wish = numbered.request
        commands.append(
            Command(number=numbered.number, kind=wish.kind, whole=wish.whole, actor=wish.actor, reason=wish.reason)
        )
    return tuple(commands)


def advance(deployment: Deployment, evidence: Evidence, now_seconds: float) -> Turn:
    """Decide once. Orders become what the deployment wants; making the world follow is for the supervisor, again and again."""
    rollout = deployment.rollout
    if rollout is None:
        return Turn(deployment=deployment)
    decision = decide(rollout.spec, rollout.state, evidence, now_seconds)
    wanted = replace(
        deployment,
        rollout=Rollout(spec=rollout.spec, state=decision.state),
        last_request=max(deployment.last_request, decision.state.last_command),
    )
    for order in decision.orders:
        wanted = _ordered(wanted, order, now_seconds)
    return Turn(deployment=wanted, before=rollout, decision=decision)


def _ordered(deployment: Deployment, order: Order, now_seconds: float) -> Deployment:
    match order:
        case StartVersion(version=version):
            return replace(deployment, wanted=tuple(sorted({*deployment.wanted, version})))
        case StopVersion(version=version):
            return replace(deployment, wanted=tuple(each for each in deployment.wanted if each != version))
        case SetSplit(split=split):
            return replace(deployment, split=split)
        case AskForRetraining(rollout=rollout, reason=reason):
            if deployment.retraining is not None and deployment.retraining.rollout == rollout:
                return deployment
            return replace(
                deployment, retraining=RetrainingWish(rollout=rollout, reason=reason, at_seconds=now_seconds)
            )
        case Conclude():
            return _concluded(deployment, order.phase, order.stable, order.reason)


def _concluded(deployment: Deployment, phase: Phase, stable: str, reason: str) -> Deployment:
    """The rollout is over: one version answers, one version runs."""
    rollout = deployment.rollout
    if rollout is None:
        return deployment
    state = rollout.state
    past = PastRollout(
        rollout=state.rollout,
        strategy=rollout.spec.strategy,
        stable=state.stable,
        candidate=state.candidate,
        phase=phase,
        reason=reason,
        started_at_seconds=state.started_at_seconds,
        ended_at_seconds=state.ended_at_seconds or state.phase_since_seconds,
    )
    pasts = (*deployment.past, past)[-KEPT_ROLLOUTS:]
    known = {stable, *(each.stable for each in pasts), *(each.candidate for each in pasts)}
    return replace(
        deployment,
        rollout=None,
        stable=stable,
        split=Split(stable=stable),
        wanted=(stable,),
        past=pasts,
        served={version: served for version, served in deployment.served.items() if version in known},
    )


def _begin(deployment: Deployment, request: StartRollout, now_seconds: float) -> tuple[Deployment, str]:
    candidate = request.candidate.version
    if deployment.rollout is not None:
        running = deployment.rollout.state
        return deployment, f"the rollout of {running.candidate} is under way ({running.phase.value})"
    name = f"{deployment.model}-{deployment.next_rollout:04d}"
    try:
        state = begin(request.spec, name, deployment.stable, candidate, now_seconds)
    except PlanError as refused:
        return deployment, str(refused)
    begun = replace(
        deployment,
        rollout=Rollout(spec=request.spec, state=state),
        served={**deployment.served, candidate: request.candidate},
        next_rollout=deployment.next_rollout + 1,
    )
    return begun, ""


def taken_down(deployment: Deployment, now_seconds: float) -> Deployment:
    """Nothing shall run; a rollout under way ends as was decided, or else where its stable version was."""
    rollout = deployment.rollout
    if rollout is not None:
        state = replace(rollout.state, ended_at_seconds=now_seconds)
        deployment = replace(deployment, rollout=replace(rollout, state=state))
        if state.outcome is None:
            deployment = _concluded(deployment, Phase.ROLLED_BACK, state.stable, "everything was taken down")
        else:
            kept = state.candidate if state.outcome is Phase.PROMOTED else state.stable
            deployment = _concluded(deployment, state.outcome, kept, state.reason)
    return replace(deployment, is_up=False, wanted=())


def stable_before(deployment: Deployment) -> str:
    """The version that answered before the present one; empty when there was none."""
    for past in reversed(deployment.past):
        if past.phase is Phase.PROMOTED and past.candidate == deployment.stable:
            return past.stable
    return ""


def _answered(deployment: Deployment, number: int, answer: str) -> Deployment:
    answers = dict(deployment.answers)
    if answer:
        answers[str(number)] = answer
    return replace(deployment, last_request=number, answers=dict(list(answers.items())[-KEPT_ANSWERS:]))
