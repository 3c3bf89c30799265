"""What a ModelDeployment asks for: its version, its image and its plan, read from the API server's JSON; doing it is for the controller."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from canario.errors import PlanError, UsageError
from canario.model.resource import (
    VERSION_PATTERN,
    ModelDeploymentSpec,
    Strategy,
    StrategyGate,
    StrategyStep,
    Traffic,
    Watch,
)
from canario.model.rollout import Gate, GateKind, RolloutSpec, Step
from canario.platforms.kubernetes.documents import camel_case_within, read_noun, write_noun
from canario.rollout.plan import default_plan, lint

GROUP = "canario.dev"
API_VERSION = "v1alpha1"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"
LONGEST_NAME = 40
"""Of a ModelDeployment: the names of its versions' objects are made from it, and a label has 63 characters."""
NAME_PATTERN = f"^[a-z]([-a-z0-9]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?$"
"""Of a ModelDeployment: a DNS-1035 label, as a Service has that name."""
DEFAULT_REPLICAS = 2
ARCHIVE_SUFFIX = ".canario"

_PLACES = {
    "watch_seconds": "watch.seconds",
    "watch_error_percent": "watch.errorPercent",
    "watch_slow_percent": "watch.slowPercent",
    "watch_wrong_percent": "watch.wrongPercent",
    "watch_missed_percent": "watch.missedPercent",
    "sticky_header": "traffic.stickyHeader",
    "shadow_percent": "traffic.shadowPercent",
}
"""Where the resource keeps a plan's fields that are not in its strategy."""


def read_spec(content: Mapping[str, Any]) -> ModelDeploymentSpec:
    """The `spec` of a ModelDeployment. Raises UsageError with `at` in the resource's own path, such as `spec.replicas`."""
    return read_noun(ModelDeploymentSpec, content, "spec")


def write_spec(spec: ModelDeploymentSpec) -> dict[str, Any]:
    """The reverse: what to send to the API server."""
    written: dict[str, Any] = write_noun(spec)
    return written


def image_of(spec: ModelDeploymentSpec) -> str:
    """The container image. Raises UsageError when it is not said, or said twice."""
    if bool(spec.image) == bool(spec.bento):
        raise UsageError(
            "the version's image is said twice" if spec.image else "no image is named",
            at="spec.image",
            hint="give exactly one of `image` and `bento`",
        )
    return spec.image or spec.image_prefix + spec.bento


def version_of(spec: ModelDeploymentSpec, model: str) -> str:
    """The version's name: as said, else the archive's, else the image's tag. Raises UsageError when neither names one version."""
    if spec.version:
        return spec.version
    if spec.archive:
        return version_in_archive(spec.archive, model)
    image = image_of(spec)
    tag = tag_of(image)
    if tag in ("", "latest"):
        what = "the tag `latest` is another version each day" if tag else "it has no tag"
        raise UsageError(
            f"{image} does not say which version it is: {what}",
            at="spec.version",
            hint="give the image a tag of its own, or name the version in `version`",
        )
    if not re.fullmatch(VERSION_PATTERN, tag):
        raise UsageError(
            f"the tag {tag} is no version's name",
            at="spec.version",
            hint="name the version in `version`: lower-case letters, digits, `.`, `_` and `-`, at most 63 characters",
        )
    return tag


def version_in_archive(archive: str, model: str) -> str:
    """The version in the name that `canario export` gives a file: `v2` of `fraud-v2.canario`. Raises UsageError when it has another."""
    file = archive.partition("#")[0].partition("?")[0].rpartition("/")[2]
    tag = file.removeprefix(f"{model}-").removesuffix(ARCHIVE_SUFFIX)
    if not file.startswith(f"{model}-") or not re.fullmatch(VERSION_PATTERN, tag):
        raise UsageError(
            f"{file} does not say which version of {model} it holds",
            at="spec.version",
            hint=f"name the file {model}-VERSION{ARCHIVE_SUFFIX}, as `canario export` does, or name the version in `version`",
        )
    return tag


