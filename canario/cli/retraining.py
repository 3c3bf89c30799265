"""A retraining on this machine: what it is given to work with, and how it is shown; the act is canario.retraining's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from canario.errors import Conflict, NotBetter
from canario.model.address import Address, PlatformKind
from canario.model.retraining import Outcome, PairedFigure, Retraining

if TYPE_CHECKING:
    from rich.table import Table

    from canario.packaging.publishing import Draft
    from canario.packaging.rooms import Room
    from canario.platforms.local.platform import LocalPlatform
    from canario.retraining.act import Surroundings
    from canario.retraining.postgres_records import PostgresRetrainings
    from canario.retraining.records import FileRetrainings

UNDER_WAY = "under way"
INTERRUPTED = "interrupted"


def local_surroundings(
    room: Room, platform: LocalPlatform, plan: Path | None, tell: Callable[[str], None], *, rolls_out: bool
) -> Surroundings:
    """What a retraining on this machine works with. Raises PlanError or NotFound for a plan that cannot be followed."""
    from canario.adapters.versions import find_version
    from canario.cli.plans import NOTHING_SAID, plan_for
    from canario.feedback.opening import open_history
    from canario.packaging.publishing import publish_draft
    from canario.retraining.act import Surroundings
    from canario.retraining.records import FileRetrainings

    spec = plan_for(room.name, replace(NOTHING_SAID, plan=plan))

    def publish(draft: Draft) -> str:
        return publish_draft(draft).record.name.tag

    def begin(tag: str) -> str:
        return platform.start_rollout(spec, find_version(f"{room.name}:{tag}"), tell)

    return Surroundings(
        history=open_history(room.name, room.card.label),
        record=FileRetrainings(room.name),
        stable=lambda: stable_of(platform),
        publish=publish,
        begin=begin if rolls_out else None,
    )


def record_of(model: str, address: Address) -> FileRetrainings | PostgresRetrainings:
    """The record of a model's retrainings, on this machine or in the database of feedback."""
    if address.on is PlatformKind.LOCAL:
        from canario.retraining.records import FileRetrainings

        return FileRetrainings(model)
    from canario.platforms.kubernetes.retraining import cluster_record

    return cluster_record(model, space_of(address, model) or "")


def space_of(address: Address, model: str) -> str | None:
    """What tells the model from others of its name in the database; None on this machine, where the settings say it."""
    from canario.cli.platforms import cluster_platform

    return None if address.on is PlatformKind.LOCAL else cluster_platform(address, model).address.namespace


def stable_of(platform: LocalPlatform) -> str:
    """The tag of the version to be bettered. Raises Conflict when none is up, or while another one is on trial."""
    status = platform.status()
    if not status.is_up:
        raise Conflict(f"{status.model} is not up", hint=f"`canario up {status.model}` brings it up")
    if status.rollout is not None:
        state = status.rollout.state
        raise Conflict(
            f"the rollout of {state.candidate} is under way ({state.phase.value})",
            hint=f"`canario watch {status.model}` follows it to its end",
        )
    return status.stable


def present_maturity(room: Room, given_seconds: float | None, address: Address) -> float:
    """The age from which answers count, in seconds. Raises Conflict while labels do not say yet how late they come."""
    from canario.feedback.figures import present_maturity as maturity_of
    from canario.feedback.opening import open_history
    from canario.feedback.settings import feedback_settings

    if given_seconds is not None:
        return given_seconds
    history = open_history(room.name, room.card.label, space=space_of(address, room.name))
    try:
        found = maturity_of(history, feedback_settings(), time.time())
    finally:
        history.close()
    if found is None:
        raise Conflict(
            f"it is not known yet how late the labels of {room.name} come, so none can be said to be complete",
            hint=f"`canario feedback FILE --model {room.name}` sends labels, `canario report quality {room.name}` counts them; or say"
            " how late they come: --maturity SECONDS, or CANARIO_MATURITY_SECONDS",
        )
    return found


def conclude_retraining(done: Retraining) -> None:
    """Raise what its outcome means for an exit code: NotBetter when it was rejected, Conflict when it was refused."""
    hint = f"`canario retrain {done.model} --history` shows all of them"
    if done.outcome is Outcome.REJECTED:
        raise NotBetter(f"{done.model}:{done.stable} stays: the candidate is {done.reason}", hint=hint)
    if done.outcome is Outcome.REFUSED:
        raise Conflict(f"nothing was trained: {done.reason}", hint=hint)


def drawn(done: Retraining) -> Table:
    """One retraining, for a person."""
    from canario.cli.printing import pairs

    page = pairs()
    page.add_row("outcome", outcome_words(done, is_under_way=False))
    page.add_row("stable", done.stable)
    if done.candidate:
        page.add_row("candidate", done.candidate)
    if done.lesson:
        lesson = done.lesson
        page.add_row("learned from", f"{lesson.rows:,} labelled answers")
        page.add_row("judged by", f"the newest {lesson.judged_rows:,} that {done.stable} answered")
    for figure in done.figures:
        page.add_row(figure.name, _figure(figure))
    if done.rollout:
        page.add_row("rollout", done.rollout)
    return page


def history_table(past: Sequence[Retraining], *, is_under_way: bool) -> Table:
    """All of them, newest first."""
    from canario.cli.figures import duration, local_time
    from canario.cli.printing import table

    page = table("no.", "began", "took", "asked by", "stable", "candidate", "outcome", "why")
    for each in reversed(past):
        is_this = is_under_way and each is past[-1]
        took = duration(each.ended_at_seconds - each.began_at_seconds) if each.ended_at_seconds else ""
        page.add_row(
            str(each.number),
            local_time(each.began_at_seconds),
            took,
            each.trigger.value,
            each.stable,
            each.candidate,
            outcome_words(each, is_under_way=is_this),
            each.reason or each.asked_for,
        )
    return page


def outcome_words(each: Retraining, *, is_under_way: bool) -> str:
    """How it ended, in words; one that never ended was killed, unless it still runs."""
    if each.outcome is not None:
        return each.outcome.value
    return UNDER_WAY if is_under_way else INTERRUPTED


def _figure(figure: PairedFigure) -> str:
    from canario.retraining.comparison import figure_words

    return figure_words(figure).removeprefix(f"{figure.name} ")
