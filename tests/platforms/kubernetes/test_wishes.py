"""A wish in the annotation `canario.dev/request` is read whole, or refused with its place and a way out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canario.errors import UsageError
from canario.model.rollout import RolloutSpec
from canario.platforms.kubernetes.wishes import Wish, WishKind, parse_wish, write_wish
from canario.rollout.plan import canary
from tests.platforms.kubernetes.plans import plans

START = '{"id": "1", "kind": "start", "version": "v1", "plan": '
REFUSED = {
    "nothing": ("", ""),
    "no JSON": ("promote", ""),
    "YAML": ("id: 1\nkind: promote", ""),
    "a list": ("[]", ""),
    "no id": ('{"kind": "promote"}', "id"),
    "an empty id": ('{"id": "", "kind": "promote"}', "id"),
    "no kind": ('{"id": "1"}', "kind"),
    "a kind that nobody knows": ('{"id": "1", "kind": "hurry"}', "kind"),
    "a word in place of a switch": ('{"id": "1", "kind": "promote", "whole": "yes"}', "whole"),
    "a field that nobody knows": ('{"id": "1", "kind": "promote", "force": true}', "force"),
    "a whole pause": ('{"id": "1", "kind": "pause", "whole": true}', "whole"),
    "an abort of a version": ('{"id": "1", "kind": "abort", "version": "v1"}', "version"),
    "a promotion of an image": ('{"id": "1", "kind": "promote", "image": "fraud:v1"}', "image"),
    "a start of nothing": ('{"id": "1", "kind": "start"}', "version"),
    "a start of a version that is no label": ('{"id": "1", "kind": "start", "version": "V 1"}', "version"),
    "a start with half a plan": (START + '{"steps": []}}', "plan.gates"),
    "a start with a plan that falls": (
        START + '{"gates": [{"kind": "errors"}], "steps": [{"weight_percent": 50}, {"weight_percent": 10}]}}',
        "plan.steps[1].weight_percent",
    ),
    "a pause of an archive": ('{"id": "1", "kind": "pause", "archive": "fraud-v1.canario"}', "archive"),
    "a start of an archive outside of its volume": (
        '{"id": "1", "kind": "start", "version": "v1", "archive": "../fraud-v1.canario"}',
        "archive",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Each of these is refused before anything happens, naming the field inside the annotation."""
    text, field = REFUSED[name]
    with pytest.raises(UsageError) as refusal:
        parse_wish(text)
    assert refusal.value.at.startswith("canario.dev/request")
    assert refusal.value.at.endswith(field)
    assert refusal.value.message
    assert refusal.value.hint


@pytest.mark.parametrize("kind", ["promote", "pause", "resume", "abort"])
def test_a_command_needs_an_id_and_a_kind(kind: str) -> None:
    """What somebody can type by hand with `kubectl annotate` is enough."""
    assert parse_wish(f'{{"id": "1", "kind": "{kind}"}}') == Wish(id="1", kind=WishKind(kind))


def test_a_rollback_is_a_start_of_a_kept_version() -> None:
    """A version that was served before needs no image, and the plan is the resource's own."""
    wish = parse_wish('{"id": "1", "kind": "start", "version": "v1", "actor": "ana", "reason": "wrong prices"}')
    assert (wish.version, wish.image, wish.plan, wish.actor, wish.reason) == ("v1", "", None, "ana", "wrong prices")


@given(plan=st.none() | plans(), reason=st.text(max_size=20), image=st.sampled_from(("", "fraud:v1")))
def test_a_wish_comes_back_as_it_was_written(plan: RolloutSpec | None, reason: str, image: str) -> None:
    """What the command line writes is what the controller reads, whatever somebody gives as a reason."""
    wish = Wish(id="7f3a", kind=WishKind.START, version="v1", image=image, plan=plan, reason=reason, actor="ana")
    assert parse_wish(write_wish(wish)) == wish


def test_a_plan_is_written_as_in_a_document() -> None:
    """The plan inside a wish has the field names of rollout.yaml, so that one document serves both platforms."""
    wish = Wish(id="1", kind=WishKind.START, version="v1", plan=canary())
    written: dict[str, Any] = msgspec.json.decode(write_wish(wish))
    assert written["plan"]["steps"][0]["weight_percent"] == 10
