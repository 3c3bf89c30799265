"""Gives the tests of the charts their Helm; without one they are skipped, and in CI they fail."""

from __future__ import annotations

import pytest

from helm.rendering import find_helm
from tests.helm.charts import Helm
from tests.parts import missing


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The machine's Helm."""
    program = find_helm()
    if program is None:
        missing("there is no helm on PATH, and `make cluster` has built none")
    return Helm(program)
