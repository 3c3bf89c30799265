"""All routers of one model as one: what each runs and has counted, read from itself, and the configuration that is written for all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from canario.adapters.envoy import validate
from canario.adapters.envoy_admin import EnvoyAdmin
from canario.adapters.kubernetes_api import CONFIG_MAPS, PODS, KubernetesApi, Object
from canario.errors import EvidenceLost, NotFound
from canario.model.evidence import Counts
from canario.model.split import RouterPlan, Split
from canario.platforms.kubernetes import metrics
from canario.platforms.kubernetes.naming import (
    EPOCH_ANNOTATION,
    FIELD_MANAGER,
    NUDGE_ANNOTATION,
    ROUTER,
    ROUTER_OPERATOR_PORT,
    labels,
    router_object,
)
from canario.platforms.kubernetes.objects import is_owned, owner_of
from canario.platforms.kubernetes.pods import RouterPod
from canario.router.changes import Reading, files, look, read_router, written
from canario.router.configuration import configuration, standalone, version_of
from canario.router.evidence import RouterTallies, Seen

READ_SECONDS = 1.0
"""How long one router may take to answer; one that takes longer is unknown, and the rollout holds."""
NUDGE_SECONDS = 0.5
"""How long a router may take to run what is written before its kubelet is nudged again."""
MOUNT_FOLDER = Path("/etc/canario/router")


@dataclass(frozen=True, slots=True)
class FleetLook:
    """One look at all routers."""

    readings: Mapping[str, Reading | None]
    """By pod, of the routers that get clients: what each runs; None: not readable."""
    split: Split | None
    """What all of them run; while they differ, one that is not the asked one. None: nobody knows."""
    counts: Mapping[str, Counts] | None
    """What all together have counted; None: one could not be read."""
    tallies: RouterTallies


class Fleet:
    """The routers of one model."""

    def __init__(self, api: KubernetesApi, namespace: str, model: str) -> None:
        self._api, self._namespace, self._model = api, namespace, model
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix=f"{model}-routers")
        self._proved = ""
        self._nudged: dict[str, tuple[str, float]] = {}
        self._nudges = 0
        self._written: tuple[str, Object] = ("", {})
        """The resource version that was replaced last, and by what: a mirror may still show the former."""

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def look(self, routers: Sequence[RouterPod], asked: Split, tallies: RouterTallies) -> FleetLook:
        """Read every router. One that leaves is read too, for its last counts, and missed by nobody."""
        looks = list(self._threads.map(_read, routers))
        tallies = tallies.at([_admin(router).address for router in routers])
        is_counted = any(router.is_ready for router in routers)
        readings: dict[str, Reading | None] = {}
        for router, (reading, counted) in zip(routers, looks, strict=True):
            if counted is not None:
                tallies = tallies.then(*counted)
            if router.is_ready:
                readings[router.name] = reading
                is_counted = is_counted and counted is not None
        split = _split_of_all(list(readings.values()), asked)
        counts = tallies.total().for_rollout(split) if is_counted else None
        return FleetLook(readings, split, counts, tallies)

    def ask(self, resource: Object, plan: RouterPlan, found: Object | None, seen: FleetLook, epoch: int) -> bool:
        """Write what the routers shall run next, and nudge those that lag; whether all run what the plan wants.

        `found` is the ConfigMap as last seen. Raises RouterError when Envoy refuses the plan, Conflict when somebody else
        has written since.
        """
        if found is not None and not is_owned(found, resource):
            return False  # an earlier model of this name has left it, and the cluster is removing it
        if found is not None and found["metadata"]["resourceVersion"] == self._written[0]:
            found = self._written[1]
        wanted = configuration(plan, MOUNT_FOLDER)
        before = {name: text.encode() for name, text in ((found or {}).get("data") or {}).items()}
        after = files(wanted, before, list(seen.readings.values()))
        is_ours = found is not None and _epoch(found) == str(epoch)
        has_changed = after != before
        if has_changed or not is_ours:
            self._prove(plan)
            self._write(resource, after, found, epoch)
        version = written(after).routes_version
        lagging = [
            pod for pod, reading in seen.readings.items() if reading is not None and reading.routes_version != version
        ]
        self._nudge(lagging, version, seen.readings)
        return (
            is_ours and not has_changed and not lagging and bool(seen.readings) and None not in seen.readings.values()
        )

    def _write(self, resource: Object, texts: Mapping[str, bytes], found: Object | None, epoch: int) -> None:
        metadata: Object = {
            "name": router_object(self._model),
            "labels": labels(self._model, ROUTER),
            "annotations": {EPOCH_ANNOTATION: str(epoch)},
            "ownerReferences": owner_of(resource),
        }
        if found is not None:
            metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
        content: Object = {"metadata": metadata, "data": {name: text.decode() for name, text in texts.items()}}
        if found is None:
            named = {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, **content}
            applied = self._api.create(CONFIG_MAPS, named, self._namespace)
        else:
            applied = self._api.apply(CONFIG_MAPS, content, manager=FIELD_MANAGER, namespace=self._namespace)
        self._written = (metadata.get("resourceVersion", ""), applied)
        metrics.WRITES.labels("split").inc()

    def _nudge(self, lagging: Sequence[str], version: str, pods: Iterable[str]) -> None:
        """Have the kubelets of these pods look at the mounted configuration now instead of in a minute."""
        now = time.monotonic()
        for pod in lagging:
            nudged, at = self._nudged.get(pod, ("", 0.0))
            if nudged == version and now - at < NUDGE_SECONDS:
                continue
            self._nudges += 1
            annotations = {NUDGE_ANNOTATION: f"{version}-{self._nudges}"}
            try:
                self._api.merge(PODS, pod, {"metadata": {"annotations": annotations}}, self._namespace)
            except NotFound:
                continue
            metrics.WRITES.labels("nudge").inc()
            self._nudged[pod] = (version, now)
        self._nudged = {pod: nudged for pod, nudged in self._nudged.items() if pod in set(pods)}

    def _prove(self, plan: RouterPlan) -> None:
        """Have Envoy check a configuration once before any router sees it."""
        document = standalone(plan)
        if version_of([document]) != self._proved:
            validate(document)
            self._proved = version_of([document])


def _read(router: RouterPod) -> tuple[Reading | None, tuple[str, Seen] | None]:
    admin = _admin(router)
    reading, counted = None, None
    try:
        reading = read_router(admin)
        counted = look(admin)
    except EvidenceLost:
        pass
    return reading, counted


def _admin(router: RouterPod) -> EnvoyAdmin:
    return EnvoyAdmin(ROUTER_OPERATOR_PORT, router.address, timeout_seconds=READ_SECONDS)


def _split_of_all(readings: Sequence[Reading | None], asked: Split) -> Split | None:
    """The split of all; one that lags behind speaks for all, since its share of the requests is dealt as it says."""
    splits = [None if reading is None else reading.split for reading in readings]
    if not splits or None in splits:
        return None
    return next((split for split in splits if split != asked), asked)


def _epoch(found: Object) -> str:
    return str((found["metadata"].get("annotations") or {}).get(EPOCH_ANNOTATION, ""))
