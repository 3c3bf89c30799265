"""One model on the cluster in the words of a scenario: install, upgrade, wait for, ask, look into; what must be true is said by tests."""

from __future__ import annotations

import json
import socket
import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, cast

import msgspec

from canario.adapters.kubernetes_api import CONFIG_MAPS, MODEL_DEPLOYMENTS, SERVICES, Object
from canario.model.journal import JournalEntry
from canario.model.rollout import Phase
from canario.platforms.kubernetes.naming import router_object
from canario.platforms.kubernetes.state import journal_lines
from canario.platforms.kubernetes.wishes import REQUEST_ANNOTATION
from canario.rollout.replay import replay
from canario.router.routes import SPLIT_METADATA
from demo.traffic import Traffic
from tests.e2e.kubernetes.kills import Killer
from tests.e2e.kubernetes.kube import Kube, until
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.steady import MODEL, Ledger, steady

CHART = "helm/model"
SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}}
"""What a test asks of its node: it has two cores, and other things to do."""
STEADY_RATE = 100.0
"""Requests a second where the rate is not the point."""


@dataclass
class Model:
    """The release `fraud` of the chart helm/model, in one namespace."""

    kube: Kube
    namespace: str
    ledger: Ledger
    router_image: str
    name: str = MODEL
    _end_before: str = ""
    """The rollout that had ended last when something was asked for."""
    _names: count[int] = field(default_factory=lambda: count(1))

    def fresh(self, image: str) -> str:
        """A version's name that this model has never had: one that was stable before would be put back without a trial."""
        return f"{image}-{next(self._names)}"

    def install(self, version: str, strategy: Object | None = None, **values: Any) -> None:
        """`helm install` with a version, and wait until it answers."""
        self.upgrade(version, strategy, **values)
        self.wait_ready()

    def upgrade(self, version: str, strategy: Object | None = None, **values: Any) -> None:
        """`helm upgrade --install` with another version, or another plan; what follows is the controller's affair.

        A version such as `v2-7` is the image `v2` under a name of its own.
        """
        given: Object = {
            "image": f"localhost/fraud:{version.partition('-')[0]}",
            "version": version,
            "resources": SMALL,
            "router": {"image": self.router_image, "resources": SMALL},
            "test": {"resources": SMALL},
            "objectives": {"latencyMilliseconds": 1000},
            **(strategy or {}),
            **values,
        }
        self.remember()
        self.kube.helm("upgrade", "--install", self.name, CHART, f"--namespace={self.namespace}", values=given)

    @property
    def stable(self) -> str:
        """The version that answers by default."""
        return str(self.status().get("stable", ""))

    def rest(self) -> None:
        """Have nothing under way."""
        if self.status().get("rollout"):
            self.wish("abort", reason="the next scenario begins")
        until(lambda: not self.status().get("rollout"), "the rollout to end", 60, self.told)
        self.wait_ready()

    def settle(self, version: str) -> None:
        """Have a version answer with nothing under way, by asking for it in the spec."""

        def is_settled() -> bool:
            resource = self.resource()
            status = resource.get("status") or {}
            seen = status.get("observedGeneration") == resource["metadata"]["generation"]
            accepted = self.condition("Accepted").get("status") == "True"
            return seen and accepted and status.get("stable") == version and not status.get("rollout")

        self.rest()
        if self.resource().get("spec", {}).get("version") != version or not is_settled():
            with self.traffic():  # a version that was never stable, or not for long, needs a trial first
                self.upgrade(version, canary())
                until(is_settled, f"{version} to answer alone", 120, self.told)
        self.wait_ready()

    def uninstall(self) -> None:
        """`helm uninstall`, and wait until every pod is gone."""
        self.kube.helm("uninstall", self.name, f"--namespace={self.namespace}", "--ignore-not-found", "--wait")
        until(lambda: not self._leftovers(), "the model's pods to go", 90)

    def resource(self) -> Object:
        """The ModelDeployment."""
        return self.kube.get(MODEL_DEPLOYMENTS, self.name, self.namespace) or {}

    def status(self) -> Object:
        """Its status, empty before the first."""
        return cast("Object", self.resource().get("status") or {})

    def condition(self, kind: str) -> Object:
        """One of its conditions."""
        return next((dict(each) for each in self.status().get("conditions") or [] if each["type"] == kind), {})

    def wait_ready(self, seconds: float = 90) -> None:
        """Until the model answers, with all its routers."""
        until(lambda: self.condition("Ready").get("status") == "True", "the model to answer", seconds, self.told)
        until(lambda: len(self.killer.pods(model=self.name, component="router")) >= 2, "two routers", seconds)
        until(lambda: len(self.killer.pods(model=self.name, component="server", version=self.stable)) >= 1, "a server")
        # Ready is said by pods. The node's own table of a new Service's pods may be seconds behind, and refuses until then.
        until(lambda: _takes_connections(self.target), "the Service to lead to them", seconds)

    def wait_for(self, phase: Phase | str, seconds: float = 60, *, weight: float | None = None) -> Object:
        """Until the rollout is in a phase (and at a weight); the status then."""
        word = phase.value if isinstance(phase, Phase) else phase

        def stands() -> Object | None:
            status = self.status()
            is_there = status.get("phase") == word and weight in (None, status.get("weightPercent"))
            return status if is_there else None

        return cast("Object", until(stands, f"{word} {weight or ''}", seconds, self.told))

    def wait_observed(self) -> None:
        """Until the controller has looked at the present spec."""

        def is_observed() -> bool:
            resource = self.resource()
            return bool((resource.get("status") or {}).get("observedGeneration") == resource["metadata"]["generation"])

        until(is_observed, "the controller to look at the spec", 30, self.told)

    def the_end(self, candidate: str, seconds: float = 90) -> Object:
        """How the rollout of a version that was begun by the last upgrade or wish has ended, once it has."""

        def ended() -> Object | None:
            status = self.status()
            history = status.get("history") or []
            is_over = not status.get("rollout") and self._last_end(status) != self._end_before
            return cast("Object", history[-1]) if is_over and history[-1]["candidate"] == candidate else None

        return cast("Object", until(ended, f"the end of {candidate}", seconds, self.told))

    def remember(self) -> None:
        """From here on another rollout's end is waited for than the last one's."""
        self._end_before = self._last_end(self.status())

    def _last_end(self, status: Object) -> str:
        history = status.get("history") or [{}]
        return str(history[-1].get("rollout", ""))

    def wish(self, kind: str, **words: Any) -> str:
        """A person's wish, as `canario promote` and its like write it; the wish's id."""
        self.remember()
        identity = uuid.uuid4().hex[:8]
        wish = {"id": identity, "kind": kind, "actor": "e2e", **words}
        self.kubectl("annotate", "--overwrite", f"mdep/{self.name}", f"{REQUEST_ANNOTATION}={json.dumps(wish)}")
        return identity

    def answer_to(self, wish: str, seconds: float = 30) -> str:
        """What became of a wish; empty: it was granted."""

        def answer() -> Object | None:
            last = self.status().get("lastRequest") or {}
            return last if last.get("id") == wish else None

        return str(until(answer, f"an answer to {wish}", seconds, self.told)["answer"])

    def kubectl(self, *arguments: str, text: str = "") -> str:
        """What kubectl prints of the model's namespace."""
        return self.kube.kubectl(*arguments, f"--namespace={self.namespace}", text=text)

    @property
    def target(self) -> str:
        """Where clients send: the Service's own address, which the node maps to routers."""
        service = self.kube.api.get(SERVICES, self.name, self.namespace)
        assert service is not None
        return f"{service['spec']['clusterIP']}:8080"

    @property
    def killer(self) -> Killer:
        """What ends this model's pods."""
        return Killer(self.kube, self.namespace, self.ledger)

    def traffic(self, rate: float = STEADY_RATE, *, sends_again: bool = False) -> AbstractContextManager[Traffic]:
        """Steady traffic; any failed request fails the test."""
        return steady(self.target, self.ledger, rate, sends_again=sends_again)

    def split_written(self) -> Object:
        """The split as it is written for the routers, empty before the first."""
        found = self.kube.get(CONFIG_MAPS, router_object(self.name), self.namespace) or {"data": {}}
        routes = json.loads(found["data"].get("routes.json", "{}")).get("resources") or [{}]
        return dict(routes[0].get("metadata", {}).get("filter_metadata", {}).get(SPLIT_METADATA, {}))

    def journal(self) -> list[JournalEntry]:
        """Every decision that was written down."""
        lines = journal_lines(self.kube.api, self.namespace, self.name)
        return [msgspec.json.decode(line, type=JournalEntry) for line in lines]

    def assert_whole_journal(self) -> list[JournalEntry]:
        """No gap, nothing twice, each rollout concluded once, and every decision comes out the same again."""
        entries = self.journal()
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert replay(entries) == ()
        for former, latter in pairwise(entries):
            if former.after.rollout == latter.state.rollout:
                assert latter.state.phase is former.after.phase, f"{latter.number} does not follow {former.number}"
                assert latter.state.step_index == former.after.step_index
        ends = [entry.after.rollout for entry in entries if entry.after.phase.has_ended]
        assert len(ends) == len(set(ends)), f"ended twice: {ends}"
        return entries

    def told(self) -> str:
        """How things stand, for the words of a failure."""
        status = self.status()
        accepted = self.condition("Accepted")
        return json.dumps({"status": {**status, "history": (status.get("history") or [])[-1:]}, "accepted": accepted})[
            :2500
        ]

    def _leftovers(self) -> str:
        return self.kubectl("get", "pods", f"--selector=canario.dev/model={self.name}", "--output=name")


def _takes_connections(target: str) -> bool:
    host, _, port = target.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True
