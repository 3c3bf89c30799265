"""A version by its archive: begun by the spec or by hand, served by the image at hand, never changed, and brought back as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canario.model.deployment import ServedVersion
from canario.model.rollout import Gate, GateKind
from canario.platforms.kubernetes.wishes import Wish, WishKind
from tests.platforms.kubernetes.small_cluster import PLAN, SmallCluster, is_quiet

DIGEST = "sha256:" + "ab" * 32
ARCHIVE = f"fraud/fraud-v2.canario#{DIGEST}"
START = Wish(id="retrain", kind=WishKind.START, version="v2", archive=ARCHIVE)


@pytest.fixture
def at_rest() -> SmallCluster:
    return SmallCluster()


def test_an_archive_in_the_spec_is_tried_and_promoted(at_rest: SmallCluster) -> None:
    """The version in the archive's name is news as an image's tag is; the image in the spec serves it."""
    at_rest.archives["v2"], at_rest.images["v2"] = ARCHIVE, "fraud:v1"
    at_rest.edit("v2")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    expected = ServedVersion(version="v2", image="fraud:v1", archive=ARCHIVE, digest=DIGEST, archives_claim="archives")
    assert at_rest.deployment.served["v2"] == expected


def test_a_wish_with_an_archive_needs_no_image(at_rest: SmallCluster) -> None:
    """A retrained version is begun with nothing but its archive: the image that serves now has all that it needs."""
    at_rest.wish = START
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    served = at_rest.deployment.served["v2"]
    assert (served.image, served.archive, served.digest) == ("fraud:v1", ARCHIVE, DIGEST)
    assert at_rest.record.answered == {"retrain": ""}


def test_a_kept_archive_comes_back_as_it_was(at_rest: SmallCluster) -> None:
    """Whoever goes back to a version by archive names the version alone."""
    at_rest.wish = START
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    at_rest.wish = Wish(id="back", kind=WishKind.START, version="v1")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v1" and is_quiet(cluster))
    at_rest.wish = Wish(id="again", kind=WishKind.START, version="v2")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    assert at_rest.deployment.served["v2"].archive == ARCHIVE


def test_a_claim_that_is_named_no_more_is_kept_by_what_lies_there(at_rest: SmallCluster) -> None:
    """Somebody leaves the claim out of the values: what answers from it goes on, and can be brought back."""
    at_rest.wish = START
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    at_rest.archives_claim = ""
    at_rest.wish = Wish(id="back", kind=WishKind.START, version="v1")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v1" and is_quiet(cluster))
    at_rest.wish = Wish(id="again", kind=WishKind.START, version="v2")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    assert at_rest.deployment.served["v2"].archives_claim == "archives"


@pytest.mark.parametrize(
    "change",
    [
        {"archive": "fraud/fraud-v2.canario"},
        {"archive": "elsewhere/fraud-v2.canario"},
        {"archive": "", "image": "fraud:v2"},
        {"image": "fraud:other"},
    ],
)
def test_a_version_never_changes_its_archive(at_rest: SmallCluster, change: dict[str, str]) -> None:
    """Another place, another digest or another image under the same name is refused, and says what the version is."""
    at_rest.wish = START
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")
    at_rest.wish = Wish(id="back", kind=WishKind.START, version="v1")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v1" and is_quiet(cluster))
    at_rest.wish = replace(START, id="changed", **change)  # type: ignore[arg-type]  # all are words
    at_rest.turn()
    answer = at_rest.record.answered["changed"]
    assert "a version never changes" in answer
    assert ARCHIVE in answer


def test_a_file_needs_a_volume(at_rest: SmallCluster) -> None:
    """Without a claim nobody could read it: the wish is refused before a server starts; an address needs none."""
    at_rest.archives_claim = ""
    at_rest.wish = START
    at_rest.turn()
    assert "archivesClaim" in at_rest.record.answered["retrain"]
    at_rest.wish = replace(START, id="address", archive="https://archives.example/fraud-v2.canario")
    at_rest.until(lambda cluster: cluster.deployment.stable == "v2")


def test_a_plan_by_hand_waits_for_labels_only_where_they_come(at_rest: SmallCluster) -> None:
    """The database is the resource's affair, so a wish's plan is looked at beside it."""
    plan = replace(PLAN, gates=(*PLAN.gates, Gate(kind=GateKind.WRONG_LABELS)))
    at_rest.wish = replace(START, plan=plan)
    at_rest.turn()
    assert "no database keeps the labels" in at_rest.record.answered["retrain"]
    assert "feedbackSecret" in at_rest.record.answered["retrain"]
    at_rest.has_labels = True
    at_rest.wish = replace(START, id="again", plan=plan)
    at_rest.turn()
    assert at_rest.record.answered["again"] == ""
    assert at_rest.starts[-1].plan == plan
