"""Every version has objects of a name of its own that a cluster takes, and none that the model needs for something else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.model.resource import VERSION_PATTERN
from canario.platforms.kubernetes.naming import (
    LONGEST_NAME,
    ROUTER,
    SERVER,
    is_component,
    journal_object,
    labels,
    router_object,
    selector,
    state_object,
    version_object,
)
from canario.platforms.kubernetes.resource import LONGEST_NAME as LONGEST_MODEL

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
models = st.from_regex(rf"[a-z]([-a-z0-9]{{0,{LONGEST_MODEL - 2}}}[a-z0-9])?", fullmatch=True)
versions = st.from_regex(VERSION_PATTERN[1:-1], fullmatch=True) | st.sampled_from(
    ["router", "state", "journal", "servers", "2026.11", "1", "v2-", "a_b", "a-b", "a.b", "x" * 63, "0" * 63]
).filter(lambda version: re.fullmatch(VERSION_PATTERN, version) is not None)


@given(model=models, version=versions)
def test_a_version_s_name_is_one_that_services_may_have(model: str, version: str) -> None:
    """A DNS-1035 label of at most 63 characters, whatever the tag looks like."""
    name = version_object(model, version)
    assert DNS_1035.fullmatch(name)
    assert name.startswith(f"{model}-")
    assert len(name) <= LONGEST_NAME


@given(model=models, some=st.lists(versions, unique=True, max_size=8))
def test_two_versions_never_share_a_name(model: str, some: list[str]) -> None:
    """Also where dots, underscores or length would make them look alike."""
    assert len({version_object(model, version) for version in some}) == len(some)


@pytest.mark.parametrize(
    "alike",
    [("a.b", "a_b", "a-b"), ("x" * 62 + "1", "x" * 62 + "2"), ("1.0", "1-0", "1_0", "1.-0".replace(".-", "--"))],
)
def test_versions_that_look_alike_have_names_of_their_own(alike: tuple[str, ...]) -> None:
    """What a label cannot say is told apart by a few letters of a hash."""
    assert len({version_object("fraud", version) for version in alike}) == len(alike)


@given(model=models, version=versions, number=st.integers(0, 10**10 - 1))
def test_a_version_never_takes_the_name_of_something_else(model: str, version: str, number: int) -> None:
    """Not the model's Service, nor the router's, the state's, the journal's or the disruption budgets' objects."""
    name = version_object(model, version)
    taken = {model, router_object(model), state_object(model), f"{model}-servers", f"{model}-journal"}
    assert name not in taken | {journal_object(model, number)}


@given(model=models, version=versions)
def test_a_name_is_the_same_for_ever(model: str, version: str) -> None:
    """Any controller on any machine finds the same objects."""
    assert version_object(model, version) == version_object(model, version)


@pytest.mark.parametrize("version", ["v2", "2026-11", "a-b", "1"])
def test_a_plain_version_has_a_plain_name(version: str) -> None:
    """What people type is what they know from `kubectl get`."""
    assert version_object("fraud", version) == f"fraud-{version}"


@pytest.mark.parametrize("version", ["router", "state", "journal", "servers", "worker", "1.0", "a_b", "x" * 63])
def test_any_other_version_has_letters_of_a_hash_after_what_can_be_read(version: str) -> None:
    """A version that is no label, is too long or is reserved is still recognised by its beginning."""
    name = version_object("fraud", version)
    assert re.fullmatch(r"fraud-[a-z0-9-]+-[0-9a-f]{8}", name)
    assert name.startswith(f"fraud-{version[0]}")


@given(model=models, version=versions)
def test_labels_are_ones_that_a_cluster_takes(model: str, version: str) -> None:
    """Every value is a valid one, and the selector's are among them."""
    found = labels(model, SERVER, version)
    assert all(LABEL_VALUE.fullmatch(value) for value in found.values())
    assert selector(model, SERVER, version).items() <= found.items()
    assert all(key.startswith("canario.dev/") for key in selector(model, SERVER, version))


@given(model=models, version=versions)
def test_a_selector_finds_its_own_version_only(model: str, version: str) -> None:
    """The routers are no servers, and no other version's pods are."""
    chosen = selector(model, SERVER, version)
    assert not chosen.items() <= labels(model, ROUTER).items()
    assert not chosen.items() <= labels(model, SERVER, f"{version}x").items()


@given(model=models, numbers=st.lists(st.integers(1, 10**10 - 1), min_size=2, unique=True))
def test_sealed_parts_sort_by_their_first_number(model: str, numbers: list[int]) -> None:
    """The order of the names is the order of the decisions."""
    names = [journal_object(model, number) for number in sorted(numbers)]
    assert names == sorted(names)


def test_a_server_without_a_version_is_nobody_s() -> None:
    """A label that somebody put on another pod by mistake changes nothing."""
    assert not is_component({"metadata": {"labels": selector("fraud", SERVER)}}, SERVER)
    assert is_component({"metadata": {"labels": selector("fraud", SERVER, "v1")}}, SERVER)
    assert not is_component({"metadata": {}}, SERVER)