def digest_in_archive(archive: str) -> str:
    """The digest that an archive must have, or nothing when any will do."""
    return archive.partition("#")[2]


def is_address(archive: str) -> bool:
    """Whether an archive comes over the network, and not from the archives' volume."""
    return archive.startswith(("http://", "https://"))


def tag_of(image: str) -> str:
    """The tag in an image's name, or nothing: neither a registry's port nor a digest is a tag."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def replicas_of(spec: ModelDeploymentSpec) -> int:
    """Servers of each version; with autoscaling, the fewest."""
    return spec.autoscaling.min_replicas if spec.autoscaling else spec.replicas or DEFAULT_REPLICAS


def plan_of(spec: ModelDeploymentSpec) -> RolloutSpec:
    """The rollout's plan. Raises PlanError with `at` in the resource's own path, such as `spec.strategy.steps[1].weightPercent`."""
    strategy = spec.strategy
    usual = default_plan(strategy.type)
    plan = RolloutSpec(
        strategy=strategy.type,
        steps=usual.steps
        if strategy.steps is None
        else tuple(msgspec.convert(strategy.steps, tuple[Step, ...], from_attributes=True)),
        gates=usual.gates
        if strategy.gates is None
        else tuple(msgspec.convert(strategy.gates, tuple[Gate, ...], from_attributes=True)),
        on_timeout=strategy.on_timeout,
        watch_seconds=spec.watch.seconds,
        watch_error_percent=spec.watch.error_percent,
        watch_slow_percent=spec.watch.slow_percent,
        watch_wrong_percent=spec.watch.wrong_percent,
        watch_missed_percent=spec.watch.missed_percent,
        start_seconds=strategy.start_seconds,
        sticky_header=spec.traffic.sticky_header,
        shadow_percent=spec.traffic.shadow_percent,
        promote_after_shadow=strategy.promote_after_shadow,
    )
    try:
        lint(plan)
        if not spec.feedback_secret:
            refuse_waiting_for_labels(plan)
    except PlanError as fault:
        raise PlanError(
            camel_case_within(fault.message),
            at="spec." + _PLACES.get(fault.at, "strategy." + camel_case_within(fault.at)),
            hint=camel_case_within(fault.hint).replace("`strategy: ", "`strategy.type: "),
        ) from fault
    return plan


def refuse_waiting_for_labels(plan: RolloutSpec) -> None:
    """Refuse a plan that waits for labels where no database brings them to the gates. Raises PlanError."""
    for index, gate in enumerate(plan.gates):
        if gate.kind in (GateKind.WRONG_LABELS, GateKind.RECALL) and gate.blocking:
            raise PlanError(
                "no database keeps the labels, so this gate would hold every rollout",
                at=f"gates[{index}].blocking",
                hint="name the database's Secret in `feedback_secret`, or set `blocking: false`",
            )


def resource_parts(plan: RolloutSpec) -> tuple[Strategy, Traffic, Watch]:
    """A plan in the resource's own parts; the reverse of `plan_of`."""
    return (
        Strategy(
            type=plan.strategy,
            steps=msgspec.convert(plan.steps, tuple[StrategyStep, ...], from_attributes=True),
            gates=msgspec.convert(plan.gates, tuple[StrategyGate, ...], from_attributes=True),
            on_timeout=plan.on_timeout,
            start_seconds=plan.start_seconds,
            promote_after_shadow=plan.promote_after_shadow,
        ),
        Traffic(sticky_header=plan.sticky_header, shadow_percent=plan.shadow_percent),
        Watch(
            seconds=plan.watch_seconds,
            error_percent=plan.watch_error_percent,
            slow_percent=plan.watch_slow_percent,
            wrong_percent=plan.watch_wrong_percent,
            missed_percent=plan.watch_missed_percent,
        ),
    )
