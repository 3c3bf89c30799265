"""What the tests of the charts share: rendering one as Helm does, and finding what was rendered."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "helm"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Helm:
    """Helm, as a person types it."""

    program: str

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command; when it fails, the test fails with Helm's own words."""
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False, timeout=110)
        assert not check or done.returncode == 0, done.stderr
        return done

    def render(
        self, chart: str | Path, *arguments: str, release: str = "fraud", namespace: str = "live"
    ) -> list[Object]:
        """The objects that a release would install, without the pods of `helm test`."""
        return objects(
            self.run(
                "template", release, str(CHARTS / chart), "--namespace", namespace, "--skip-tests", *arguments
            ).stdout
        )

    def refusal(self, chart: str, *arguments: str) -> str:
        """What Helm says when it refuses these values; that it refuses them is part of the test."""
        done = self.run("template", "fraud", str(CHARTS / chart), *arguments, check=False)
        assert done.returncode != 0, "Helm took these values"
        return done.stderr


def objects(text: str) -> list[Object]:
    """The objects of a stream of YAML documents."""
    return [document for document in yaml.safe_load_all(text) if document]


def find(rendered: list[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    (found,) = [one for one in rendered if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def names(rendered: list[Object]) -> set[tuple[str, str]]:
    """Kind and name of every object."""
    return {(one["kind"], one["metadata"]["name"]) for one in rendered}


def pod_specs(rendered: list[Object]) -> dict[str, Object]:
    """The pods that these objects are or make, by name."""
    return {
        one["metadata"]["name"]: one["spec"] if one["kind"] == "Pod" else one["spec"]["template"]["spec"]
        for one in rendered
        if one["kind"] in ("Pod", "Deployment")
    }


MODEL = ("--set", "image=fraud:v1")
"""The fewest values that make a model."""

ALL_OF_THE_MODEL = (
    *MODEL,
    "--set",
    "networkPolicy.enabled=true,podMonitor.enabled=true,networkPolicy.controllerNamespace=canario",
    "--set",
    "retraining.enabled=true,feedbackSecret=labels,archivesClaim=archives",
    "--set",
    "stream.enabled=true,stream.brokerSecret=broker,stream.autoscaling.maxReplicas=5",
    "--set-json",
    'networkPolicy.clients=[{"podSelector":{"matchLabels":{"app":"shop"}}}]',
)
ALL_OF_THE_CONTROLLER = (
    "--set",
    "replicas=2,networkPolicy.enabled=true,serviceMonitor.enabled=true,retraining.enabled=true,feedback.secret=labels",
    "--set",
    "namespaces={team-a,team-b}",
)
"""Every optional object."""
