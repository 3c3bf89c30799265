"""A plan as the files that Envoy reads: pure text, the same for both platforms; writing them is for the folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from canario.model.split import RouterPlan
from canario.router.bootstrap import SLOW_KEY, bootstrap, slow_milliseconds
from canario.router.clusters import ClusterName, Document, cluster, cluster_names, found_by_name, load_assignment
from canario.router.routes import ROUTES_NAME, route_configuration

BOOTSTRAP_FILE = "bootstrap.json"
ROUTES_FILE = "routes.json"
CLUSTERS_FILE = "clusters.json"
RUNTIME_FILE = "runtime.json"

_TYPE = "type.googleapis.com/envoy"
_RUNTIME_NAME = "canario"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The files of a plan, by the way in which a change of them takes effect."""

    bootstrap: bytes
    """Read at start only."""
    runtime: Document
    """Taken up at once."""
    routes: Document
    """Taken up at once."""
    clusters: dict[str, Document]
    """By name; a new one is warmed up before it takes requests."""
    endpoints: dict[str, Document]
    """By cluster name; taken up at once. Empty when DNS knows them."""


def configuration(plan: RouterPlan, folder: Path) -> Configuration:
    """The files of a plan; `folder` is where Envoy will find them."""
    names = cluster_names(plan)
    if plan.finds_by_name:
        clusters = {str(name): cluster(name) | found_by_name(name, plan) for name in names}
        endpoints = {}
    else:
        clusters = {str(name): cluster(name) | _found_in_file(str(name), folder) for name in names}
        endpoints = {str(name): load_assignment(name, plan) for name in names}
    layer = {
        "name": _RUNTIME_NAME,
        "rtds_layer": {"name": _RUNTIME_NAME, "rtds_config": _source(folder / RUNTIME_FILE)},
    }
    routes = {"rds": {"route_config_name": ROUTES_NAME, "config_source": _source(folder / ROUTES_FILE)}}
    sources = {
        "dynamic_resources": {"cds_config": _source(folder / CLUSTERS_FILE)},
        "layered_runtime": {"layers": [layer]},
    }
    return Configuration(
        bootstrap=msgspec.json.format(msgspec.json.encode(bootstrap(plan, routes, sources))),
        runtime={"name": _RUNTIME_NAME, "layer": {SLOW_KEY: slow_milliseconds(plan)}},
        routes=route_configuration(plan),
        clusters=clusters,
        endpoints=endpoints,
    )


def standalone(plan: RouterPlan) -> Document:
    """The same configuration in one document without files, for Envoy to check as a whole."""
    names = cluster_names(plan)
    document = bootstrap(plan, {"route_config": route_configuration(plan)}, {})
    document["static_resources"]["clusters"] = [
        *document["static_resources"]["clusters"],
        *(cluster(name) | (found_by_name(name, plan) if plan.finds_by_name else _fixed(name, plan)) for name in names),
    ]
    return document


def endpoints_file(cluster_name: str) -> str:
    """The file of a cluster's endpoints: `endpoints.v2.rest.trial.json`."""
    return f"endpoints.{cluster_name.replace('/', '.')}.json"


def resources(kind: str, documents: list[Document]) -> bytes:
    """What Envoy reads from one file: resources of one kind under a version made from their content."""
    entries = [{"@type": f"{_TYPE}.{kind}", **document} for document in documents]
    version = version_of(documents)
    return msgspec.json.format(msgspec.json.encode({"version_info": version, "resources": entries}))


def version_of(documents: list[Document]) -> str:
    """A short name of some content: equal content, equal name."""
    return hashlib.sha256(msgspec.json.encode(documents)).hexdigest()[:16]


def _found_in_file(cluster_name: str, folder: Path) -> Document:
    return {"type": "EDS", "eds_cluster_config": {"eds_config": _source(folder / endpoints_file(cluster_name))}}


def _fixed(name: ClusterName, plan: RouterPlan) -> Document:
    return {"type": "STATIC", "load_assignment": load_assignment(name, plan)}


def _source(path: Path) -> Document:
    watched = {"path": str(path), "watched_directory": {"path": str(path.parent)}}
    return {"resource_api_version": "V3", "path_config_source": watched}
