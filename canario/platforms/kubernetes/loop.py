"""The control loop of one ModelDeployment: look, decide, store, carry out; what a look sees and how orders are done is for the world.

Each turn goes as the local supervisor's: resource, wish and evidence are read, the decision is made, record and journal are
swapped in one write, and only then is the cluster made to follow the record. A kill between any two of these leaves a record
from which the next leader does the rest; a leader that was overtaken fails at the swap and has done nothing by then.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from prometheus_client import Metric

from canario.adapters.kubernetes_api import MODEL_DEPLOYMENTS, KubernetesApi, Object
from canario.errors import CanarioError, Conflict, IntegrityError, PlanError, UsageError
from canario.feedback.settings import feedback_url
from canario.model.deployment import Deployment
from canario.model.evidence import Evidence
from canario.model.journal import JournalEntry
from canario.model.resource import ModelDeploymentSpec
from canario.model.resource_status import BatchStatus
from canario.model.verdict import Verdict
from canario.platforms.kubernetes import metrics
from canario.platforms.kubernetes.asking import RetrainingAsked
from canario.platforms.kubernetes.batch_metrics import batch_family
from canario.platforms.kubernetes.batch_status import batch_status
from canario.platforms.kubernetes.cache import Cache, Seen
from canario.platforms.kubernetes.events import Teller
from canario.platforms.kubernetes.intent import Wanted, adapt, asked, first_record, settle
from canario.platforms.kubernetes.jobs import RetrainingJobs
from canario.platforms.kubernetes.leadership import Leadership, NotLeading
from canario.platforms.kubernetes.naming import FIELD_MANAGER
from canario.platforms.kubernetes.remembering import remembered
from canario.platforms.kubernetes.resource import (
    image_of,
    plan_of,
    read_spec,
    refuse_waiting_for_labels,
    replicas_of,
    version_of,
)
from canario.platforms.kubernetes.scale import servers_of
from canario.platforms.kubernetes.state import Record, StateStore
from canario.platforms.kubernetes.status import Problem, Sight, status_of
from canario.platforms.kubernetes.wishes import REQUEST_ANNOTATION, Wish, parse_wish
from canario.platforms.kubernetes.world import Look, World
from canario.platforms.label_families import label_families
from canario.platforms.standing import Standing, standing_families
from canario.retraining.telling import family_of
from canario.rollout.replay import entry_of
from canario.rollout.turns import Turn, advance, commands_among, take_requests
from canario.router.evidence import RouterTallies

PERIOD_SECONDS = 0.25
"""Between two turns while a rollout is under way or something has yet to follow."""
IDLE_SECONDS = 2.0
"""Between two turns when all is quiet; a change in the cluster rings sooner."""
CHECKPOINT_SECONDS = 2.0
"""How old what was counted may be in the record; each decision stores it at once."""
STATUS_SECONDS = 2.0
"""How often figures alone may change the status."""

_log = logging.getLogger(__name__)


class ModelLoop:
    """One model. `run` is its thread."""

    def __init__(
        self,
        api: KubernetesApi,
        cache: Cache,
        model: str,
        leadership: Leadership,
        teller: Teller,
        prometheus_url: str = "",
        jobs: RetrainingJobs | None = None,
    ) -> None:
        """Without `jobs` no rollout has a model retrained."""
        self.model = model
        self._api, self._cache, self._leadership, self._teller = api, cache, leadership, teller
        self._store = StateStore(api, cache.namespace, model)
        self._world = World(api, cache.namespace, model, prometheus_url)
        self._retraining = RetrainingAsked(jobs, teller, cache.namespace, model)
        self._uid = ""
        self._record: Record | None = None
        self._term = -1
        """The term in which the record was loaded and fenced; -1: not yet."""
        self._stored: Record | None = None
        self._stored_at = 0.0
        self._noted: tuple[object, ...] = ()
        self._verdict: Verdict | None = None
        self._status_at = 0.0
        self._last_status: Object = {}
        self._last_wish = ""
        self._standing: Standing | None = None
        self._batch: tuple[BatchStatus, ...] = ()

    def run(self, ending: threading.Event) -> None:
        """Turn after turn, until the resource is gone or the process ends."""
        bell = self._cache.bell(self.model)
        labels = (self._cache.namespace, self.model)
        whose = {"namespace": self._cache.namespace, "model": self.model}
        forget = metrics.MODELS_TOLD.add(whose, self._told)
        while not ending.is_set() and self.model in self._cache.models():
            began = time.monotonic()
            bell.clear()
            is_busy = False  # after a mishap too: a server that is away is not asked four times a second
            try:
                is_busy = self._turn()
            except (Conflict, NotLeading) as overtaken:
                is_busy = True
                _log.info("%s: somebody else was faster: %s", self.model, overtaken)
                self._term = -1
            except CanarioError as mishap:
                metrics.MISHAPS.labels(*labels).inc()
                _log.warning("%s: %s", self.model, mishap)
            except Exception:  # noqa: BLE001 - one model's trouble must not end the loop that would mend it
                metrics.MISHAPS.labels(*labels).inc()
                _log.exception("%s: a turn failed", self.model)
            metrics.TURN_SECONDS.labels(*labels).set(time.monotonic() - began)
            if is_busy:
                ending.wait(PERIOD_SECONDS)
            else:
                bell.wait(IDLE_SECONDS)
        forget()
        self._world.close()
        with contextlib.suppress(KeyError):
            metrics.TURN_SECONDS.remove(*labels)

    def _told(self) -> Iterator[Metric]:
        """What Prometheus is told of the model, by whoever leads."""
        yield from standing_families(self._standing)
        yield from label_families(self._world.labels.figures)
        if self._standing is not None:
            yield family_of(self._world.labels.retrainings)
            yield batch_family(self._batch)

    def _turn(self) -> bool:
        """One turn; whether the next one should come soon."""
        epoch = self._leadership.epoch
        seen = self._cache.seen(self.model)
        resource = seen.resource
        if epoch is None or resource is None or "deletionTimestamp" in resource["metadata"]:
            self._term, self._standing, self._batch = -1, None, ()
            self._world.labels.close()
            return False
        now_seconds = time.time()
        spec, wanted, problem = self._read(resource)
        if resource["metadata"]["uid"] != self._uid:
            self._uid, self._term = resource["metadata"]["uid"], -1
        try:
            if self._term != epoch and not self._take_over(resource, epoch, wanted):
                self._tell_problem(resource, problem, now_seconds)
                return False
        except IntegrityError as broken:
            self._tell_problem(resource, Problem(reason="StateBroken", message=f"{broken}; {broken.hint}"), now_seconds)
            return False
        assert self._record is not None  # noqa: S101 - taking over has loaded or made it
        before = self._record if wanted is None else adapt(self._record, wanted)
        asked_for = asked(before, wanted, self._wish(resource))
        requests = asked_for.numbered(before.deployment)
        taken = take_requests(before.deployment, requests, now_seconds)
        has_labels = bool(spec and spec.feedback_secret and feedback_url())
        look = self._world.look(seen, taken, before.tallies, has_labels=has_labels)
        evidence = replace(look.evidence, commands=commands_among(taken, requests))
        turn = advance(taken, evidence, now_seconds)
        after = replace(settle(before, turn.deployment, asked_for, wanted), tallies=look.tallies)
        entry = self._entry(
            turn, evidence, now_seconds, took=turn.deployment.last_request != before.deployment.last_request
        )
        self._keep(resource, epoch, after, entry)
        self._tell(resource, turn, before.deployment, after.deployment)
        hindrance = None
        if spec is not None:
            hindrance = self._world.follow(resource, spec, after.deployment, seen, look, epoch, self._leadership)
        self._standing = _standing(after.deployment, seen, look)
        if spec is not None:
            self._batch = batch_status(self.model, spec.batch, after.deployment.stable, seen.jobs, seen.pods)
        sight = Sight(
            generation=resource["metadata"]["generation"],
            wanted=wanted,
            problem=problem,
            hindrance=hindrance,
            evidence=look.evidence,
            verdict=self._verdict,
            routers=look.routers,
            history_limit=spec.history_limit if spec else 10,
            messages=look.messages,
            last_wish=self._last_wish,
            scaling=self._world.scaling_told,
            workers=self._world.workers_told,
            batch=self._batch if spec else (),
            batch_problem=self._world.batch_problem if spec else None,
        )
        self._show(resource, sight, now_seconds)
        self._retraining.follow(resource, after.deployment.retraining, now_seconds)
        return hindrance is None and (after.deployment.rollout is not None or not self._world.is_settled)

    def _read(self, resource: Object) -> tuple[ModelDeploymentSpec | None, Wanted | None, Problem | None]:
        """The spec, what it asks for, and what is wrong with it; a spec that cannot be honoured leaves all as it is."""
        spec = None
        try:
            spec = read_spec(resource["spec"])
            wanted = Wanted(
                version=version_of(spec, self.model),
                image=image_of(spec),
                archive=spec.archive,
                archives_claim=spec.archives_claim,
                has_labels=bool(spec.feedback_secret),
                plan=plan_of(spec),
                replicas=replicas_of(spec),
                latency_milliseconds=spec.objectives.latency_milliseconds,
            )
        except UsageError as fault:
            hint = f"; {fault.hint}" if fault.hint else ""
            return spec, None, Problem(reason="InvalidSpec", message=f"{fault}{hint}")
        if wanted.has_labels and not feedback_url():
            try:
                refuse_waiting_for_labels(wanted.plan)
            except PlanError:
                told = "a gate waits for labels, and this controller has no database: name its Secret in `feedback.secret` of its chart"
                return spec, None, Problem(reason="NoDatabase", message=told)
        return spec, wanted, None

    def _wish(self, resource: Object) -> Wish | None:
        """What a person asks; what nobody can read is told in an event, and does not stand in the spec's way."""
        text = (resource["metadata"].get("annotations") or {}).get(REQUEST_ANNOTATION, "")
        if not text:
            return None
        try:
            wish = parse_wish(text)
        except UsageError as fault:
            self._teller.tell(resource, "InvalidRequest", f"{fault}; {fault.hint}", is_warning=True)
            return None
        self._last_wish = wish.id
        return wish

    def _take_over(self, resource: Object, epoch: int, wanted: Wanted | None) -> bool:
        """Load the record in a new term and swap our token in, so that no earlier leader can write any more."""
        self._record = self._store.load(resource)
        if self._record is None:
            if wanted is None:
                return False
            self._record = remembered(resource) or first_record(self.model, wanted)
        self._leadership.require(epoch)
        if self._store.epoch != epoch:
            self._store.save(self._record, resource, epoch)
        self._stored, self._stored_at, self._term = self._record, time.monotonic(), epoch
        self._noted, self._verdict, self._last_status = (), None, {}
        return True

    def _entry(self, turn: Turn, evidence: Evidence, now_seconds: float, *, took: bool) -> JournalEntry | None:
        """What to write down: orders, phase, step or answer differ from the last note, or a command was taken."""
        if turn.before is None or turn.decision is None:
            self._noted, self._verdict = (), None
            return None
        decision, self._verdict = turn.decision, turn.decision.verdict
        state = decision.state
        present = (state.rollout, state.phase, state.step_index, decision.verdict.answer, decision.orders)
        if present == self._noted and not took:
            return None
        self._noted = present
        return entry_of(self._store.next_number, turn.before.spec, turn.before.state, evidence, decision, now_seconds)

    def _keep(self, resource: Object, epoch: int, record: Record, entry: JournalEntry | None) -> None:
        """Store what must not be lost: a decision at once, figures now and then."""
        stored = self._stored
        is_news = entry is not None or stored is None or _essence(record) != _essence(stored)
        is_due = record.deployment.rollout is not None and time.monotonic() - self._stored_at >= CHECKPOINT_SECONDS
        if record == stored or not (is_news or is_due):  # without a rollout nobody asks for counts
            self._record = record
            return
        try:
            self._leadership.require(epoch)
            self._store.save(record, resource, epoch, entry)
        except CanarioError:
            self._noted = ()  # what was not stored has not been decided: the next turn decides again
            raise
        self._record, self._stored, self._stored_at = record, record, time.monotonic()
        metrics.WRITES.labels("state").inc()
        if entry is not None:
            metrics.DECISIONS.labels(self._cache.namespace, self.model, entry.after.phase.value).inc()

    def _tell(self, resource: Object, turn: Turn, before: Deployment, after: Deployment) -> None:
        if before.rollout is None and after.rollout is not None:
            state = after.rollout.state
            note = f"{state.rollout}: {state.candidate} on trial over {state.stable}, by {after.rollout.spec.strategy.value}"
            self._teller.tell(resource, "RolloutStarted", note)
        if turn.before is not None and turn.decision is not None:
            self._teller.tell_decision(resource, turn.before.state, turn.decision)

    def _show(self, resource: Object, sight: Sight, now_seconds: float) -> None:
        """Write the status when it says something new; figures alone only now and then."""
        assert self._record is not None  # noqa: S101 - a turn without a record has ended by now
        previous = self._last_status or resource.get("status") or {}
        status = status_of(self._record, sight, previous, now_seconds)
        if _without_moments(status) == _without_moments(previous):
            return
        is_news = _headline(status) != _headline(previous)
        if not is_news and time.monotonic() - self._status_at < STATUS_SECONDS:
            return
        content: Object = {"metadata": {"name": self.model}, "status": status}
        self._api.apply(
            MODEL_DEPLOYMENTS, content, manager=FIELD_MANAGER, namespace=self._cache.namespace, part="status"
        )
        metrics.WRITES.labels("status").inc()
        self._last_status, self._status_at = status, time.monotonic()
        accepted = next(each for each in status["conditions"] if each["type"] == "Accepted")
        if accepted["status"] == "False":
            is_warning = accepted["reason"] != "Waiting"
            self._teller.tell(resource, accepted["reason"], accepted["message"], is_warning=is_warning)

    def _tell_problem(self, resource: Object, problem: Problem | None, now_seconds: float) -> None:
        """What keeps the controller from having a record: a first spec that cannot be honoured, a state that cannot be read."""
        if problem is None:
            return
        metadata = resource["metadata"]
        condition = {
            "type": "Accepted",
            "status": "False",
            "reason": problem.reason,
            "message": problem.message,
            "observedGeneration": metadata["generation"],
        }
        previous = resource.get("status") or {}
        conditions = {each["type"]: each for each in previous.get("conditions") or []}
        before = conditions.get("Accepted", {})
        if {key: before.get(key) for key in condition} == condition:
            return
        # All of it: who answers, and from which image, is what a state that was removed is made anew from.
        status = {"phase": "starting-up", **previous, "observedGeneration": metadata["generation"]}
        dated = condition | {"lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_seconds))}
        told = [*(conditions | {"Accepted": dated}).values()]
        content: Object = {"metadata": {"name": self.model}, "status": status | {"conditions": told}}
        self._api.apply(
            MODEL_DEPLOYMENTS, content, manager=FIELD_MANAGER, namespace=self._cache.namespace, part="status"
        )
        self._teller.tell(resource, problem.reason, problem.message, is_warning=True)


def _standing(deployment: Deployment, seen: Seen, look: Look) -> Standing:
    """What Prometheus is told of a turn."""
    return Standing(
        deployment=deployment,
        actual=look.evidence.router_split,
        servers=servers_of(seen, look.evidence.ready),
    )


def _essence(record: Record) -> object:
    """What a new leader could not find out again: everything but what was counted and earned."""
    deployment = record.deployment
    rollout = deployment.rollout
    if rollout is not None:
        state = replace(rollout.state, step_log_e_values={})
        deployment = replace(deployment, rollout=replace(rollout, state=state))
    return replace(record, deployment=deployment, tallies=RouterTallies())


def _headline(status: Mapping[str, object]) -> object:
    """What people act on: everything but figures and times."""
    conditions = status.get("conditions")
    told = (
        [(each["type"], each["status"], each["reason"]) for each in conditions] if isinstance(conditions, list) else []
    )
    kept = ("phase", "stable", "candidate", "weightPercent", "actualWeightPercent", "verdict", "split", "lastRequest")
    return told, [status.get(name) for name in kept], status.get("observedGeneration"), len(str(status.get("history")))


def _without_moments(status: Mapping[str, object]) -> Mapping[str, object]:
    evidence = status.get("evidence")
    if not isinstance(evidence, Mapping):
        return status
    return {**status, "evidence": {key: value for key, value in evidence.items() if key != "at"}}
