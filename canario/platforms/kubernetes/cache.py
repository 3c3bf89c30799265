"""What the API server holds, mirrored by watches so that looking costs nothing; what it means is for the world."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from canario.adapters.kubernetes_api import (
    AUTOSCALERS,
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    MODEL_DEPLOYMENTS,
    PODS,
    SCALED_OBJECTS,
    SERVICES,
    KubernetesApi,
    Object,
    Resource,
    TooOld,
)
from canario.errors import CanarioError, ClusterRefused, NotFound
from canario.platforms.kubernetes.naming import MODEL_LABEL

LONGEST_DELAY_SECONDS = 5.0
UNKNOWN_SECONDS = 15.0
"""How often a kind is looked for that the cluster does not know."""
_KINDS = (DEPLOYMENTS, SERVICES, CONFIG_MAPS, PODS, AUTOSCALERS)
_FOREIGN_KINDS = (SCALED_OBJECTS, CRON_JOBS, JOBS)
"""Kinds that a cluster may or may not know, as others bring them, or that the rights of an older chart do not reach."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything of one model that the API server holds."""

    resource: Object | None
    deployments: tuple[Object, ...]
    services: tuple[Object, ...]
    config_maps: tuple[Object, ...]
    pods: tuple[Object, ...]
    autoscalers: tuple[Object, ...]
    scaled_objects: tuple[Object, ...] | None = None
    """None when the cluster does not know such objects, or lets nobody see them: KEDA is not there."""
    cron_jobs: tuple[Object, ...] | None = None
    """None when the controller may not see them."""
    jobs: tuple[Object, ...] = ()


class Mirror:
    """One kind of object in one namespace, kept up to date by a thread of its own."""

    def __init__(
        self,
        api: KubernetesApi,
        resource: Resource,
        namespace: str,
        selector: str,
        told: Callable[[Object], None],
        *,
        is_foreign: bool = False,
    ) -> None:
        """Nobody waits for a foreign kind that the cluster does not know."""
        self._api, self._resource, self._namespace, self._selector = api, resource, namespace, selector
        self._told = told
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()
        self._is_synced = threading.Event()
        self._is_foreign = is_foreign
        self.is_known = True
        """Whether the cluster knows this kind of object, and lets it be seen."""

    def start(self, ending: threading.Event) -> None:
        """Begin to follow; ends with the process."""
        name = f"{self._namespace}/{self._resource.plural}"
        threading.Thread(target=self._follow, args=(ending,), name=name, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether everything has been listed once."""
        return self._is_synced.wait(seconds)

    def objects(self) -> list[Object]:
        """The objects as last heard of; nobody may change them."""
        with self._lock:
            return list(self._objects.values())

    def get(self, name: str) -> Object | None:
        """One of them."""
        with self._lock:
            return self._objects.get(name)

    def _follow(self, ending: threading.Event) -> None:
        delay, version, told = 0.1, "", ""
        while not ending.is_set():
            try:
                if not version:
                    version = self._list()
                version = self._hear(version)
                delay = 0.1
            except TooOld:
                version = ""
                ending.wait(delay)
            except CanarioError as lost:
                if self._is_foreign and isinstance(lost, (NotFound, ClusterRefused)):
                    version = ""
                    self._forget_kind()
                    ending.wait(UNKNOWN_SECONDS)
                    continue
                if str(lost) != told:
                    told = str(lost)
                    _log.warning("%s cannot be watched now: %s", self._resource.plural, lost)
                version = ""
                ending.wait(delay)
                delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            except Exception:  # noqa: BLE001 - a mirror that stands still would show the past for ever
                _log.exception("%s: a watch failed", self._resource.plural)
                version = ""
                ending.wait(LONGEST_DELAY_SECONDS)

    def _forget_kind(self) -> None:
        with self._lock:
            gone, self._objects = list(self._objects.values()), {}
        if self.is_known:
            _log.info(
                "this cluster has no %s that may be seen: they are looked for now and then", self._resource.plural
            )
        self.is_known = False
        self._is_synced.set()
        for each in gone:
            self._told(each)

    def _list(self) -> str:
        listed, version = self._api.list(self._resource, self._namespace, self._selector)
        found = {each["metadata"]["name"]: each for each in listed}
        with self._lock:
            gone = [each for name, each in self._objects.items() if name not in found]
            self._objects = found
        self.is_known = True
        self._is_synced.set()
        for each in (*gone, *listed):
            self._told(each)
        return version

    def _hear(self, version: str) -> str:
        for change in self._api.watch(self._resource, version, self._namespace, self._selector):
            version = str(change.content["metadata"]["resourceVersion"])
            if change.kind == "BOOKMARK":
                continue
            name = change.content["metadata"]["name"]
            with self._lock:
                if change.kind == "DELETED":
                    self._objects.pop(name, None)
                else:
                    self._objects[name] = change.content
            self._told(change.content)
        return version


class Cache:
    """All that matters in one namespace, and a bell for each model that rings when something of it changes."""

    def __init__(self, api: KubernetesApi, namespace: str) -> None:
        self.namespace = namespace
        self._bells: dict[str, threading.Event] = {}
        self._models = Mirror(api, MODEL_DEPLOYMENTS, namespace, "", self._ring_own)
        self._mirrors = {
            kind: Mirror(api, kind, namespace, MODEL_LABEL, self._ring_labelled, is_foreign=kind in _FOREIGN_KINDS)
            for kind in (*_KINDS, *_FOREIGN_KINDS)
        }

    def start(self, ending: threading.Event) -> None:
        """Begin to follow everything."""
        for mirror in (self._models, *self._mirrors.values()):
            mirror.start(ending)

    def is_synced(self, seconds: float = 0.0) -> bool:
        """Whether all kinds have been listed once."""
        deadline = time.monotonic() + seconds
        return all(
            mirror.wait(max(0.0, deadline - time.monotonic())) for mirror in (self._models, *self._mirrors.values())
        )

    def models(self) -> list[str]:
        """The names of the ModelDeployments."""
        return sorted(each["metadata"]["name"] for each in self._models.objects())

    def bell(self, model: str) -> threading.Event:
        """Set whenever something of this model has changed; who waits for it clears it."""
        return self._bells.setdefault(model, threading.Event())

    def seen(self, model: str) -> Seen:
        """Everything of one model as last heard of."""

        def labelled(kind: Resource) -> tuple[Object, ...]:
            return tuple(
                each for each in self._mirrors[kind].objects() if each["metadata"]["labels"].get(MODEL_LABEL) == model
            )

        def foreign(kind: Resource) -> tuple[Object, ...] | None:
            return labelled(kind) if self._mirrors[kind].is_known else None

        return Seen(
            resource=self._models.get(model),
            deployments=labelled(DEPLOYMENTS),
            services=labelled(SERVICES),
            config_maps=labelled(CONFIG_MAPS),
            pods=labelled(PODS),
            autoscalers=labelled(AUTOSCALERS),
            scaled_objects=foreign(SCALED_OBJECTS),
            cron_jobs=foreign(CRON_JOBS),
            jobs=labelled(JOBS),
        )

    def _ring_own(self, changed: Object) -> None:
        self.bell(changed["metadata"]["name"]).set()

    def _ring_labelled(self, changed: Object) -> None:
        with contextlib.suppress(KeyError):
            self.bell(changed["metadata"]["labels"][MODEL_LABEL]).set()
