"""Versions by archive on a real cluster: rolled out without an image of their own, brought back, and refused when they are not whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from canario.model.rollout import Phase
from tests.e2e.kubernetes.archives import CLAIM, Archives
from tests.e2e.kubernetes.kube import Kube
from tests.e2e.kubernetes.model import Model
from tests.e2e.kubernetes.plans import canary
from tests.e2e.kubernetes.test_canary import canario

IMAGE = "localhost/fraud:v1"
"""What serves every archive here: it has canario and the libraries, and a version of its own that nobody asks for."""


@pytest.fixture(scope="module")
def archives(kube: Kube, models_namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archives]:
    """The volume of the models' namespace."""
    volume = Archives(kube, models_namespace, tmp_path_factory.mktemp("archives") / "volume")
    volume.make()
    yield volume
    volume.remove()


def test_an_archive_is_rolled_out_and_brought_back(at_rest: Model, archives: Archives) -> None:
    """The spec names an archive, a person another one; each is judged as an image is, and a kept one comes back by its name alone."""
    model, earlier = at_rest, at_rest.stable
    first = archives.train("a1", "2026-08-31")
    second = archives.train("a2", "2026-09-30")
    with model.traffic() as clients:
        model.upgrade("a1", canary(), image=IMAGE, archive=first, archivesClaim=CLAIM)
        assert_promoted(model, "a1")
        told = {each["name"]: each for each in model.status()["versions"]}
        assert (told["a1"]["archive"], told["a1"]["image"]) == (first, IMAGE)
        model.remember()
        canario(model, "rollout", model.name, "--archive", second)
        assert_promoted(model, "a2")
        model.remember()
        canario(model, "rollback", model.name, "a1")
        assert_promoted(model, "a1")
    assert {"a1", "a2"} <= set(clients.tally.by_version)
    assert model.killer.pods(component="server", version="a1")
    model.settle(earlier)


def test_a_broken_archive_is_refused_with_the_reason(at_rest: Model, archives: Archives) -> None:
    """A file that is cut off never answers anybody: the rollout ends, and says what is wrong with the file."""
    model, stable = at_rest, at_rest.stable
    file = archives.folder / "fraud" / "fraud-broken.canario"
    archives.train("whole", "2026-08-31")
    whole: Path = archives.folder / "fraud" / "fraud-whole.canario"
    file.write_bytes(whole.read_bytes()[:-1000])
    file.chmod(0o644)
    place = "fraud/fraud-broken.canario"
    model.upgrade(stable, canary())
    model.wait_observed()
    assert "archivesClaim" in model.answer_to(model.wish("start", version="broken", archive=place))
    model.upgrade(stable, canary(), archivesClaim=CLAIM)
    model.wait_observed()
    with model.traffic() as clients:
        assert model.answer_to(model.wish("start", version="broken", archive=place)) == ""
        end = model.the_end("broken", 150)
    assert end["phase"] == Phase.ROLLED_BACK
    assert "fraud-broken.canario is not a version's archive" in end["reason"]
    assert set(clients.tally.by_version) == {stable}


def assert_promoted(model: Model, version: str) -> None:
    """The version's rollout ends well, or its reason is told."""
    end = model.the_end(version)
    assert end["phase"] == Phase.PROMOTED, end["reason"]
