"""How running routers are moved to another configuration without a request lost: what is written next; writing it is for others.

Routes may only point to clusters that a router has loaded and looked at, so a change comes in three parts: the new clusters
beside the old ones; once every router has them, the new routes; once every router runs those, away with what nobody needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from canario.adapters.envoy_admin import EnvoyAdmin
from canario.model.split import Split
from canario.router.bootstrap import STATISTICS
from canario.router.clusters import ClusterName, Document, Protocol, Role
from canario.router.configuration import (
    BOOTSTRAP_FILE,
    CLUSTERS_FILE,
    ROUTES_FILE,
    RUNTIME_FILE,
    Configuration,
    endpoints_file,
    resources,
    version_of,
)
from canario.router.evidence import Seen, seen_in
from canario.router.routes import SPLIT_METADATA, clusters_in

CHANGE_METADATA = "canario.change"
"""Beside the routes: the number of the change. Equal content under a new number is a new version for who reads it back."""

_CLUSTERS = "config.cluster.v3.Cluster"
_ROUTES = "config.route.v3.RouteConfiguration"
_RUNTIME = "service.runtime.v3.Runtime"
_ENDPOINTS = "config.endpoint.v3.ClusterLoadAssignment"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one router was read back to run."""

    routes_version: str
    """The version of its routes; empty while it has none."""
    active_clusters: frozenset[str]
    """The clusters that it has loaded and looked at."""
    split: Split | None
    """The split of its routes; None while it has none."""
    healthy: Mapping[str, int] = field(default_factory=dict)
    """By cluster: the servers that pass its own health checks."""

    def healthy_servers(self, version: str) -> int:
        """How many servers of a version it would send requests to now, over both protocols."""
        direct = [str(ClusterName(version, protocol, Role.DIRECT)) for protocol in Protocol]
        return min(self.healthy.get(name, 0) for name in direct)


@dataclass(frozen=True, slots=True)
class Written:
    """What the files say now."""

    routes: Document | None = None
    """Without the number of the change."""
    routes_version: str = ""
    number: int = 0
    clusters: Mapping[str, Document] = field(default_factory=dict)


def written(on_disk: Mapping[str, bytes]) -> Written:
    """Read back what `files` made, by file name; a file that is not there is empty."""
    clusters = {entry["name"]: entry for entry in _entries(on_disk.get(CLUSTERS_FILE, b""))}
    for routes in _entries(on_disk.get(ROUTES_FILE, b"")):
        change = routes["metadata"]["filter_metadata"].pop(CHANGE_METADATA, {})
        number = int(change.get("number", 0))
        return Written(routes, version_of([_numbered(routes, number)]), number, clusters)
    return Written(clusters=clusters)


def differs(wanted: Configuration, on_disk: Mapping[str, bytes]) -> bool:
    """Whether the files do not say yet what is wanted; endpoints and what is only left over do not matter."""
    now = written(on_disk)
    return (
        on_disk.get(BOOTSTRAP_FILE, b"") != wanted.bootstrap
        or now.routes != wanted.routes
        or any(now.clusters.get(name) != document for name, document in wanted.clusters.items())
    )


def files(wanted: Configuration, on_disk: Mapping[str, bytes], readings: Sequence[Reading | None]) -> dict[str, bytes]:
    """The next content of the files, by name, in the order in which to write them.

    `readings` has one entry for each router that there is: None for one that cannot be read, which holds up every part
    that needs it. Without any router everything is written at once. Routes that need no more clusters than the written
    ones need no reading: so a rollback waits for nobody.
    """
    now = written(on_disk)
    is_same = now.routes == wanted.routes
    is_current = all(reading is not None and reading.routes_version == now.routes_version for reading in readings)
    if now.routes is None or not readings or (is_same and is_current):
        routes, clusters = wanted.routes, wanted.clusters
    else:
        is_warm = (
            is_current
            and wanted.clusters.keys() <= now.clusters.keys()  # not only left over from before
            and all(reading is not None and wanted.clusters.keys() <= reading.active_clusters for reading in readings)
        )
        is_safe = is_same or is_warm or clusters_in(wanted.routes) <= clusters_in(now.routes)
        routes = wanted.routes if is_safe else now.routes
        clusters = {**now.clusters, **wanted.clusters}
    changes = routes != now.routes or clusters != now.clusters
    return {
        BOOTSTRAP_FILE: wanted.bootstrap,
        RUNTIME_FILE: resources(_RUNTIME, [wanted.runtime]),
        **{endpoints_file(name): resources(_ENDPOINTS, [each]) for name, each in wanted.endpoints.items()},
        CLUSTERS_FILE: resources(_CLUSTERS, [clusters[name] for name in sorted(clusters)]),
        ROUTES_FILE: resources(_ROUTES, [_numbered(routes, now.number + 1 if changes else now.number)]),
    }


def read_router(admin: EnvoyAdmin) -> Reading:
    """What a router runs. Raises EvidenceLost."""
    loaded = admin.route_configurations()
    active, healthy = frozenset(admin.active_clusters()), admin.healthy_servers()
    with admin.understood():
        for entry in loaded:
            metadata = entry["route_config"].get("metadata", {}).get("filter_metadata", {})
            if SPLIT_METADATA in metadata:
                split = msgspec.convert(metadata[SPLIT_METADATA], Split)
                return Reading(entry.get("version_info", ""), active, split, healthy)
    return Reading("", active, None, healthy)


def look(admin: EnvoyAdmin) -> tuple[str, Seen]:
    """The name of a router's process, unlike that of any other there ever was, and what it has seen. Raises EvidenceLost."""
    start, samples = admin.counters(STATISTICS)
    with admin.understood():
        return f"{admin.address} {start}", seen_in(samples)


def _entries(content: bytes) -> list[Document]:
    entries = msgspec.json.decode(content)["resources"] if content else []
    return [{key: value for key, value in entry.items() if key != "@type"} for entry in entries]


def _numbered(routes: Document, number: int) -> Document:
    metadata = routes["metadata"]["filter_metadata"] | {CHANGE_METADATA: {"number": number}}
    return routes | {"metadata": {"filter_metadata": metadata}}
