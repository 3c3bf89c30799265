"""By which names a version's series go: its own, or those of whoever runs it."""

from __future__ import annotations

import pytest

from canario.model.version import KernelChoice, KernelKind, VersionName, VersionRecord
from canario.serving.metrics import KNOWN_AS_VARIABLE, names_of

RECORD = VersionRecord(
    name=VersionName(model="fraud", tag="v1"),
    digest="sha256:1",
    files={},
    created_at_seconds=0.0,
    kernel=KernelChoice(kind=KernelKind.ONNX, reason="tested"),
    data_digest="sha256:0",
    code_commit="",
    libraries={},
    scores=(),
)


@pytest.mark.parametrize(
    ("known_as", "model", "version"),
    [("", "fraud", "v1"), ("scoring:v1-7", "scoring", "v1-7"), ("scoring:", "scoring", "v1")],
)
def test_series_go_by_the_names_that_the_platform_has(
    known_as: str, model: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster asks by its resource's names, so that alerts, autoscalers and the controller's own series meet."""
    monkeypatch.setenv(KNOWN_AS_VARIABLE, known_as)
    assert names_of(RECORD) == {"model": model, "version": version}
