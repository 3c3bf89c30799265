"""A router's folder and the Envoy that reads it: plans go in, what really runs comes out; starting the process is for platforms."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from canario.adapters.documents import read_record, write_record
from canario.adapters.envoy import envoy_command, validate
from canario.adapters.envoy_admin import EnvoyAdmin
from canario.adapters.files import write_atomically
from canario.errors import EvidenceLost, NotFound
from canario.model.evidence import Counts
from canario.model.split import Endpoint, RouterPlan, Split
from canario.router.bootstrap import STATISTICS
from canario.router.changes import Reading, differs, files, read_router, written
from canario.router.configuration import BOOTSTRAP_FILE, configuration, endpoints_file, standalone, version_of
from canario.router.evidence import Seen, Tally, seen_in

TALLY_FILE = "tally.json"
LOG_FILE = "envoy.log"


class Router:
    """One model's router. Every method may be called at any time, also while Envoy does not run."""

    def __init__(self, folder: Path, admin_port: int) -> None:
        self._folder = folder.absolute()
        self._admin_port = admin_port
        self._admin = EnvoyAdmin(admin_port)
        self._proved = ""

    def command(self) -> list[str]:
        """The command line of the Envoy that reads this folder; write a plan before it starts."""
        return envoy_command(self._folder / BOOTSTRAP_FILE, self._folder / LOG_FILE)

    def can_start(self) -> bool:
        """Whether there is a plan whose Envoy answers at this admin port; one for another port is of before a move."""
        with contextlib.suppress(OSError, msgspec.DecodeError, LookupError, TypeError):
            bootstrap = msgspec.json.decode((self._folder / BOOTSTRAP_FILE).read_bytes())
            return bool(bootstrap["admin"]["address"]["socket_address"]["port_value"] == self._admin_port)
        return False

    def write(self, plan: RouterPlan, patience_seconds: float = 0.5) -> bool:
        """Give Envoy a plan; the same plan again changes nothing. True: all of it has been written.

        False: servers that are new to the router are still being looked at, so nothing is sent to them yet and the
        former split stays; call again. Raises RouterError, and changes nothing, when Envoy refuses the configuration.
        """
        wanted = configuration(plan, self._folder)
        if differs(wanted, self._on_disk()):
            self._prove(plan)
        deadline = time.monotonic() + patience_seconds
        while True:
            self._write(files(wanted, self._on_disk(), self._readings()))
            if written(self._on_disk()).routes == wanted.routes:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)

    def split(self) -> Split | None:
        """The split that Envoy really runs; None if it cannot be read."""
        try:
            return read_router(self._admin).split
        except EvidenceLost:
            return None

    def counts(self) -> Mapping[str, Counts] | None:
        """By version: what a rollout is judged by, cumulative; None if it cannot be read now."""
        seen = self.seen()
        return None if seen is None else seen.for_rollout(self.split())

    def seen(self) -> Seen | None:
        """All first attempts since the folder was made; None if they cannot be read now.

        It is stored before it is returned: no later answer is smaller, also if Envoy or its reader has died since.
        """
        try:
            process, samples = self._admin.counters(STATISTICS)
            with self._admin.understood():
                present = seen_in(samples)
        except EvidenceLost:
            return None
        path = self._folder / TALLY_FILE
        try:
            tally = read_record(Tally, path)
        except NotFound:
            tally = Tally()
        later = tally.then(process, present)
        if later != tally:
            write_record(path, later)
        return later.total()

    def active_requests(self, endpoint: Endpoint) -> int | None:
        """The requests that one server has under way; None if it cannot be read."""
        try:
            return self._admin.active_requests(endpoint)
        except EvidenceLost:
            return None

    def is_ready(self) -> bool:
        """Whether Envoy takes requests."""
        return self._admin.is_ready()

    def _prove(self, plan: RouterPlan) -> None:
        """Have Envoy check a configuration once, however often it is written until all of it is in place."""
        document = standalone(plan)
        if version_of([document]) != self._proved:
            validate(document)
            self._proved = version_of([document])

    def _readings(self) -> list[Reading | None]:
        """Of the one router that there is; none when no process could miss a cluster."""
        try:
            return [read_router(self._admin)]
        except EvidenceLost:
            return [None] if self._admin.is_running() else []

    def _on_disk(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self._folder.glob("*.json") if path.name != TALLY_FILE}

    def _write(self, contents: Mapping[str, bytes]) -> None:
        before = self._on_disk()
        for name, content in contents.items():
            if before.get(name) != content:
                write_atomically(self._folder / name, content)
        needed = {endpoints_file(name) for name in written(contents).clusters}
        for leftover in {name for name in before if name.startswith("endpoints.")} - contents.keys() - needed:
            (self._folder / leftover).unlink()
