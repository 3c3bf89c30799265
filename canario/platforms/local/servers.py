"""The servers of all of a model's versions on this machine, as canario.ports.rollout.Workloads wants them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from canario.model.deployment import ServedVersion, ServerStatus
from canario.model.split import Backend, Endpoint
from canario.platforms.local.probes import Prober
from canario.platforms.local.processes import LocalProcess, Role
from canario.platforms.local.slots import ServerSlot, Stage

FIRST_LOOK_SECONDS = 3.0
"""The longest that a new supervisor waits for adopted servers to say that they are ready, before it tells the router."""


class LocalServers:
    """N servers a version, each kept by its slot. `tick` carries out what `start` and `stop` asked for."""

    def __init__(
        self,
        platform: Path,
        processes: int,
        served: Callable[[str], ServedVersion | None],
        active_requests: Callable[[Endpoint], int],
    ) -> None:
        self._platform = platform
        self._processes = processes
        self._served = served
        self._active_requests = active_requests
        self._prober = Prober()
        self._wanted: set[str] = set()
        self._slots: dict[str, list[ServerSlot]] = {}

    def adopt(self, found: Iterable[LocalProcess], wanted: Iterable[str]) -> None:
        """Take over the servers that an earlier supervisor left, and wait shortly until they have said how they are.

        Those of versions that are not wanted are drained; doubles of one place are ended.
        """
        now = time.monotonic()
        for version in wanted:
            self.start(version)
        for process in found:
            mark = process.mark
            if mark.role is not Role.SERVER:
                continue
            served = self._served(mark.version)
            slots = self._slots.setdefault(mark.version, [])
            slot = next((slot for slot in slots if slot.number == mark.slot), None)
            if served is None or (slot is not None and slot.process is not None):
                process.send(signal.SIGTERM)
                continue
            if slot is None:
                slot = ServerSlot(self._platform, served, mark.slot, self._prober)
                slots.append(slot)
            slot.adopt(process, now)
            if mark.version not in self._wanted or mark.slot >= self._processes:
                slot.leave(now)
        deadline = now + FIRST_LOOK_SECONDS
        adopted = [slot for slot in self._all() if slot.process is not None and slot.stage is Stage.COLD]
        while any(slot.stage is Stage.COLD for slot in adopted) and time.monotonic() < deadline:
            for slot in adopted:
                slot.tick(time.monotonic(), self._active_requests)
            time.sleep(0.02)
        for slot in adopted:
            slot.trust(time.monotonic())

    def start(self, version: str) -> None:
        """Have the version's servers running; starting what runs changes nothing."""
        self._wanted.add(version)
        slots = self._slots.setdefault(version, [])
        served = self._served(version)
        for slot in slots:
            slot.stay(time.monotonic())
        # A place whose last server still ends is filled once that server has gone.
        for number in sorted(set(range(self._processes)) - {slot.number for slot in slots}):
            if served is not None:
                slots.append(ServerSlot(self._platform, served, number, self._prober))

    def stop(self, version: str) -> None:
        """Drain and stop the version's servers; stopping what is stopped changes nothing."""
        self._wanted.discard(version)
        now = time.monotonic()
        for slot in self._slots.get(version, ()):
            slot.leave(now)

    def ready(self) -> Mapping[str, int]:
        """By version: how many servers are warm. A version with servers that are not ready yet is there with 0."""
        return {
            version: sum(slot.stage is Stage.READY for slot in slots) for version, slots in self._slots.items() if slots
        }

    def failures(self) -> Mapping[str, str]:
        """By version: why its servers cannot start, in words."""
        reasons = {
            version: next((slot.failure for slot in slots if slot.failure), "")
            for version, slots in self._slots.items()
        }
        return {version: reason for version, reason in reasons.items() if reason}

    def running(self) -> tuple[str, ...]:
        """The versions that have servers at all, draining ones included."""
        return tuple(version for version, slots in self._slots.items() if slots)

    def backends(self, versions: Iterable[str]) -> tuple[Backend, ...]:
        """These versions with the servers that may get requests now, and every server that only finishes what it has."""
        named = dict.fromkeys((*versions, *(version for version in self._slots if self._at(version, Stage.LEAVING))))
        return tuple(
            Backend(
                version=version,
                endpoints=self._at(version, Stage.READY),
                draining=self._at(version, Stage.LEAVING),
            )
            for version in named
        )

    def _at(self, version: str, stage: Stage) -> tuple[Endpoint, ...]:
        return tuple(sorted(slot.endpoint for slot in self._slots.get(version, ()) if slot.stage is stage))

    def status(self) -> tuple[ServerStatus, ...]:
        """Every server, as a person wants to see it."""
        return tuple(
            ServerStatus(
                version=version,
                slot=slot.number,
                stage=slot.stage.value,
                pid=slot.process.pid if slot.process else None,
                http_port=slot.endpoint.http_port,
                grpc_port=slot.endpoint.grpc_port,
                restarts=slot.restarts,
                failure=slot.failure,
                operator_port=slot.operator_port,
            )
            for version, slots in self._slots.items()
            for slot in slots
        )

    def tick(self) -> None:
        """Go on by one look at every server; returns at once."""
        for version in self._wanted:
            self.start(version)
        for slot in self._all():
            slot.tick(time.monotonic(), self._active_requests)
        self._slots = {
            version: [slot for slot in slots if slot.stage is not Stage.GONE]
            for version, slots in self._slots.items()
            if version in self._wanted or any(slot.stage is not Stage.GONE for slot in slots)
        }

    def close(self) -> None:
        """Leave the servers as they are and stop asking them."""
        self._prober.close()

    def _all(self) -> list[ServerSlot]:
        return [slot for slots in self._slots.values() for slot in slots]
