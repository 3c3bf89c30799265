"""A rollout's plan from the command line: the model's own document, then the flags, then the proof that it can be honoured."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from canario.adapters.homes import rooms_folder
from canario.errors import PlanError
from canario.model.rollout import RolloutSpec, Step, StrategyKind

PLAN_FILE = "rollout.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFlags:
    """What the command line says of a plan; None: it says nothing."""

    plan: Path | None
    strategy: str | None
    steps: tuple[float, ...] | None
    minimum_requests: int | None
    watch_seconds: float | None
    sticky_header: str | None
    approve_each_step: bool

    @property
    def change_a_plan(self) -> bool:
        """Whether anything but the choice of the plan was said."""
        return replace(self, plan=None, strategy=None) != NOTHING_SAID


NOTHING_SAID = PlanFlags(
    plan=None,
    strategy=None,
    steps=None,
    minimum_requests=None,
    watch_seconds=None,
    sticky_header=None,
    approve_each_step=False,
)


def plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a plan, which reach the command as one PlanFlags named `flags`."""
    names = [field.name for field in fields(PlanFlags)]

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        flags = PlanFlags(**{name: arguments.pop(name) for name in names})
        command(flags=flags, **arguments)

    options = (
        click.option(
            "--plan",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="A plan to follow in place of the model's own rollout.yaml.",
        ),
        click.option(
            "--strategy",
            type=click.Choice([kind.value for kind in StrategyKind]),
            help="How the candidate meets traffic; another than the plan's own begins from that strategy's default plan.",
        ),
        click.option(
            "--steps",
            callback=_weights,
            metavar="10,50,100",
            help="The rising weights, in percent; each keeps what the plan asks for at its place.",
        ),
        click.option(
            "--minimum-requests",
            type=click.IntRange(1),
            metavar="N",
            help="The candidate's requests that each step needs.",
        ),
        click.option(
            "--watch-seconds",
            type=click.FloatRange(0),
            metavar="S",
            help="How long the promoted version is watched with the old one kept warm.",
        ),
        click.option(
            "--sticky-header", metavar="NAME", help="The header or metadata key that keeps a user with a version."
        ),
        click.option("--approve-each-step", is_flag=True, help="Wait for `canario promote` before each next step."),
    )
    for option in reversed(options):
        with_flags = option(with_flags)
    return with_flags


def plan_for(model: str, flags: PlanFlags) -> RolloutSpec:
    """The plan that the document and the flags make together. Raises PlanError, naming document and field, or NotFound."""
    document = flags.plan or rooms_folder() / model / PLAN_FILE
    written = _read(document) if flags.plan or document.exists() else None
    return changed_plan(written, str(document), flags)


def cluster_plan(own: RolloutSpec, source: str, flags: PlanFlags) -> RolloutSpec | None:
    """The plan of a rollout in a cluster: None, for the resource's own, unless the flags say another. Raises PlanError or NotFound."""
    if flags == NOTHING_SAID:
        return None
    if flags.plan:
        own, source = _read(flags.plan), str(flags.plan)
    return changed_plan(own, source, flags)


def changed_plan(written: RolloutSpec | None, source: str, flags: PlanFlags) -> RolloutSpec:
    """A plan as the flags change it, proved; a strategy's default one in place of none. Raises PlanError, naming `source` and field."""
    from canario.rollout.plan import default_plan, lint

    strategy = StrategyKind(flags.strategy) if flags.strategy else None
    if written is None or (strategy and strategy is not written.strategy):
        kind = strategy or StrategyKind.CANARY
        spec, source = default_plan(kind), f"the default plan of a {kind}"
    else:
        spec = written
    spec = _with_flags(spec, flags)
    try:
        lint(spec)
    except PlanError as fault:
        changed = ", changed by flags" if flags.change_a_plan else ""
        raise PlanError(fault.message, at=f"{source}{changed}: {fault.at}", hint=fault.hint) from fault
    return spec


def _read(document: Path) -> RolloutSpec:
    from canario.adapters.documents import read_document

    return read_document(
        RolloutSpec, document, error=PlanError, hint="`canario schema rollout` shows what a plan may say"
    )


def _with_flags(spec: RolloutSpec, flags: PlanFlags) -> RolloutSpec:
    steps = spec.steps
    if flags.steps is not None:
        steps = tuple(
            _weighed(step or (steps[-1] if steps else Step(weight_percent=weight)), weight)
            for step, weight in zip_longest(steps[: len(flags.steps)], flags.steps)
        )
    if flags.minimum_requests is not None:
        steps = tuple(replace(step, minimum_requests=flags.minimum_requests) for step in steps)
    if flags.approve_each_step:
        steps = tuple(replace(step, approval=step.weight_percent < 100) for step in steps)
    spec = replace(spec, steps=steps)
    if flags.watch_seconds is not None:
        spec = replace(spec, watch_seconds=flags.watch_seconds)
    return spec if flags.sticky_header is None else replace(spec, sticky_header=flags.sticky_header)


def _weighed(step: Step, weight: float) -> Step:
    """The step at another weight. At 100 the approval of the step whose place it takes is gone: nothing follows to approve."""
    return replace(step, weight_percent=weight, approval=step.approval and weight < 100)


def _weights(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(weight) for weight in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of weights such as 10,50,100", context, parameter) from None
