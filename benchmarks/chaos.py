"""Kills with SIGKILL while it runs: servers of a local platform at random moments, and its supervisor when it is told to."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from types import TracebackType
from typing import Self

from canario.model.deployment import ServerStatus
from canario.platforms.local.platform import LocalPlatform

SHORTEST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 7.0


class Chaos:
    """A context manager; on leaving it stops killing, and brings the supervisor up again if it was the last one killed."""

    def __init__(self, model: LocalPlatform, chance: random.Random) -> None:
        self._platform = model
        self._chance = chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)
        self.servers_killed = 0
        self.supervisors_killed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def kill_supervisor(self) -> None:
        """Kill it, leave everything without one for a moment, and start the next, which has to go on where it was."""
        pid = self._platform.status().supervisor_pid
        assert pid, "there is no supervisor to kill"
        os.kill(pid, signal.SIGKILL)
        self.supervisors_killed += 1
        self._over.wait(self._chance.uniform(0.0, 2.0))
        self._platform.up()

    def _run(self) -> None:
        while not self._over.wait(self._chance.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)):
            victims = self._victims()
            if victims:
                pid = self._chance.choice(victims).pid
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid or 0, signal.SIGKILL)
                    self.servers_killed += 1

    def _victims(self) -> list[ServerStatus]:
        """Ready servers of the version that answers most, while another one is ready: to lose all of a version is an outage.

        The version with the smaller share is spared: a candidate whose servers die is rightly thrown back for it.
        """
        status = self._platform.status()
        split = status.asked
        if split is None:
            return []
        most = split.candidate if split.weight_percent > 50 else split.stable
        ready = [server for server in status.servers if (server.version, server.stage) == (most, "ready")]
        return ready if len(ready) > 1 else []
