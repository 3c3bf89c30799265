"""Resources and plans for the property tests: valid ones of every kind, and any that somebody might write."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from canario.model.resource import (
    Autoscaling,
    BatchSchedule,
    ImagePullPolicy,
    ModelDeploymentSpec,
    Objectives,
    Resources,
    RowsFormat,
    SecretName,
    TaintEffect,
    Toleration,
    TolerationOperator,
)
from canario.model.rollout import Gate, GateKind, OnTimeout, RolloutSpec, Step, StrategyKind
from canario.platforms.kubernetes.documents import write_noun
from canario.platforms.kubernetes.resource import resource_parts

COMPARING = {GateKind.DISAGREEMENT, GateKind.SCORE_DISTANCE}
LABELLED = {GateKind.WRONG_LABELS, GateKind.RECALL}
seconds = st.floats(0.1, 1e6).map(lambda number: round(number, 3))
percents = st.floats(0.01, 99.9).map(lambda number: round(number, 2))
values = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@st.composite
def plans(draw: st.DrawFn) -> RolloutSpec:
    """Plans that lint accepts and that a resource without a database can say: no wait for labels."""
    kind = draw(st.sampled_from(StrategyKind))
    weights = [0.0]
    if kind is StrategyKind.CANARY:
        hundredths = draw(st.lists(st.integers(1, 9999), max_size=6, unique=True))
        weights = [*(number / 100 for number in sorted(hundredths)), 100.0]
    kinds = set(GateKind) - {GateKind.QUERY} - (LABELLED if kind is StrategyKind.SHADOW else COMPARING)
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), unique=True))
    names = draw(st.lists(st.sampled_from(("cpu", "score-psi", "2xx")), max_size=2, unique=True))
    plan = RolloutSpec(
        strategy=kind,
        steps=tuple(draw(_step(weight)) for weight in weights),
        gates=(*(draw(_gate(gate)) for gate in chosen), *(draw(_query(name)) for name in names)),
        on_timeout=draw(st.sampled_from(OnTimeout)),
        watch_seconds=draw(st.just(0.0) | seconds),
        watch_error_percent=draw(percents),
        watch_slow_percent=draw(percents),
        watch_wrong_percent=draw(st.none() | percents),
        watch_missed_percent=draw(st.none() | percents),
        start_seconds=draw(seconds),
        sticky_header=draw(st.sampled_from(("", "x-user", "user_id"))) if kind is StrategyKind.CANARY else "",
        shadow_percent=draw(percents),
        promote_after_shadow=kind is StrategyKind.SHADOW and draw(st.booleans()),
    )
    if not any(gate.blocking for gate in plan.gates):
        plan = replace(plan, steps=tuple(replace(step, approval=step.weight_percent < 100) for step in plan.steps))
    return plan


@st.composite
def resources(draw: st.DrawFn) -> ModelDeploymentSpec:
    """Valid resources."""
    strategy, traffic, watch = resource_parts(draw(plans()))
    if draw(st.booleans()):
        strategy = replace(strategy, steps=None, gates=None)
    tag = draw(
        st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", fullmatch=True).filter(lambda tag: tag != "latest")
    )
    image, bento, image_prefix, version = draw(_images(tag))
    cpu: str | int = draw(st.sampled_from(("250m", "1", "0.5")) | st.integers(1, 64))
    spec = ModelDeploymentSpec(
        image=image,
        bento=bento,
        image_prefix=image_prefix,
        version=version,
        image_pull_policy=draw(st.sampled_from(ImagePullPolicy)),
        image_pull_secrets=draw(st.sampled_from(((), (SecretName(name="registry"), SecretName(name="other.one"))))),
        service_account_name=draw(st.sampled_from(("", "fraud"))),
        priority_class_name=draw(st.sampled_from(("", "high"))),
        node_selector=draw(st.sampled_from(({}, {"kubernetes.io/arch": "amd64", "pool": ""}))),
        tolerations=draw(st.sampled_from(((), TOLERATIONS))),
        resources=Resources(requests={"cpu": cpu}, limits={"memory": "1Gi"}),
        objectives=Objectives(latency_milliseconds=draw(seconds)),
        strategy=strategy,
        traffic=replace(traffic, timeout_seconds=draw(st.floats(0.1, 3600))),
        watch=watch,
        batch=draw(SCHEDULES),
        history_limit=draw(st.integers(1, 50)),
    )
    fewest = draw(st.integers(1, 100))
    if draw(st.booleans()):
        most = draw(st.integers(fewest, 100))
        return replace(spec, autoscaling=replace(draw(AUTOSCALINGS), min_replicas=fewest, max_replicas=most))
    return replace(spec, replicas=draw(st.none() | st.just(fewest)))


AUTOSCALINGS = st.sampled_from(
    [
        Autoscaling(),
        Autoscaling(cpu_percent=50),
        Autoscaling(requests_per_second=50.0),
        Autoscaling(waiting_requests=0.5, scale_down_seconds=0),
        Autoscaling(latency_milliseconds=40.0, window_seconds=15),
    ]
)
TOLERATIONS = (
    Toleration(operator=TolerationOperator.EXISTS),
    Toleration(key="gpu", value="yes", effect=TaintEffect.NO_SCHEDULE),
    Toleration(key="a.b/c", effect=TaintEffect.NO_EXECUTE, toleration_seconds=0),
)

WEEKLY = BatchSchedule(name="weekly", input="rows", output="scores", claim="data")
SCHEDULES: st.SearchStrategy[tuple[BatchSchedule, ...]] = st.sampled_from(
    [
        (),
        (WEEKLY,),
        (
            replace(
                WEEKLY,
                input="rows/day=*/part-[0-9].csv",
                output="scores/all",
                schedule="*/5 0-6/2,22 1,15 jan-JUN MON-FRI,sun",
                time_zone="America/Sao_Paulo",
                partitions=8,
                parallelism=8,
                retries_an_index=0,
                longest_seconds=60,
                rows_a_part=1000,
                keep=("customer", "day of birth"),
                most_rejects_percent=0.5,
                image="localhost/canario-trainer:e2e",
                resources=Resources(requests={"cpu": 1}),
                node_selector={"pool": "batch"},
                tolerations=TOLERATIONS[:2],
            ),
            BatchSchedule(
                name="s3",
                input="s3://bucket/rows/*.parquet",
                output="s3://bucket/scores",
                env_secret="bucket",  # noqa: S106 - a Secret's name
                schedule="@daily",
                suspend=True,
                format=RowsFormat.ARROW,
            ),
        ),
    ]
)


@st.composite
def strategies(draw: st.DrawFn) -> dict[str, Any]:
    """What somebody might write as `strategy`: a good one with up to two things changed, for better or worse."""
    written: dict[str, Any] = write_noun(resource_parts(draw(plans()))[0])
    for _ in range(draw(st.integers(0, 2))):
        part, changes = draw(
            st.sampled_from(
                [
                    (written, STRATEGY_CHANGES),
                    *((step, STEP_CHANGES) for step in written.get("steps", ())),
                    *((gate, GATE_CHANGES) for gate in written.get("gates", ())),
                ]
            )
        )
        name = draw(st.sampled_from(sorted(changes)))
        value = draw(st.sampled_from(changes[name]))
        if value is None:
            part.pop(name, None)
        else:
            part[name] = copy.deepcopy(value)
    return written


def images() -> st.SearchStrategy[str]:
    """Names of images, with and without registry, port, tag and digest."""
    places = st.sampled_from(("", "models/", "localhost:5000/", "registry.example/a/b/"))
    tags = st.sampled_from(("", ":latest", ":v2", ":V2", ":1.0", ":v" + "2" * 62, ":v" + "2" * 63, ":v2-", ":latest-2"))
    digests = st.sampled_from(("", "@sha256:" + "0" * 64))
    return st.tuples(places, st.just("fraud"), tags, digests).map("".join)


QUERY = {"kind": "query", "name": "up", "query": "up", "passAtLeast": 1}
STEP_CHANGES: dict[str, tuple[Any, ...]] = {
    "weightPercent": (0, 0.01, 0.29, 0.125, 5, 10, 50, 99.99, 100, -1, 101),
    "approval": (True, False),
    "minimumSeconds": (0, 5, 1e7, -1),
    "longestSeconds": (600, 5, 0, 0.001),
    "minimumRequests": (1, 100, 0),
}
GATE_CHANGES: dict[str, tuple[Any, ...]] = {
    "kind": tuple(kind.value for kind in GateKind),
    "blocking": (True, False),
    "marginPercent": (1, 99.99, 100, 5000, 0, 0.00005),
    "alpha": (0.001, 0.5, 0.6, 0),
    "confidence": (0.95, 0.5, 1, 0.4),
    "name": (None, "cpu"),
    "query": (None, "up"),
    "passAtMost": (None, -1e7, 0.5, 1e7),
    "failAbove": (None, -1e7, 0.5, 1e7),
    "passAtLeast": (None, -1e7, 0.5, 1e7),
    "failBelow": (None, -1e7, 0.5, 1e7),
}
STRATEGY_CHANGES: dict[str, tuple[Any, ...]] = {
    "type": (None, *(kind.value for kind in StrategyKind)),
    "promoteAfterShadow": (True, False),
    "startSeconds": (None, 0, 0.1),
    "steps": (
        None,
        [],
        [{"weightPercent": 0}],
        [{"weightPercent": 0}, {"weightPercent": 0}],
        [{"weightPercent": 100}],
        [{"weightPercent": 10}, {"weightPercent": 50}],
        [{"weightPercent": 50}, {"weightPercent": 10}, {"weightPercent": 100}],
    ),
    "gates": (
        None,
        [],
        [{"kind": "errors"}],
        [{"kind": "errors"}, {"kind": "errors", "marginPercent": 2}],
        [{"kind": "disagreement"}],
        [{"kind": "wrong-labels"}],
        [{"kind": "wrong-labels", "blocking": False}],
        [{"kind": "slow", "blocking": False}],
        [{"kind": "recall"}],
        [{"kind": "recall", "blocking": False}],
        [QUERY],
        [QUERY, QUERY],
        [QUERY, {**QUERY, "name": "other"}],
    ),
}


@st.composite
def _step(draw: st.DrawFn, weight: float) -> Step:
    longest = draw(st.floats(60, 1e6).map(lambda number: round(number, 3)))
    return Step(
        weight_percent=weight,
        minimum_requests=draw(st.integers(1, 10**9)),
        minimum_seconds=draw(st.sampled_from((0.0, longest / 2, longest))),
        longest_seconds=longest,
        approval=weight < 100 and draw(st.booleans()),
    )


@st.composite
def _gate(draw: st.DrawFn, kind: GateKind) -> Gate:
    return Gate(
        kind=kind,
        alpha=draw(st.floats(1e-6, 0.5)),
        margin_percent=draw(st.floats(0.2, 99.9)),
        confidence=draw(st.floats(0.5, 0.999)),
        blocking=kind not in LABELLED and draw(st.booleans()),
    )


@st.composite
def _query(draw: st.DrawFn, name: str) -> Gate:
    fail_below, pass_at_least, pass_at_most, fail_above = sorted(draw(st.lists(values, min_size=4, max_size=4)))
    bounds = {
        "pass_at_least": pass_at_least,
        "pass_at_most": pass_at_most,
        "fail_below": fail_below,
        "fail_above": fail_above,
    }
    kept = draw(st.sets(st.sampled_from(sorted(bounds)), min_size=1))
    return Gate(
        kind=GateKind.QUERY,
        name=name,
        query=draw(st.sampled_from(('up{version="$candidate"}', 'rate(errors_total{job=~".*$"}[1m]) # ${model}'))),
        for_seconds=draw(st.floats(0, 59)),  # less than the shortest step
        blocking=any(bound.startswith("pass") for bound in kept) and draw(st.booleans()),
        **{bound: bounds[bound] for bound in kept},
    )


@st.composite
def _images(draw: st.DrawFn, tag: str) -> tuple[str, str, str, str]:
    """Image, Bento, prefix and version."""
    version = draw(st.sampled_from(("", "v7")))
    digest = draw(st.sampled_from(("", "@sha256:" + "0" * 64)))
    ways = (
        ("", f"fraud:{tag}", "registry.example/models/", version),
        ("", f"fraud:{tag}", "", version),
        (f"localhost:5000/a/fraud:{tag}{digest}", "", "", version),
        (f"fraud{digest}", "", "", "v7"),
        ("fraud:latest", "", "", "v7"),
    )
    return draw(st.sampled_from(ways))
