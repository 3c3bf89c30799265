"""A person's wish as it stands in the annotation `canario.dev/request`, checked; granting it is for the controller."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from canario.adapters.documents import parse_json
from canario.errors import PlanError, UsageError
from canario.model.resource import ARCHIVE_PATTERN, VERSION_PATTERN
from canario.model.rollout import RolloutSpec
from canario.rollout.plan import lint

REQUEST_ANNOTATION = "canario.dev/request"
_HINT = 'such as {"id": "7f3a", "kind": "promote"}; `canario promote` writes it'


class WishKind(StrEnum):
    """What a person can ask for."""

    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    START = "start"
    """Begin a rollout of a kept version, or of another image or archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One wish. It is granted or refused once; `status.lastRequest` tells which."""

    id: str
    """Unique; another `id` is another wish."""
    kind: WishKind
    whole: bool = False
    """PROMOTE only: skip every remaining step."""
    actor: str = ""
    """Who asks."""
    reason: str = ""
    version: str = ""
    """START only: the version to roll out."""
    image: str = ""
    """START only: its image; left out: the one that it was served from before."""
    archive: str = ""
    """START only: its archive; left out: none, or the one that it was served from before."""
    plan: RolloutSpec | None = None
    """START only: the plan, with the fields of rollout.yaml; left out: the resource's own."""


def parse_wish(text: str) -> Wish:
    """The annotation's text as a wish. Raises UsageError with `at` inside the annotation and `hint`."""
    wish = parse_json(Wish, text, at=REQUEST_ANNOTATION, hint=_HINT)
    _check(wish)
    return wish


def write_wish(wish: Wish) -> str:
    """The wish as the annotation's text; the reverse of `parse_wish`."""
    content = msgspec.to_builtins(wish)
    return msgspec.json.encode(
        {name: value for name, value in content.items() if value not in ("", None, False)}
    ).decode()


def _check(wish: Wish) -> None:
    if not wish.id:
        raise UsageError("a wish needs an id", at=f"{REQUEST_ANNOTATION}: id", hint=_HINT)
    if wish.whole and wish.kind is not WishKind.PROMOTE:
        raise UsageError(
            f"a {wish.kind} has no `whole`", at=f"{REQUEST_ANNOTATION}: whole", hint="only `promote` has it"
        )
    if wish.kind is not WishKind.START:
        for name in ("version", "image", "archive", "plan"):
            if getattr(wish, name):
                raise UsageError(
                    f"a {wish.kind} has no {name}", at=f"{REQUEST_ANNOTATION}: {name}", hint="only `start` has one"
                )
        return
    if not re.fullmatch(VERSION_PATTERN, wish.version):
        raise UsageError(
            f"{wish.version!r} is no version's name",
            at=f"{REQUEST_ANNOTATION}: version",
            hint="`start` needs a version: a kept one, or any with its image or archive",
        )
    if wish.archive and not re.fullmatch(ARCHIVE_PATTERN, wish.archive):
        raise UsageError(
            f"{wish.archive!r} is no archive's place",
            at=f"{REQUEST_ANNOTATION}: archive",
            hint="a path below the archives' volume, such as fraud/fraud-v2.canario, or an http(s) address",
        )
    if wish.plan is not None:
        try:
            lint(wish.plan)
        except PlanError as fault:
            raise PlanError(fault.message, at=f"{REQUEST_ANNOTATION}: plan.{fault.at}", hint=fault.hint) from fault
