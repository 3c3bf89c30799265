"""A second chance, in the open, for tests of real processes: a machine with neighbours is late now and then; all others get none."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOMS_OF_REAL_PARTS = {"cluster", "demo", "e2e", "feedback", "monitoring", "retraining", "stream"}
"""Those where brokers, databases and clusters run; elsewhere the marker `real` says it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each rerun is told in the summary; what took too long is not tried again, nor what fails a second time."""
    for item in items:
        room = item.path.relative_to(Path(__file__).parent).parts[0]
        if room in ROOMS_OF_REAL_PARTS or item.get_closest_marker("real"):
            item.add_marker(pytest.mark.flaky(reruns=1, rerun_except=["Timeout"]))
