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
from canario.router.clusters import Document
from canario.router.configuration import (
    BOOTSTRAP_FILE,
    CLUSTERS_FILE,
    ROUTES_FILE,
    RUNTIME_FILE,
    Configuration,
    configuration,
    endpoints_file,
    resources,
    standalone,
    version_of,
)
from canario.router.evidence import Seen, Tally, seen_in
from canario.router.routes import SPLIT_METADATA

TALLY_FILE = "tally.json"
LOG_FILE = "envoy.log"


class Router:
    """One model's router. Every method may be called at any time, also while Envoy does not run."""

    def __init__(self, folder: Path, admin_port: int) -> None:
        self._folder = folder.absolute()
        self._admin = EnvoyAdmin(admin_port)
        self._proved = ""

    def command(self) -> list[str]:
        """The command line of the Envoy that reads this folder; write a plan before it starts."""
        return envoy_command(self._folder / BOOTSTRAP_FILE, self._folder / LOG_FILE)

    def write(self, plan: RouterPlan, patience_seconds: float = 0.5) -> bool:
        """Give Envoy a plan; the same plan again changes nothing. True: all of it has been written.

        False: servers that are new to the router are still being looked at, so nothing is sent to them yet and the
        former split stays; call again. Raises RouterError, and changes nothing, when Envoy refuses the configuration.
        """
        wanted = configuration(plan, self._folder)
        if self._changes(wanted):
            self._prove(plan)
        self._write(BOOTSTRAP_FILE, wanted.bootstrap)
        self._write(RUNTIME_FILE, resources("service.runtime.v3.Runtime", [wanted.runtime]))
        for name, document in wanted.endpoints.items():
            self._write(endpoints_file(name), resources("config.endpoint.v3.ClusterLoadAssignment", [document]))
        former = {} if self._runs(wanted.routes) else self._clusters_on_disk()
        self._write_clusters(former | wanted.clusters)
        if not self._are_warm(wanted.clusters, patience_seconds):
            return False
        self._write(ROUTES_FILE, resources("config.route.v3.RouteConfiguration", [wanted.routes]))
        return True

    def split(self) -> Split | None:
        """The split that Envoy really runs; None if it cannot be read."""
        try:
            loaded = self._admin.route_configurations()
        except EvidenceLost:
            return None
        for entry in loaded:
            metadata = entry["route_config"].get("metadata", {}).get("filter_metadata", {})
            if SPLIT_METADATA in metadata:
                return msgspec.convert(metadata[SPLIT_METADATA], Split)
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
        except EvidenceLost:
            return None
        path = self._folder / TALLY_FILE
        try:
            tally = read_record(Tally, path)
        except NotFound:
            tally = Tally()
        later = tally.then(process, seen_in(samples))
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

    def _changes(self, wanted: Configuration) -> bool:
        """Whether a plan is not the one that is on disk; endpoints are addresses and need no proof."""
        routes = resources("config.route.v3.RouteConfiguration", [wanted.routes])
        known = self._clusters_on_disk()
        return (
            self._read(BOOTSTRAP_FILE) != wanted.bootstrap
            or self._read(ROUTES_FILE) != routes
            or any(known.get(name) != document for name, document in wanted.clusters.items())
        )

    def _prove(self, plan: RouterPlan) -> None:
        """Have Envoy check a configuration once, however often it is written until all of it is in place."""
        document = standalone(plan)
        if version_of([document]) != self._proved:
            validate(document)
            self._proved = version_of([document])

    def _runs(self, routes: Document) -> bool:
        """Whether these very routes are loaded, or nothing runs that could miss a cluster."""
        try:
            return any(
                entry.get("version_info") == version_of([routes]) for entry in self._admin.route_configurations()
            )
        except EvidenceLost:
            return not self._admin.is_running()

    def _are_warm(self, clusters: Mapping[str, Document], patience_seconds: float) -> bool:
        deadline = time.monotonic() + patience_seconds
        while self._admin.is_running():
            with contextlib.suppress(EvidenceLost):
                if clusters.keys() <= self._admin.active_clusters():
                    return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _clusters_on_disk(self) -> dict[str, Document]:
        content = self._read(CLUSTERS_FILE)
        if not content:
            return {}
        entries = msgspec.json.decode(content)["resources"]
        return {entry["name"]: {key: value for key, value in entry.items() if key != "@type"} for entry in entries}

    def _write_clusters(self, clusters: Mapping[str, Document]) -> None:
        self._write(
            CLUSTERS_FILE, resources("config.cluster.v3.Cluster", [clusters[name] for name in sorted(clusters)])
        )
        for leftover in self._folder.glob("endpoints.*.json"):
            if leftover.name not in {endpoints_file(name) for name in clusters}:
                leftover.unlink()

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return b""

    def _write(self, name: str, content: bytes) -> None:
        if self._read(name) != content:
            write_atomically(self._folder / name, content)
