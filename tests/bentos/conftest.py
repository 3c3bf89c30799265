"""One thread for all that is fitted here: on a busy machine OpenMP's threads wait for each other longer than they work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Limit the thread pools of this process."""
    with threadpool_limits(limits=1):
        yield
