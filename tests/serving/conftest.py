"""One server of each small version, for all tests of this room."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parents[2])
)  # for the helpers beside this file, when pytest was not started by `python -m`

from tests.serving import server_processes, small_versions


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this session's versions lie."""
    return tmp_path_factory.mktemp("versions")


@pytest.fixture(scope="session")
def shop_folder(store: Path) -> Path:
    return small_versions.make_shop(store)


@pytest.fixture(scope="session")
def rent_folder(store: Path) -> Path:
    return small_versions.make_rent(store)


@pytest.fixture(scope="session")
def moody_folder(store: Path) -> Path:
    return small_versions.make_moody(store)


@pytest.fixture(scope="session")
def shop(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[server_processes.Server]:
    with server_processes.running(shop_folder, tmp_path_factory.mktemp("shop")) as server:
        yield server


@pytest.fixture(scope="session")
def rent(rent_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[server_processes.Server]:
    with server_processes.running(rent_folder, tmp_path_factory.mktemp("rent")) as server:
        yield server


@pytest.fixture(scope="session")
def iris(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[server_processes.Server]:
    with server_processes.running(small_versions.make_iris(store), tmp_path_factory.mktemp("iris")) as server:
        yield server


@pytest.fixture(scope="session")
def moody(moody_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[server_processes.Server]:
    with server_processes.running(moody_folder, tmp_path_factory.mktemp("moody")) as server:
        yield server
