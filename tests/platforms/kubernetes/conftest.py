"""Small clusters in the states in which the tests of this room find them."""

from __future__ import annotations

import pytest

from canario.model.rollout import Phase
from tests.platforms.kubernetes.small_cluster import SmallCluster, in_phase, is_quiet


@pytest.fixture
def at_rest() -> SmallCluster:
    """v1 answers, by the first spec."""
    cluster = SmallCluster()
    cluster.until(is_quiet)
    return cluster


@pytest.fixture
def on_trial(at_rest: SmallCluster) -> SmallCluster:
    """A canary of v2 has been asked for by the spec, and deals."""
    at_rest.edit("v2")
    at_rest.until(in_phase(Phase.STEPPING))
    return at_rest


@pytest.fixture
def watched(at_rest: SmallCluster) -> SmallCluster:
    """v2 answers everybody and is watched."""
    at_rest.edit("v2")
    at_rest.until(in_phase(Phase.WATCHING))
    return at_rest


@pytest.fixture
def promoted(on_trial: SmallCluster) -> SmallCluster:
    """v2 has taken over from v1."""
    on_trial.until(is_quiet)
    assert on_trial.deployment.stable == "v2"
    return on_trial
