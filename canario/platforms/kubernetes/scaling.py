"""How many servers a version has where that follows the load: which autoscaler says it, and between which bounds; pure, applied by the world.

A version has one autoscaler: Kubernetes' own for the use of CPU, a ScaledObject of KEDA for what Prometheus has measured. The controller
moves only its bounds, never a number of servers that an autoscaler may move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from canario.adapters.kubernetes_api import Object
from canario.model.deployment import Deployment
from canario.model.resource import Autoscaling, ModelDeploymentSpec
from canario.platforms.kubernetes.naming import WORKER, is_component, version_object
from canario.platforms.kubernetes.resource import replicas_of
from canario.rollout.capacity import servers_needed

USUAL_CPU_PERCENT = 70
FAILURES_BEFORE_FALLBACK = 3
"""So often the figure may be missing before KEDA says the number of servers that are there."""
_MILLISECONDS = 1000
_PREDICTIONS = 'method=~"predict|infer"'
"""What is load: a server is also asked, all day, whether it lives."""


class ScaledBy(StrEnum):
    """Who says how many servers a version has."""

    NOBODY = "nobody"
    """The number is fixed: the spec's, or the lower bound where the autoscaler that is asked for cannot work."""
    CPU = "cpu"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The fewest and the most servers of a version."""

    lowest: int
    highest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Who scales a model's versions now, and between which bounds."""

    by: ScaledBy
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    """By version that shall have servers."""
    whole: str = ""
    """The version that is sized for all of the model's requests, since it may have them all back at any moment."""
    prometheus_url: str = ""
    reason: str = ""
    """One CamelCase word when what is asked for cannot work."""
    message: str = ""

    def bounds_of(self, version: str) -> Bounds:
        """The bounds of a version."""
        return self.bounds[version]


def is_measured(autoscaling: Autoscaling) -> bool:
    """Whether the number follows a figure of Prometheus'."""
    aims = (autoscaling.requests_per_second, autoscaling.waiting_requests, autoscaling.latency_milliseconds)
    return any(aim is not None for aim in aims)


def scaling_of(spec: ModelDeploymentSpec, deployment: Deployment, prometheus_url: str, *, has_keda: bool) -> Scaling:
    """Who scales, and between which bounds: during a rollout no version has fewer servers than it needs for its share, present and next."""
    rollout = deployment.rollout
    needed = servers_needed(rollout.spec, rollout.state) if rollout else {}
    autoscaling = spec.autoscaling
    if autoscaling is None:
        servers = replicas_of(spec)
        bounds = {version: Bounds(servers, servers) for version in deployment.wanted}
        return Scaling(by=ScaledBy.NOBODY, bounds=bounds)
    highest = autoscaling.max_replicas
    bounds = {
        version: Bounds(min(highest, max(autoscaling.min_replicas, needed.get(version, 0))), highest)
        for version in deployment.wanted
    }
    by, reason, message = ScaledBy.PROMETHEUS, "", ""
    if not is_measured(autoscaling):
        by = ScaledBy.CPU
    elif not prometheus_url:
        by, reason = ScaledBy.NOBODY, "NoPrometheus"
        message = "the controller knows no Prometheus: set prometheus.url of its chart, or follow the CPU by cpuPercent"
    elif not has_keda:
        by, reason = ScaledBy.NOBODY, "NoKeda"
        message = "this cluster knows no ScaledObjects: install KEDA, or follow the CPU by cpuPercent"
    if reason:
        message = f"{message}. Until then the number of servers stays as it is, within its bounds"
    return Scaling(
        by=by,
        bounds=bounds,
        whole=rollout.state.stable if rollout else deployment.stable,
        prometheus_url=prometheus_url,
        reason=reason,
        message=message,
    )


def condition_of(autoscaling: Autoscaling, scaling: Scaling, scaled: Iterable[Object]) -> tuple[str, str, str]:
    """Whether the number of servers follows the load, as a condition: status, reason, message. `scaled` is what KEDA says of its objects."""
    if scaling.reason:
        return "False", scaling.reason, scaling.message
    told = "; ".join(
        f"{version} has {bounds.lowest} to {bounds.highest} servers"
        for version, bounds in sorted(scaling.bounds.items())
    )
    if scaling.by is ScaledBy.PROMETHEUS:
        for each in scaled:
            refused = "" if is_component(each, WORKER) else _refusal(each)
            if refused:
                return "False", "KedaRefuses", f"scaledobject {each['metadata']['name']}: {refused}"
    return "True", "FollowsLoad", f"{_aim(autoscaling)}: {told}"


def workers_condition(scaled: Iterable[Object]) -> tuple[str, str, str] | None:
    """Whether the number of workers follows the queues, as a condition; None where KEDA does not say it."""
    of_workers = [each for each in scaled if is_component(each, WORKER)]
    for each in of_workers:
        refused = _refusal(each)
        if refused:
            name = each["metadata"]["name"]
            return "False", "KedaRefuses", f"scaledobject {name}: {refused}. The number of workers stays as it is"
    return ("True", "FollowsQueues", "KEDA has the number of workers follow the queues") if of_workers else None


