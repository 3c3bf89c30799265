"""A chart can be upgraded: what Kubernetes never lets change stays the same from one version of a chart to the next."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helm.charts import ALL_OF_THE_CONTROLLER, ALL_OF_THE_MODEL, CHARTS, Helm, Object

RELEASES = {"canario": ALL_OF_THE_CONTROLLER, "model": ALL_OF_THE_MODEL}
NEXT = "0.2.0"


def later(chart: str, folder: Path) -> Path:
    """The same chart as its next version would be published."""
    copied = shutil.copytree(CHARTS / chart, folder / chart)
    about = copied / "Chart.yaml"
    about.write_text(about.read_text().replace("0.1.0", NEXT))
    return copied


def fixed(rendered: list[Object]) -> dict[tuple[str, str], Any]:
    """What cannot be changed in an object that is there, by kind and name."""
    immutable: dict[str, Any] = {
        "Deployment": lambda one: one["spec"]["selector"],
        "Service": lambda one: (one["spec"].get("clusterIP"), one["spec"]["selector"]),
        "RoleBinding": lambda one: one["roleRef"],
        "PodDisruptionBudget": lambda one: one["spec"]["selector"],
        "CustomResourceDefinition": lambda one: (one["spec"]["scope"], one["spec"]["names"]),
    }
    return {(one["kind"], one["metadata"]["name"]): immutable.get(one["kind"], lambda _: None)(one) for one in rendered}


@pytest.mark.parametrize("chart", RELEASES)
def test_an_upgrade_touches_nothing_immutable(helm: Helm, chart: str, tmp_path: Path) -> None:
    """`helm upgrade` to the next chart is never refused by the API server, and renames nothing."""
    before = helm.render(chart, *RELEASES[chart])
    after = helm.render(later(chart, tmp_path), *RELEASES[chart])
    assert before != after
    assert fixed(after) == fixed(before)


@pytest.mark.parametrize("chart", RELEASES)
def test_no_selector_holds_a_version(helm: Helm, chart: str, tmp_path: Path) -> None:
    """Nothing that selects pods mentions a chart or a release of canario."""
    after = fixed(helm.render(later(chart, tmp_path), *RELEASES[chart]))
    assert NEXT not in str(after)


def test_a_new_chart_with_the_old_image_restarts_no_router(helm: Helm, tmp_path: Path) -> None:
    """Pods change when what they run changes, and not because a chart was published."""
    pinned = (*ALL_OF_THE_MODEL, "--set", "router.image=canario:1")
    templates = [
        next(one["spec"]["template"] for one in helm.render(chart, *pinned) if one["kind"] == "Deployment")
        for chart in ("model", later("model", tmp_path))
    ]
    assert templates[0] == templates[1]
