"""What a test does whose real part is not on this machine: it says which, and is skipped; continuous integration must have it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it with CI=true. `reason` names the part, and how to have it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
