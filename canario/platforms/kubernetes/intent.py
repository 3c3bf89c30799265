"""What is asked of a model, by its resource and by people, as requests to the engine; pure, and the only place that compares versions.

A version in the spec is acted upon once: when it changes. The same spec applied again changes nothing, in the middle of a canary
or after it was thrown back, so that neither a chart nor a GitOps sync undoes what a judge or a person has decided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from canario.errors import PlanError
from canario.model.deployment import Deployment, PastRollout, Rollout, ServedVersion
from canario.model.evidence import CommandKind
from canario.model.requests import Numbered, Request, StartRollout
from canario.model.requests import Wish as Steer
from canario.model.rollout import Phase, RolloutSpec, StrategyKind
from canario.model.split import Split
from canario.platforms.kubernetes.documents import camel_case_within
from canario.platforms.kubernetes.naming import CLIENTS_PORT, ROUTER_ADMIN_PORT
from canario.platforms.kubernetes.resource import digest_in_archive, is_address, refuse_waiting_for_labels
from canario.platforms.kubernetes.state import KEPT_ANSWERS, Record
from canario.platforms.kubernetes.wishes import Wish, WishKind
from canario.rollout.plan import default_plan, undo
from canario.rollout.steering import active_phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a resource's spec asks for, once it has been read and proved."""

    version: str
    image: str
    plan: RolloutSpec
    replicas: int
    latency_milliseconds: float
    archive: str = ""
    archives_claim: str = ""
    """Where archives that are files lie; empty: nowhere."""
    has_labels: bool = False
    """Whether a database brings late labels to the gates."""


@dataclass(frozen=True, slots=True)
class Asked:
    """At most one request, the next to be taken."""

    request: Request | None = None
    wish: str = ""
    """The id of the wish that it came from; empty: it is the spec's."""
    refusal: str = ""
    """Why the wish cannot become a request at all."""

    def numbered(self, deployment: Deployment) -> tuple[Numbered, ...]:
        """The request in the engine's order."""
        return () if self.request is None else (Numbered(deployment.last_request + 1, self.request),)


def first_record(model: str, wanted: Wanted) -> Record:
    """A model that was not there before: its first version answers by default, without a trial, as there is nothing to try it against."""
    served = _served(wanted)
    return Record(
        deployment=Deployment(
            model=model,
            is_up=True,
            port=CLIENTS_PORT,
            admin_port=ROUTER_ADMIN_PORT,
            processes=wanted.replicas,
            latency_milliseconds=wanted.latency_milliseconds,
            stable=served.version,
            split=Split(stable=served.version),
            wanted=(served.version,),
            served={served.version: served},
        ),
        taken_version=wanted.version,
    )


def adapt(record: Record, wanted: Wanted) -> Record:
    """What may change at any time, because it is no other version: how many servers, and what counts as slow."""
    deployment = record.deployment
    if (deployment.processes, deployment.latency_milliseconds) == (wanted.replicas, wanted.latency_milliseconds):
        return record
    changed = replace(deployment, processes=wanted.replicas, latency_milliseconds=wanted.latency_milliseconds)
    return replace(record, deployment=changed)


def asked(record: Record, wanted: Wanted | None, wish: Wish | None) -> Asked:
    """The next request: a person's first, then the spec's."""
    if wish is not None and wish.id not in record.answered:
        return _of_person(record, wanted, wish)
    if wanted is not None and wanted.version != record.taken_version and not other_content(record, wanted):
        return Asked(_of_spec(record, wanted))
    return Asked()


def settle(record: Record, after: Deployment, asked_for: Asked, wanted: Wanted | None) -> Record:
    """The record after a turn: what was taken is remembered, with its answer."""
    number = record.deployment.last_request + 1
    before, record = record.deployment.rollout, replace(record, deployment=after)
    if asked_for.wish and (asked_for.refusal or after.last_request >= number):
        answers = {**record.answered, asked_for.wish: asked_for.refusal or after.answers.get(str(number), "")}
        record = replace(record, answered=dict(list(answers.items())[-KEPT_ANSWERS:]))
    elif wanted is not None and asked_for.request is not None and after.last_request >= number:
        # Once the spec has called its own rollout off, whatever it says next is news, that rollout's version included.
        taken = wanted.version if isinstance(asked_for.request, StartRollout) else ""
        return replace(record, taken_version=taken, refused=after.answers.get(str(number), ""))
    if wanted is not None and _is_met(wanted, before, after):
        return replace(record, taken_version=wanted.version, refused="")
    return record


def served_version(version: str, image: str, archive: str = "", claim: str = "") -> ServedVersion:
    """A version as the cluster serves it; what its archive says of the digest is known."""
    claim = claim if archive and not is_address(archive) else ""
    digest = digest_in_archive(archive)
    return ServedVersion(version=version, image=image, archive=archive, archives_claim=claim, digest=digest)


def other_content(record: Record, wanted: Wanted) -> str:
    """What the spec's version was when it was first seen, in words, if it is something else now; empty: all is well."""
    known = record.deployment.served.get(wanted.version)
    return _change(known, _served(wanted)) if known is not None else ""


