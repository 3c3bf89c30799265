"""A second pair of eyes: reads every router twenty times a second, beside the controller, and notes when what happened; it moves nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from canario.adapters.envoy_admin import EnvoyAdmin
from canario.adapters.kubernetes_api import PODS
from canario.errors import CanarioError
from canario.model.evidence import Counts
from canario.model.split import Split
from canario.platforms.kubernetes.naming import ROUTER_OPERATOR_PORT
from canario.platforms.kubernetes.pods import RouterPod, routers
from canario.router.changes import look, read_router
from canario.router.evidence import Seen
from tests.e2e.kubernetes.model import Model

PERIOD_SECONDS = 0.05
READ_SECONDS = 1.0


@dataclass(slots=True)
class Sighting:
    """What was seen of one candidate; times are wall clock, in seconds."""

    first_request_at: float | None = None
    last_request_at: float | None = None
    requests: int = 0
    bad_answers: int = 0
    weights_at: dict[float, float] = field(default_factory=dict)
    """By weight, in percent: when every router was first seen to deal it."""

    @property
    def exposed_seconds(self) -> float:
        """From the candidate's first request to its last."""
        return (self.last_request_at or 0.0) - (self.first_request_at or 0.0)


class Watcher:
    """Looks at a model's routers for one candidate, from a thread of its own, until the block ends."""

    def __init__(self, model: Model, candidate: str) -> None:
        self.seen = Sighting()
        self._model, self._candidate = model, candidate
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._before: dict[str, Counts] | None = None
        """By router process: what it had counted; what there was before the first look is no news. None: not looked yet."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        listed, _ = self._model.kube.api.list(
            PODS, self._model.namespace, f"canario.dev/model={self._model.name},canario.dev/component=router"
        )
        pods = routers(listed)
        with ThreadPoolExecutor(max_workers=len(pods)) as threads:
            while not self._ending.wait(PERIOD_SECONDS):
                looks = list(threads.map(_look, pods))
                self._note(looks, time.time())

    def _note(self, looks: list[tuple[Split | None, str, Seen] | None], now: float) -> None:
        counted = {found[1]: found[2].split.get(self._candidate, Counts()) for found in looks if found}
        if self._before is None:
            self._before = counted
        for process, counts in counted.items():
            former = self._before.get(process, Counts())
            if counts.requests > former.requests:
                self.seen.first_request_at = self.seen.first_request_at or now
                self.seen.last_request_at = now
            self.seen.requests += counts.requests - former.requests
            self.seen.bad_answers += counts.errors - former.errors
            self._before[process] = counts
        splits = [found[0] if found else None for found in looks]
        if splits and None not in splits:
            weights = {split.weight_percent if split.candidate == self._candidate else 0.0 for split in splits if split}
            if len(weights) == 1:
                self.seen.weights_at.setdefault(weights.pop(), now)


def _look(router: RouterPod) -> tuple[Split | None, str, Seen] | None:
    admin = EnvoyAdmin(ROUTER_OPERATOR_PORT, router.address, timeout_seconds=READ_SECONDS)
    try:
        return (read_router(admin).split, *look(admin))
    except CanarioError:
        return None
