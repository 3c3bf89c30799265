"""The API server, spoken to in plain JSON through the official client; what is asked of it is for the Kubernetes platform."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import urllib3
from kubernetes import config as _config
from kubernetes.client import ApiClient, Configuration
from kubernetes.config.config_exception import ConfigException

from canario.errors import CanarioError, ClusterRefused, Conflict, NotFound, Unavailable, UsageError

config: Any = _config
"""The client ships types for its requests, and none for its configuration."""

Object = dict[str, Any]
"""An object of the API, as JSON has it."""

_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_IN_A_POD = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, as the API's paths name it."""

    api_version: str
    kind: str
    plural: str

    @property
    def root(self) -> str:
        return f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"


MODEL_DEPLOYMENTS = Resource("canario.dev/v1alpha1", "ModelDeployment", "modeldeployments")
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
SERVICES = Resource("v1", "Service", "services")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
PODS = Resource("v1", "Pod", "pods")
AUTOSCALERS = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
SCALED_OBJECTS = Resource("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
CRON_JOBS = Resource("batch/v1", "CronJob", "cronjobs")
JOBS = Resource("batch/v1", "Job", "jobs")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
EVENTS = Resource("events.k8s.io/v1", "Event", "events")


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a watch."""

    kind: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    content: Object


class TooOld(CanarioError):
    """A watch that cannot go on from where it was: list again."""


class KubernetesApi:
    """Requests to one API server. Safe for several threads.

    Every method raises Unavailable when the server is out of reach or overloaded, Conflict when somebody was faster or the
    object is there already, and ClusterRefused, with the server's own words, for everything that trying again does not mend.
    """

    def __init__(self, client: ApiClient, namespace: str, timeout_seconds: float = 10.0) -> None:
        self.namespace = namespace
        """The namespace that is meant when none is named."""
        self._client = client
        self._timeout_seconds = timeout_seconds

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """One object, or None when there is none of that name."""
        try:
            return self._json("GET", self._path(resource, namespace, name))
        except NotFound:
            return None

    def list(self, resource: Resource, namespace: str = "", selector: str = "") -> tuple[list[Object], str]:
        """The objects that a label selector finds, and the moment (resource version) from which a watch may go on."""
        listed = self._json("GET", self._path(resource, namespace), query={"labelSelector": selector})
        return listed.get("items") or [], str(listed["metadata"]["resourceVersion"])

    def create(self, resource: Resource, content: Object, namespace: str = "") -> Object:
        """A new object. Raises Conflict when there is one of that name."""
        return self._json("POST", self._path(resource, namespace), content)

    def replace(self, resource: Resource, content: Object, namespace: str = "") -> Object:
        """Compare and swap: the object takes this content if it is still at the `metadata.resourceVersion` in it."""
        return self._json("PUT", self._path(resource, namespace, content["metadata"]["name"]), content)

    def apply(
        self, resource: Resource, content: Object, *, manager: str, namespace: str = "", part: str = ""
    ) -> Object:
        """Server-side apply: the fields that are named here are ours from now on. `part` may be `status`.

        A `metadata.resourceVersion` in the content makes it a compare and swap.
        """
        named = {"apiVersion": resource.api_version, "kind": resource.kind, **content}
        path = self._path(resource, namespace, content["metadata"]["name"], part)
        return self._json("PATCH", path, named, content_type=_APPLY, query={"fieldManager": manager, "force": "true"})

    def merge(self, resource: Resource, name: str, content: Object, namespace: str = "") -> Object:
        """Change the named fields of an object. Raises NotFound."""
        return self._json("PATCH", self._path(resource, namespace, name), content, content_type=_MERGE)

    def delete(self, resource: Resource, name: str, *, uid: str = "", namespace: str = "") -> None:
        """Remove an object and what belongs to it; one that is gone already, or has another uid, is left in peace."""
        options: Object = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", self._path(resource, namespace, name), options)
        except (NotFound, Conflict):
            return

    def watch(
        self, resource: Resource, version: str, namespace: str = "", selector: str = "", seconds: int = 45
    ) -> Iterator[Change]:
        """What changes after a resource version, for so many seconds. Raises TooOld when that moment is forgotten.

        A connection that has died without a word is noticed a few seconds after that time: hence it is short.
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "labelSelector": selector,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        with self._open("GET", self._path(resource, namespace), query=query, wait_seconds=seconds + 15.0) as response:
            try:
                for line in _lines(response):
                    written = msgspec.json.decode(line)
                    if written["type"] == "ERROR":
                        raise TooOld(str(written["object"].get("message", "the watch has ended")))
                    yield Change(written["type"], written["object"])
            except (urllib3.exceptions.HTTPError, OSError) as lost:
                raise Unavailable(f"the API server broke a watch off: {lost}", at=self._host) from lost

    @property
    def _host(self) -> str:
        return str(self._client.configuration.host)

    def _path(self, resource: Resource, namespace: str, name: str = "", part: str = "") -> str:
        path = f"{resource.root}/namespaces/{quote(namespace or self.namespace)}/{resource.plural}"
        return "/".join([path, *(quote(word) for word in (name, part) if word)])

    def _json(
        self,
        method: str,
        path: str,
        content: Object | None = None,
        *,
        content_type: str = _JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        with self._open(method, path, content, content_type=content_type, query=query) as response:
            try:
                return dict(msgspec.json.decode(response.read()))
            except (urllib3.exceptions.HTTPError, OSError, msgspec.DecodeError) as lost:
                raise Unavailable(f"the API server broke off: {lost}", at=self._host) from lost

    def _open(
        self,
        method: str,
        path: str,
        content: Object | None = None,
        *,
        content_type: str = _JSON,
        query: Mapping[str, str] | None = None,
        wait_seconds: float = 0.0,
    ) -> urllib3.BaseHTTPResponse:
        headers: dict[str, str] = {"Accept": _JSON, "User-Agent": "canario"}
        if content is not None:
            headers["Content-Type"] = content_type
        queries = {key: value for key, value in (query or {}).items() if value}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        pool: urllib3.PoolManager = self._client.rest_client.pool_manager
        try:
            response = pool.request(
                method,
                f"{self._host}{path}" + (f"?{urlencode(queries)}" if queries else ""),
                body=None if content is None else msgspec.json.encode(content),
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timeout_seconds, read=wait_seconds or self._timeout_seconds),
                retries=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as lost:
            raise Unavailable(
                f"the API server cannot be reached: {lost}",
                at=self._host,
                hint="`kubectl cluster-info` shows whether it answers",
            ) from lost
        if response.status >= 400:
            raise _refusal(response.status, bytes(response.read()), path)
        return response


def connect(context: str = "", namespace: str = "") -> KubernetesApi:
    """The API server that this pod belongs to, or else the one that KUBECONFIG (or ~/.kube/config) and `context` name.

    Raises UsageError when there is none.
    """
    configuration = Configuration()
    try:
        if not context:
            try:
                config.load_incluster_config(client_configuration=configuration)
                with open(_IN_A_POD, encoding="utf-8") as file:  # noqa: PTH123 - one line of a mounted file
                    own_namespace = file.read().strip()
                return KubernetesApi(ApiClient(configuration), namespace or own_namespace)
            except ConfigException:
                pass
        kubeconfig = os.environ.get("KUBECONFIG") or "~/.kube/config"
        known, active = config.list_kube_config_contexts(config_file=kubeconfig)
        meant = next((each for each in known if each["name"] == context), None) if context else active
        if meant is None:
            names = ", ".join(each["name"] for each in known) or "none"
            raise UsageError(
                f"this machine knows no cluster as {context}",
                at=kubeconfig,
                hint=f"`kubectl config get-contexts` lists those that it knows: {names}",
            )
        config.load_kube_config(kubeconfig, context=context or None, client_configuration=configuration)
    except (ConfigException, OSError) as missing:
        raise UsageError(
            f"no cluster is configured: {missing}",
            at="KUBECONFIG",
            hint="`kubectl config get-contexts` lists the clusters that this machine knows; --context names one",
        ) from missing
    return KubernetesApi(ApiClient(configuration), namespace or meant.get("context", {}).get("namespace") or "default")


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for piece in response.stream(amt=None, decode_content=True):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line)


def _refusal(status: int, body: bytes, path: str) -> CanarioError:
    """The server's own words as one of our errors."""
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    message = str(told.get("message") or body.decode(errors="replace")[:300] or f"status {status}")
    if status == 404:
        return NotFound(message, at=path)
    if status == 409:
        return Conflict(message, at=path)
    if status == 410:
        return TooOld(message, at=path)
    if status == 429 or status >= 500:
        return Unavailable(message, at=path, hint="try again in a moment")
    return ClusterRefused(message, at=path, hint=_HINTS.get(status, ""))


_HINTS = {
    401: "`kubectl auth whoami` shows whom the cluster takes you for",
    403: "ask for that right: `kubectl auth can-i --list` shows what you may do",
}