def _refusal(scaled: Object) -> str:
    """Why KEDA cannot scale by an object; it has said nothing yet of a new one."""
    for condition in (scaled.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Ready" and condition["status"] == "False":
            return str(condition.get("message", ""))[:300]
    return ""


def _aim(autoscaling: Autoscaling) -> str:
    if autoscaling.requests_per_second is not None:
        return f"{autoscaling.requests_per_second:g} requests a second each"
    if autoscaling.waiting_requests is not None:
        return f"{autoscaling.waiting_requests:g} waiting requests each"
    if autoscaling.latency_milliseconds is not None:
        return f"95 of 100 answers within {autoscaling.latency_milliseconds:g} ms"
    return f"{autoscaling.cpu_percent or USUAL_CPU_PERCENT} % of the requested CPU"


def replicas_for(scaling: Scaling, version: str, present: int) -> int | None:
    """The number that the controller holds a version to; None when an autoscaler says it.

    Where the autoscaler that is asked for cannot work, the `present` number stays, within the bounds: to lose servers would be worse.
    """
    if scaling.by is not ScaledBy.NOBODY:
        return None
    bounds = scaling.bounds_of(version)
    return min(bounds.highest, max(bounds.lowest, present))


def cpu_scaler_spec(resource: Object, autoscaling: Autoscaling, version: str, bounds: Bounds) -> Object:
    """What Kubernetes' own autoscaler is told."""
    percent = autoscaling.cpu_percent or USUAL_CPU_PERCENT
    target = {"type": "Utilization", "averageUtilization": percent}
    return {
        "scaleTargetRef": _target(resource, version),
        "minReplicas": bounds.lowest,
        "maxReplicas": bounds.highest,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": _behavior(autoscaling),
    }


def scaled_object_spec(resource: Object, autoscaling: Autoscaling, version: str, scaling: Scaling) -> Object:
    """What KEDA is told. When Prometheus cannot be asked, the servers that are there stay, and never fewer than the lower bound."""
    bounds = scaling.bounds_of(version)
    return {
        "scaleTargetRef": _target(resource, version),
        "minReplicaCount": bounds.lowest,
        "maxReplicaCount": bounds.highest,
        "fallback": {
            "failureThreshold": FAILURES_BEFORE_FALLBACK,
            "replicas": bounds.lowest,
            "behavior": "currentReplicasIfHigher",
        },
        "advanced": {
            "restoreToOriginalReplicaCount": False,
            "horizontalPodAutoscalerConfig": {"behavior": _behavior(autoscaling)},
        },
        "triggers": [_trigger(resource, autoscaling, version, scaling)],
    }


def _trigger(resource: Object, autoscaling: Autoscaling, version: str, scaling: Scaling) -> Object:
    """One figure, and what it shall be: a server's part of a sum, or the figure itself."""
    metadata = resource["metadata"]
    model = f'namespace="{metadata["namespace"]}",model="{metadata["name"]}"'
    own = f'{model},version="{version}"'
    counted = model if version == scaling.whole else own
    window = f"[{autoscaling.window_seconds}s]"
    kind = "AverageValue"
    if autoscaling.requests_per_second is not None:
        query = _rate(f"canario_requests_total{{{counted},{_PREDICTIONS}}}", autoscaling.window_seconds)
        aim = autoscaling.requests_per_second
    elif autoscaling.waiting_requests is not None:
        query = f"sum(avg_over_time(canario_waiting_requests{{{counted}}}{window}))"
        aim = autoscaling.waiting_requests
    else:
        kind, aim = "Value", autoscaling.latency_milliseconds or 0.0
        buckets = f"sum by (le) (rate(canario_request_duration_seconds_bucket{{{own},{_PREDICTIONS}}}{window}))"
        nothing = f"sum(rate(canario_request_duration_seconds_count{{{own},{_PREDICTIONS}}}{window})) * 0"
        # Where nobody asks there is no quantile: then the answer is 0, as long as the series are there.
        query = f"(histogram_quantile(0.95, {buckets}) > 0 or {nothing}) * {_MILLISECONDS}"
    return {
        "type": "prometheus",
        "metricType": kind,
        "metadata": {
            "serverAddress": scaling.prometheus_url,
            "query": query,
            "threshold": f"{aim:.10g}",
            # No series is no load of zero: a Prometheus that has just started would take every server away.
            "ignoreNullValues": "false",
        },
    }


def _rate(series: str, window_seconds: int) -> str:
    """Requests a second over the window, and no answer until it is filled: a rate over the first few scrapes is far too small.

    It is filled when the series that is longest there has been read as often in the older half as in the newer one, or once less:
    so much Prometheus itself fills in. Neither a Prometheus that has just started nor a version that has just begun is then taken
    for one without load.
    """
    half = max(1, window_seconds // 2)
    older, newer = f"max(count_over_time({series}[{half}s] offset {half}s))", f"max(count_over_time({series}[{half}s]))"
    return f"sum(rate({series}[{window_seconds}s])) and on() ({older} >= {newer} - 1)"


def _behavior(autoscaling: Autoscaling) -> Object:
    return {"scaleDown": {"stabilizationWindowSeconds": autoscaling.scale_down_seconds}}


def _target(resource: Object, version: str) -> Object:
    name = version_object(resource["metadata"]["name"], version)
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
