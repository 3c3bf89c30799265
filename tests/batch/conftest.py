"""What the tests of batches share: one small version with every kind of column."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from canario.batch.loading import LoadedVersion, load_version

sys.path.insert(
    0, str(Path(__file__).parents[2])
)  # for the helpers of other rooms, when pytest was not started by `python -m`

from tests.serving import small_versions


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version that takes every kind of column."""
    return small_versions.make_shop(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="session")
def shop(shop_folder: Path) -> LoadedVersion:
    """That version, loaded."""
    return load_version(folder=shop_folder)
