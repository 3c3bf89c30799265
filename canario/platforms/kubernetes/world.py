"""What the control loop sees and moves in a cluster: the pods of each version, the routers, and the copies that a shadow compares."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from canario.adapters.kubernetes_api import (
    AUTOSCALERS,
    CRON_JOBS,
    DEPLOYMENTS,
    SCALED_OBJECTS,
    SERVICES,
    KubernetesApi,
    Object,
    Resource,
)
from canario.adapters.measuring import Measuring
from canario.errors import CanarioError, ClusterRefused, RouterError, Unavailable
from canario.model.deployment import Deployment
from canario.model.evidence import Evidence
from canario.model.resource import ModelDeploymentSpec
from canario.model.rollout import StrategyKind
from canario.model.split import Backend, Endpoint, RouterPlan
from canario.platforms.kubernetes import metrics
from canario.platforms.kubernetes.batch_objects import cron_job_of
from canario.platforms.kubernetes.cache import Seen
from canario.platforms.kubernetes.fleet import Fleet, FleetLook
from canario.platforms.kubernetes.labels import ClusterLabels
from canario.platforms.kubernetes.leadership import Leadership
from canario.platforms.kubernetes.naming import (
    BATCH,
    FIELD_MANAGER,
    GRPC_PORT,
    REST_PORT,
    ROUTER_OPERATOR_PORT,
    SERVER,
    VERSION_LABEL,
    is_component,
    router_object,
    version_object,
)
from canario.platforms.kubernetes.objects import autoscaler_of, deployment_of, is_owned, service_of
from canario.platforms.kubernetes.pods import failures, messages, ready_servers, routers
from canario.platforms.kubernetes.scaling import condition_of, replicas_for, scaling_of, workers_condition
from canario.platforms.kubernetes.shadows import Shadows
from canario.platforms.kubernetes.status import Problem
from canario.rollout.queries import queries
from canario.router.evidence import RouterTallies


@dataclass(frozen=True, slots=True)
class Look:
    """What one turn has seen."""

    evidence: Evidence
    tallies: RouterTallies
    fleet: FleetLook
    routers: int
    """Routers that get clients."""
    messages: Mapping[str, str] = field(default_factory=dict)


class World:
    """Everything of one model that runs in a cluster."""

    def __init__(self, api: KubernetesApi, namespace: str, model: str, prometheus_url: str = "") -> None:
        self._prometheus_url = prometheus_url
        self._api, self._namespace, self._model = api, namespace, model
        self._fleet = Fleet(api, namespace, model)
        self._shadows = Shadows(namespace, model)
        self.labels = ClusterLabels(namespace, model)
        self._measuring = Measuring(prometheus_url, "`prometheus.url` of the controller's chart does it")
        self._applied: dict[tuple[str, str], tuple[object, object]] = {}
        self.is_settled = False
        """Whether nothing is left to do until something changes."""
        self.scaling_told: tuple[str, str, str] | None = None
        self.workers_told: tuple[str, str, str] | None = None
        """Whether the number of servers follows the load, as a condition; None when it shall not."""
        self.batch_problem: Problem | None = None
        """What keeps a schedule of rows from being as the spec has it; nothing else waits for it."""

    def look(self, seen: Seen, deployment: Deployment, tallies: RouterTallies, *, has_labels: bool) -> Look:
        """One look at everything. What cannot be read now is unknown; the rest is still seen."""
        if has_labels:
            self.labels.follow(seen.pods)
        else:
            self.labels.close()
        if deployment.rollout is None:
            tallies = RouterTallies()
        pods = list(seen.pods)
        found = routers(pods)
        fleet = self._fleet.look(found, deployment.split, tallies)
        ready = _within_reach(ready_servers(pods), fleet)
        rollout = deployment.rollout
        comparison = None
        if rollout is not None and rollout.spec.strategy is StrategyKind.SHADOW:
            state = rollout.state
            comparison = self._shadows.comparison(pods, state.rollout, state.stable, state.candidate)
        else:
            self._shadows.close()
        evidence = Evidence(
            counts=self.labels.add_to(fleet.counts),
            comparison=comparison,
            router_split=fleet.split,
            ready={version: number for version, number in ready.items() if number},
            running=tuple(sorted(_versions_of(seen))),
            failures=failures(pods),
            replicas=_replicas_of(seen),
        )
        now = time.monotonic()
        self._measuring.tick(now, queries(rollout.spec, rollout.state, self._model, self._namespace) if rollout else {})
        evidence = self._measuring.add_to(evidence, now)
        told = messages(pods, [each for each in seen.deployments if is_component(each, SERVER)])
        return Look(evidence, fleet.tallies, fleet, sum(router.is_ready for router in found), told)

    def follow(
        self,
        resource: Object,
        spec: ModelDeploymentSpec,
        deployment: Deployment,
        seen: Seen,
        look: Look,
        epoch: int,
        leadership: Leadership,
    ) -> Problem | None:
        """Move the cluster one step towards what the deployment wants; what stands in the way, if the cluster refuses."""
        self.is_settled = False
        hindrance = None
        try:
            leadership.require(epoch)
            is_still = self._follow_servers(resource, spec, deployment, seen)
            plan = self._plan(spec, deployment)
            found = next(
                (each for each in seen.config_maps if each["metadata"]["name"] == router_object(self._model)), None
            )
            leadership.require(epoch)
            if self._fleet.ask(resource, plan, found, look.fleet, epoch):
                leadership.require(epoch)
                self.is_settled = self._remove_unwanted(resource, deployment, seen) and is_still
        except ClusterRefused as refused:
            hindrance = Problem(reason="ClusterRefuses", message=f"the cluster refuses: {refused.message}"[:500])
        except RouterError as refused:
            hindrance = Problem(reason="RouterRefuses", message=str(refused)[:500])
        except _NameTaken as taken:
            hindrance = Problem(reason="NameTaken", message=str(taken))
        leadership.require(epoch)
        # Last, and for itself: whatever is wrong with a schedule, servers and routers do what was decided.
        self.is_settled = self._follow_schedules(resource, spec, deployment, seen) and self.is_settled
        return hindrance

    def close(self) -> None:
        """Let go of threads and files."""
        self._fleet.close()
        self._shadows.close()
        self.labels.close()
        self._measuring.close()

    def _follow_servers(self, resource: Object, spec: ModelDeploymentSpec, deployment: Deployment, seen: Seen) -> bool:
        is_still = True
        scaling = scaling_of(spec, deployment, self._prometheus_url, has_keda=seen.scaled_objects is not None)
        told = spec.autoscaling and condition_of(spec.autoscaling, scaling, seen.scaled_objects or ())
        self.scaling_told = told or None
        self.workers_told = workers_condition(seen.scaled_objects or ())
        scalers = {AUTOSCALERS: seen.autoscalers, SCALED_OBJECTS: seen.scaled_objects or ()}
        for version in deployment.wanted:
            served, name = deployment.served[version], version_object(self._model, version)
            scaler = autoscaler_of(resource, spec, served, scaling)
            for kind, found in scalers.items():
                # First: two autoscalers of one Deployment stand in each other's way.
                given_up = [each for each in found if each["metadata"]["name"] == name]
                if scaler is None or kind is not scaler[0]:
                    is_still = self._remove(kind, given_up, resource) and is_still
            is_still = self._apply(SERVICES, service_of(resource, served), seen.services, resource) and is_still
            live = _named(seen.deployments, name)
            replicas = replicas_for(scaling, version, live["spec"].get("replicas", 0) if live else 0)
            content = deployment_of(resource, spec, served, replicas)
            if live is None and scaler is not None:
                is_still = self._begin_scaled(content, scaling.bounds_of(version).lowest, resource) and is_still
            is_still = self._apply(DEPLOYMENTS, content, seen.deployments, resource) and is_still
            if scaler is not None:
                is_still = self._apply(*scaler, scalers[scaler[0]], resource) and is_still
        return is_still

    def _follow_schedules(
        self, resource: Object, spec: ModelDeploymentSpec, deployment: Deployment, seen: Seen
    ) -> bool:
        """A CronJob a schedule, whose next run takes the version that is stable now; trouble with one is told, and tried again."""
        self.batch_problem = None
        if seen.cron_jobs is None:
            if spec.batch:
                what = "the controller may not make CronJobs: upgrade its chart, which gives it the right"
                self.batch_problem = Problem(reason="NoRight", message=what)
            return True
        there = seen.cron_jobs
        steps: dict[str, Callable[[], bool]] = {}
        for schedule in spec.batch:
            content = cron_job_of(resource, spec, deployment.served[deployment.stable], schedule)
            steps[content["metadata"]["name"]] = partial(self._apply, CRON_JOBS, content, there, resource)
        for each in there:
            if is_component(each, BATCH) and each["metadata"]["name"] not in steps:
                steps[each["metadata"]["name"]] = partial(self._remove, CRON_JOBS, [each], resource)
        is_still = True
        for name, step in steps.items():
            try:
                is_still = step() and is_still
            except (ClusterRefused, Unavailable) as refused:
                what = f"cronjob {name}: the cluster refuses: {refused.message}"[:500]
                self.batch_problem = Problem(reason="ClusterRefuses", message=what)
            except _NameTaken as taken:
                self.batch_problem = Problem(reason="NameTaken", message=str(taken))
        return is_still

    def _begin_scaled(self, content: Object, servers: int, resource: Object) -> bool:
        """Make a Deployment that an autoscaler will move with the servers that it needs at once.

        The number is handed on before there is an autoscaler: from then on nobody but it writes one.
        """
        name = content["metadata"]["name"]
        self._refuse_a_taken_name(DEPLOYMENTS, name, resource)
        if self._api.get(DEPLOYMENTS, name, self._namespace) is not None:
            return True  # the mirror lags behind: it is there already, and may be scaled
        begun = {**content, "spec": {**content["spec"], "replicas": servers}}
        self._api.apply(DEPLOYMENTS, begun, manager=FIELD_MANAGER, namespace=self._namespace)
        self._hand_on_replicas(name, servers)
        return False

    def _hand_on_replicas(self, name: str, servers: int) -> None:
        held = {"metadata": {"name": name}, "spec": {"replicas": servers}}
        self._api.apply(DEPLOYMENTS, held, manager=_REPLICAS_MANAGER, namespace=self._namespace)

    def _apply(self, kind: Resource, content: Object, found: tuple[Object, ...], resource: Object) -> bool:
        """Have one object as it should be; True when it was so already, by what this process applied last."""
        name = content["metadata"]["name"]
        live = _named(found, name)
        known = self._applied.get((kind.plural, name))
        is_scaled = kind is DEPLOYMENTS and "replicas" not in content["spec"]
        if live is not None and known == (content, _revision(live, is_scaled=is_scaled)):
            return True
        if live is None:
            self._refuse_a_taken_name(kind, name, resource)
        elif not is_owned(live, resource):
            raise _NameTaken(f"{kind.kind.lower()} {name} belongs to somebody else: rename it, or the model")
        elif is_scaled and _owns_replicas(live):
            self._hand_on_replicas(name, live["spec"]["replicas"])
        applied = self._api.apply(kind, content, manager=FIELD_MANAGER, namespace=self._namespace)
        self._applied[(kind.plural, name)] = (content, _revision(applied, is_scaled=is_scaled))
        metrics.WRITES.labels(kind.plural).inc()
        return False

    def _refuse_a_taken_name(self, kind: Resource, name: str, resource: Object) -> None:
        """An object without our labels is in no mirror: server-side apply would take it over without a word."""
        there = self._api.get(kind, name, self._namespace)
        if there is not None and not is_owned(there, resource) and "deletionTimestamp" not in there["metadata"]:
            raise _NameTaken(f"{kind.kind.lower()} {name} belongs to somebody else: rename it, or the model")

    def _remove_unwanted(self, resource: Object, deployment: Deployment, seen: Seen) -> bool:
        """Remove the versions that nobody wants; only called once no router sends to them any more."""
        is_still = True
        for kind, found in (
            (AUTOSCALERS, seen.autoscalers),
            (SCALED_OBJECTS, seen.scaled_objects or ()),
            (DEPLOYMENTS, seen.deployments),
            (SERVICES, seen.services),
        ):
            kept = {None, *deployment.wanted, deployment.split.stable}
            unwanted = [each for each in found if each["metadata"]["labels"].get(VERSION_LABEL) not in kept]
            is_still = self._remove(kind, unwanted, resource) and is_still
        return is_still

    def _remove(self, kind: Resource, unwanted: Iterable[Object], resource: Object) -> bool:
        """Remove what is ours among these; True when there was nothing to remove."""
        is_still = True
        for each in unwanted:
            metadata = each["metadata"]
            if not is_owned(each, resource) or "deletionTimestamp" in metadata:
                continue
            self._api.delete(kind, metadata["name"], uid=metadata["uid"], namespace=self._namespace)
            self._applied.pop((kind.plural, metadata["name"]), None)
            metrics.WRITES.labels(kind.plural).inc()
            is_still = False
        return is_still

    def _plan(self, spec: ModelDeploymentSpec, deployment: Deployment) -> RouterPlan:
        wanted = dict.fromkeys((deployment.split.stable, *deployment.wanted))
        return RouterPlan(
            model=self._model,
            port=deployment.port,
            admin_port=deployment.admin_port,
            operator_port=ROUTER_OPERATOR_PORT,
            listen_host="0.0.0.0",  # noqa: S104 - a pod's own address is what its clients reach
            split=deployment.split,
            backends=tuple(
                Backend(
                    version=version,
                    endpoints=(
                        Endpoint(host=version_object(self._model, version), http_port=REST_PORT, grpc_port=GRPC_PORT),
                    ),
                )
                for version in wanted
            ),
            latency_milliseconds=deployment.latency_milliseconds,
            timeout_seconds=spec.traffic.timeout_seconds,
        )


_REPLICAS_MANAGER = f"{FIELD_MANAGER}-replicas"
"""Holds the number of servers while it goes from the spec to an autoscaler: a field without an owner would fall back to 1."""


class _NameTaken(CanarioError):
    """An object of the name that is needed is there already, and is not ours."""


def _named(found: Iterable[Object], name: str) -> Object | None:
    return next((each for each in found if each["metadata"]["name"] == name), None)


def _within_reach(ready: Mapping[str, int], fleet: FleetLook) -> dict[str, int]:
    """By version: the ready servers that every router, by its own health checks, would send requests to.

    A pod is ready before the routers have found it, and a share of the requests must not be dealt to nobody.
    """
    readings = [reading for reading in fleet.readings.values() if reading is not None]
    return {
        version: min([number, *(reading.healthy_servers(version) for reading in readings)])
        for version, number in ready.items()
    }


def _versions_of(seen: Seen) -> set[str]:
    """The versions that have servers at all, or whose servers still leave."""
    return {
        each["metadata"]["labels"][VERSION_LABEL]
        for each in (*seen.deployments, *seen.pods)
        if is_component(each, SERVER)
    }


def _replicas_of(seen: Seen) -> dict[str, int]:
    """By version: how many servers it shall have now, by whomever that was set."""
    return {
        each["metadata"]["labels"][VERSION_LABEL]: each["spec"].get("replicas", 1)
        for each in seen.deployments
        if is_component(each, SERVER)
    }


def _owns_replicas(live: Object) -> bool:
    """Whether the number of servers is ours by the last apply."""
    return any(
        entry.get("manager") == FIELD_MANAGER and "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})
        for entry in live["metadata"].get("managedFields") or []
    )


def _revision(content: Object, *, is_scaled: bool) -> object:
    """What changes when somebody changes what an object is to be; how many servers an autoscaler says is no change."""
    metadata = content["metadata"]
    if is_scaled:
        return metadata["uid"], {key: value for key, value in content["spec"].items() if key != "replicas"}
    return metadata["uid"], metadata.get("generation") or metadata["resourceVersion"]