def waits_for(record: Record, wanted: Wanted) -> str:
    """What the spec's new version waits for, in words; empty when nothing is in its way."""
    rollout = record.deployment.rollout
    if wanted.version == record.taken_version or rollout is None:
        return ""
    if _superseding(rollout, wanted):
        return f"the rollout of {rollout.state.candidate} goes back first"
    return f"the rollout of {rollout.state.candidate} ends first ({rollout.state.phase.value})"


def last_trial(deployment: Deployment, version: str) -> PastRollout | None:
    """How the last rollout of a version ended."""
    return next((past for past in reversed(deployment.past) if past.candidate == version), None)


def _of_spec(record: Record, wanted: Wanted) -> Request | None:
    deployment = record.deployment
    rollout = deployment.rollout
    if rollout is None:
        if wanted.version == deployment.stable:
            return None
        plan = undo() if _has_been_stable(deployment, wanted.version) else wanted.plan
        return StartRollout(plan, _served(wanted))
    if _superseding(rollout, wanted):
        if wanted.version == rollout.state.stable:
            return Steer(kind=CommandKind.ABORT, actor="the spec", reason=f"it asks for {wanted.version} again")
        return Steer(kind=CommandKind.ABORT, actor="the spec", reason=f"it asks for {wanted.version} now")
    return None


def _superseding(rollout: Rollout, wanted: Wanted) -> bool:
    """Whether the spec ends the rollout under way: it asks for the old version again, or for another while nothing is promoted yet."""
    state = rollout.state
    if state.outcome not in (None, Phase.PROMOTED) or wanted.version == state.candidate:
        return False
    return wanted.version == state.stable or (state.outcome is None and active_phase(state) is not Phase.WATCHING)


def _is_met(wanted: Wanted, before: Rollout | None, after: Deployment) -> bool:
    """Whether the spec's version answers, or is on a trial that may end so, by whomever it was begun; one that goes back is none."""
    if after.rollout is None:
        return wanted.version == after.stable
    spec, served = after.rollout.spec, after.served[after.rollout.state.candidate]
    is_only_a_look = spec.strategy is StrategyKind.SHADOW and not spec.promote_after_shadow
    return (
        not _change(served, _served(wanted))
        and served.version == wanted.version
        and not is_only_a_look
        and (before is None or before.state.outcome is None)
    )


def _has_been_stable(deployment: Deployment, version: str) -> bool:
    """Whether people were answered by this version for good before: to go back to it is an undo, which nothing holds up."""
    return any(
        version == past.stable or (version == past.candidate and past.phase is Phase.PROMOTED)
        for past in deployment.past
    )


def _of_person(record: Record, wanted: Wanted | None, wish: Wish) -> Asked:
    if wish.kind is not WishKind.START:
        kind = CommandKind(wish.kind.value)
        return Asked(Steer(kind=kind, whole=wish.whole, actor=wish.actor, reason=wish.reason), wish.id)
    known = record.deployment.served.get(wish.version)
    if known is None and not (wish.image or wish.archive):
        kept = ", ".join(sorted(record.deployment.served)) or "none"
        return Asked(wish=wish.id, refusal=f"{wish.version} is not kept here, and no image was named; kept: {kept}")
    meant = _meant(record, wanted, wish)
    change = _change(known, meant) if known else ""
    if change:
        return Asked(wish=wish.id, refusal=f"{wish.version} is {change} here; a version never changes")
    is_nowhere = wanted and not (wanted.archives_claim or meant.archives_claim)
    if is_nowhere and meant.archive and not is_address(meant.archive):
        return Asked(wish=wish.id, refusal=f"no volume holds {meant.archive}: name its claim in spec.archivesClaim")
    usual = undo() if _has_been_stable(record.deployment, wish.version) else default_plan(StrategyKind.CANARY)
    plan = wish.plan or (wanted.plan if wanted else usual)
    if wanted and not wanted.has_labels:
        try:
            refuse_waiting_for_labels(plan)
        except PlanError as refused:
            return Asked(wish=wish.id, refusal=camel_case_within(f"{refused}; {refused.hint}"))
    return Asked(StartRollout(plan, meant), wish.id)


def _meant(record: Record, wanted: Wanted | None, wish: Wish) -> ServedVersion:
    """The version of a `start`: as it is kept, but for what the wish names; a new archive is served by the image at hand."""
    known = record.deployment.served.get(wish.version)
    at_hand = wanted.image if wanted else record.deployment.served[record.deployment.stable].image
    image = wish.image or (known.image if known else at_hand)
    archive = wish.archive or (known.archive if known and not wish.image else "")
    claim = known.archives_claim if known else wanted.archives_claim if wanted else ""
    return served_version(wish.version, image, archive, claim)


def _served(wanted: Wanted) -> ServedVersion:
    return served_version(wanted.version, wanted.image, wanted.archive, wanted.archives_claim)


def _change(known: ServedVersion, now: ServedVersion) -> str:
    """What a version was, in words, if it is not the same now."""
    if (known.image, known.archive) == (now.image, now.archive):
        return ""
    return f"the image {known.image}" + (f" with the archive {known.archive}" if known.archive else "")
