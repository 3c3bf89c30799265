"""The controller process: one election, one cache a namespace, one loop a ModelDeployment; what a loop does is its own affair."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from canario.adapters.kubernetes_api import KubernetesApi
from canario.platforms.kubernetes import metrics
from canario.platforms.kubernetes.cache import Cache
from canario.platforms.kubernetes.events import Teller
from canario.platforms.kubernetes.jobs import RetrainingJobs
from canario.platforms.kubernetes.leadership import Leadership
from canario.platforms.kubernetes.loop import ModelLoop
from canario.platforms.kubernetes.naming import LEASE_NAME

LOOK_SECONDS = 0.5
"""How often new ModelDeployments are looked for."""

_log = logging.getLogger(__name__)


class Controller:
    """Steers every ModelDeployment of some namespaces while it holds the lease."""

    def __init__(
        self,
        api: KubernetesApi,
        namespaces: Sequence[str],
        identity: str,
        prometheus_url: str = "",
        jobs: RetrainingJobs | None = None,
    ) -> None:
        """Without `prometheus_url` nothing that Prometheus measures is followed, without `jobs` no rollout has a model retrained."""
        self._api, self._prometheus_url, self._jobs = api, prometheus_url, jobs
        self._leadership = Leadership(api, LEASE_NAME, identity)
        self._teller = Teller(api, identity)
        self._caches = [Cache(api, namespace) for namespace in namespaces]
        self._loops: dict[tuple[str, str], threading.Thread] = {}

    def is_ready(self) -> bool:
        """Whether the namespaces have been read; a controller that waits for the lease is ready too."""
        return all(cache.is_synced() for cache in self._caches)

    def run(self, ending: threading.Event) -> None:
        """Steer until told to end; the lease is given back, routers and servers go on as they are."""
        election = threading.Thread(target=self._leadership.watch, args=(ending,), name="election")
        for cache in self._caches:
            cache.start(ending)
        while not self.is_ready() and not ending.wait(0.1):
            pass
        election.start()
        _log.info("steering %s", ", ".join(cache.namespace for cache in self._caches))
        while not ending.wait(LOOK_SECONDS):
            metrics.LEADS.set(self._leadership.epoch is not None)
            self._start_loops(ending)
        for loop in self._loops.values():
            loop.join(timeout=5.0)
        election.join(timeout=10.0)

    def _start_loops(self, ending: threading.Event) -> None:
        self._loops = {key: loop for key, loop in self._loops.items() if loop.is_alive()}
        for cache in self._caches:
            for model in cache.models():
                key = (cache.namespace, model)
                if key not in self._loops:
                    loop = ModelLoop(
                        self._api, cache, model, self._leadership, self._teller, self._prometheus_url, self._jobs
                    )
                    thread = threading.Thread(target=loop.run, args=(ending,), name="/".join(key), daemon=True)
                    self._loops[key] = thread
                    thread.start()
        metrics.MODELS.set(len(self._loops))
