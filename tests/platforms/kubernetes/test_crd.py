"""The custom resource definition: fresh in the chart, closed, and every field explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs

from canario.model.resource import ModelDeploymentSpec
from canario.model.resource_status import (
    BatchRunStatus,
    BatchStatus,
    Condition,
    EvidenceStatus,
    GateStatus,
    LastRequest,
    ModelDeploymentStatus,
    PastRolloutStatus,
    RolloutStatus,
    SplitsStatus,
    SplitStatus,
    VersionEvidence,
    VersionStatus,
)
from canario.model.rollout import GateKind, StrategyKind
from canario.model.verdict import Answer, Method
from canario.platforms.kubernetes.crd import as_yaml, custom_resource_definition
from canario.platforms.kubernetes.documents import read_noun, write_noun

ROOT = Path(__file__).parents[3]
SCHEMA = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

MOMENT = "2026-11-25T01:32:38Z"
SPLIT = SplitStatus(stable="v1", candidate="v2", weight_percent=10.0, sticky_header="x-user")
GATE = GateStatus(
    kind=GateKind.ERRORS,
    answer=Answer.UNKNOWN,
    method=Method.SEQUENTIAL,
    reason="too few",
    requests_needed=50,
    upper_bound_percent=1.5,
)
FULL_STATUS = ModelDeploymentStatus(
    observed_generation=1,
    phase="stepping",
    stable="v1",
    candidate="v2",
    weight_percent=10.0,
    actual_weight_percent=0.0,
    verdict="unknown",
    split=SplitsStatus(asked=SPLIT, actual=SPLIT),
    versions=(VersionStatus(name="v1", image="fraud:v1", role="stable", replicas=2, ready=1, message="pulling"),),
    rollout=RolloutStatus(
        name="r2", strategy=StrategyKind.CANARY, phase="stepping", step=1, steps=3, started_at=MOMENT, reason="waits"
    ),
    evidence=EvidenceStatus(
        at=MOMENT, versions=(VersionEvidence(name="v1", requests=5),), gates=(GATE,), answer="unknown", reason="waits"
    ),
    history=(
        PastRolloutStatus(
            rollout="r1",
            strategy=StrategyKind.SHADOW,
            stable="v0",
            candidate="v1",
            phase="promoted",
            started_at=MOMENT,
            ended_at=MOMENT,
        ),
    ),
    batch=(
        BatchStatus(
            name="weekly",
            cron_job="fraud-score-weekly",
            version="v1",
            runs=(
                BatchRunStatus(
                    job="fraud-score-weekly-1",
                    version="v1",
                    phase="failed",
                    indexes=8,
                    completed=7,
                    failed=1,
                    completed_indexes="0-2,4-7",
                    failed_indexes="3",
                    reasons=("index 3: it is no Parquet file",),
                    started_at=MOMENT,
                    ended_at=MOMENT,
                ),
            ),
        ),
    ),
    last_request=LastRequest(id="7f3a", answer="promoted"),
    conditions=(
        Condition(
            type="Ready",
            status="True",
            observed_generation=1,
            last_transition_time=MOMENT,
            reason="Answering",
            message="v1 answers",
        ),
    ),
)


def parts(schema: dict[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema below spec and status, and where it is."""
    yield at, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{at}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from parts(schema[word], f"{at}[]")


PARTS = {at: part for root in ("spec", "status") for at, part in parts(SCHEMA["properties"][root], root)}


def test_the_chart_has_the_definition_of_this_release() -> None:
    """`python -m canario.platforms.kubernetes.crd > helm/canario/files/modeldeployments.yaml` renews it."""
    assert (ROOT / "helm/canario/files/modeldeployments.yaml").read_text() == as_yaml()


def test_kubectl_explain_explains_every_field() -> None:
    """Each field says what it is for, in words of its own."""
    silent = [at for at, part in PARTS.items() if not at.endswith("[]") and not part.get("description")]
    assert silent == []


def test_no_field_is_open() -> None:
    """A misspelt field is refused everywhere: nothing keeps what it does not know."""
    open_ = [at for at, part in PARTS.items() if "x-kubernetes-preserve-unknown-fields" in part]
    untyped = [at for at, part in PARTS.items() if "type" not in part and "x-kubernetes-int-or-string" not in part]
    assert (open_, untyped) == ([], [])


def test_every_list_has_an_end_and_a_kind() -> None:
    """Lists are bounded, so that checking stays cheap, and say how two writers' lists are merged."""
    lists = {at: part for at, part in PARTS.items() if part.get("type") == "array"}
    assert [at for at, part in lists.items() if "maxItems" not in part or "x-kubernetes-list-type" not in part] == []


def test_every_rule_says_what_to_do() -> None:
    """A refusal is a sentence for people, and names its field in the manner of a path."""
    rules = [rule for part in [SCHEMA, *PARTS.values()] for rule in part.get("x-kubernetes-validations", ())]
    assert len(rules) >= 30
    assert [rule for rule in rules if len(rule["message"]) < 30 or "\n" in rule["message"]] == []


def test_the_api_server_fills_in_what_canario_would() -> None:
    """The defaults that a person sees with `kubectl get -o yaml` are the ones that count."""

    def filled(schema: dict[str, Any]) -> Any:
        return {name: part["default"] for name, part in schema["properties"].items() if "default" in part}

    def shown(content: Any) -> Any:
        return {name: value for name, value in content.items() if value != {}}

    assert shown(filled(SCHEMA["properties"]["spec"])) == shown(write_noun(ModelDeploymentSpec()))


def test_everything_that_a_status_can_tell_fits() -> None:
    """A full status is taken by the definition and comes back the same."""
    written = write_noun(FULL_STATUS)
    jsonschema_rs.validate({**SCHEMA["properties"]["status"], "additionalProperties": False}, written)
    assert read_noun(ModelDeploymentStatus, written, "status") == FULL_STATUS
    assert set(written) == set(SCHEMA["properties"]["status"]["properties"])
