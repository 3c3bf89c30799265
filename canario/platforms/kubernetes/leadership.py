"""Who steers: one lease, and the fencing token (epoch) that each holder writes into everything it steers by.

A lease alone does not stop a leader that slept: it wakes and writes before it has looked. So a new leader first swaps its own
epoch into each state and each router's configuration; a sleeper's later writes name an older resource version and are refused.
The library's own election (kubernetes.leaderelection) knows no such token, and ends its process to stop leading.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from canario.adapters.kubernetes_api import LEASES, KubernetesApi, Object
from canario.errors import CanarioError, Conflict

LEASE_SECONDS = 15
"""How long others wait after the last sign of life; as kube-controller-manager has it."""
RENEWAL_SECONDS = 2.0
TRUST_SECONDS = 10.0
"""How long a leader that cannot renew still counts itself as one: clearly shorter than the others wait."""

_log = logging.getLogger(__name__)


_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def _first_epoch() -> int:
    """Where a new lease begins to count: above every epoch of an earlier one of its name, which may still stand in states.

    One lease takes less than a new holder a second.
    """
    return int((datetime.now(UTC) - _BEGINNING).total_seconds())


class NotLeading(CanarioError):
    """Somebody else steers, or nobody can tell."""


class Leadership:
    """A share in the election. `watch` keeps it up in a thread; `epoch` may be asked from any other."""

    def __init__(
        self, api: KubernetesApi, name: str, identity: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._api, self._name, self._identity, self._monotonic = api, name, identity, monotonic
        self._epoch: int | None = None
        self._trusted_until = 0.0
        self._observed: tuple[Any, ...] = ()
        self._observed_at = 0.0

    @property
    def epoch(self) -> int | None:
        """The token of the present term; None while this process does not lead."""
        epoch = self._epoch
        return epoch if epoch is not None and self._monotonic() < self._trusted_until else None

    def require(self, epoch: int) -> None:
        """Raise NotLeading unless the term with this token still runs; to be asked right before each write."""
        if self.epoch != epoch:
            raise NotLeading("the lease is no longer ours", hint="`kubectl get lease` shows who leads")

    def watch(self, ending: threading.Event) -> None:
        """Take and renew the lease until the end, then give it back."""
        while not ending.is_set():
            self.look()
            ending.wait(RENEWAL_SECONDS)
        self.release()

    def look(self) -> None:
        """Renew the lease if it is ours, take it if it is free; an API server that is away costs nothing but time."""
        asked_at = self._monotonic()
        try:
            lease = self._api.get(LEASES, self._name)
            if lease is None:
                lease = self._api.create(LEASES, self._lease({}, transitions=_first_epoch(), takes=True))
                self._lead(lease, asked_at)
            elif self._may_hold(lease, asked_at):
                self._hold(lease, asked_at)
            else:
                self._epoch = None
        except Conflict:
            _log.info("somebody else was faster with the lease")
        except CanarioError as lost:
            _log.warning("the lease cannot be looked at: %s", lost)
        except Exception:  # noqa: BLE001 - without this thread nobody here would ever lead again
            _log.exception("the lease cannot be read")

    def release(self) -> None:
        """Give the lease back, so that nobody has to wait for it to run out."""
        if self._epoch is None:
            return
        self._epoch = None
        try:
            lease = self._api.get(LEASES, self._name)
            if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                self._api.replace(LEASES, lease)
        except CanarioError as lost:
            _log.warning("the lease was not given back: %s", lost)

    def _may_hold(self, lease: Object, now: float) -> bool:
        """Whether it is ours, nobody's, or of a holder that has shown no sign of life by this machine's own clock."""
        spec = lease.get("spec") or {}
        seen = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._observed:
            self._observed, self._observed_at = seen, now
        patience = float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
        return spec.get("holderIdentity") in ("", None, self._identity) or now - self._observed_at > patience

    def _hold(self, lease: Object, asked_at: float) -> None:
        spec = lease.get("spec") or {}
        # A process that was killed and is back under the same name begins a new term: its former self may have left a write under way.
        takes = self._epoch is None or spec.get("holderIdentity") != self._identity
        known = int(spec.get("leaseTransitions") or 0)
        transitions = known + takes if known else _first_epoch()
        self._lead(self._api.replace(LEASES, self._lease(lease, transitions=transitions, takes=takes)), asked_at)

    def _lead(self, lease: Object, asked_at: float) -> None:
        epoch = int(lease["spec"]["leaseTransitions"])
        if epoch != self._epoch:
            _log.info("%s leads, epoch %d", self._identity, epoch)
        self._epoch, self._trusted_until = epoch, asked_at + TRUST_SECONDS

    def _lease(self, lease: Object, *, transitions: int, takes: bool) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            **lease.get("spec", {}),
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        if takes:
            spec["acquireTime"] = now
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": lease.get("metadata") or {"name": self._name},
            "spec": spec,
        }
