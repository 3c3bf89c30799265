"""Inputs and outputs in an object store: a real server that speaks S3, and that goes away at the worst moment."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from canario.batch.loading import LoadedVersion
from canario.batch.places import place_of
from canario.batch.running import Progress, score
from canario.batch.settings import ScoreSettings
from canario.errors import NotFound, Unavailable
from tests.batch.s3_server import BUCKET, S3Server
from tests.batch.scored import WRITERS, bytes_of, customers, read, write

PROGRAM = "from canario.cli.main import main; main()"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The server; a test that takes it away brings it back."""
    server = S3Server(tmp_path_factory.mktemp("s3")).start()
    yield server
    server.stop()


@pytest.fixture
def source(store: S3Server, tmp_path: Path) -> str:
    """A folder in the store with a file of each kind, and the same on disk at `tmp_path / "in"`."""
    name = f"{BUCKET}/{tmp_path.name}/in"
    for place, suffix in enumerate(WRITERS):
        write(customers(2000, seed=place, misfits=(17,)), tmp_path / f"in/{place}.{suffix}")
    store.client().put(f"{tmp_path}/in/", name, recursive=True)
    return f"s3://{name}"


def settings_of(store: S3Server) -> ScoreSettings:
    return ScoreSettings(rows_a_part=600, most_rejects_percent=100, storage=store.storage)


def test_an_object_store_gets_the_bytes_of_a_disk(
    source: str, store: S3Server, shop: LoadedVersion, tmp_path: Path
) -> None:
    """From S3 to S3, from S3 to disk, from disk to S3: part for part what it is on a disk, manifest and all."""
    root, settings = source.removesuffix("/in"), settings_of(store)
    score(shop, str(tmp_path / "in"), str(tmp_path / "undisturbed"), settings)
    expected = bytes_of(tmp_path / "undisturbed")
    score(shop, source, f"{root}/out", settings)
    score(shop, source, str(tmp_path / "here"), settings)
    score(shop, str(tmp_path / "in"), f"{root}/there", settings)
    score(shop, f"{source}/[0-9].*", f"{root}/matched", settings)
    for name in ("out", "there", "matched"):
        store.client().get(f"{root}/{name}", str(tmp_path / f"got-{name}"), recursive=True)
        assert bytes_of(tmp_path / f"got-{name}") == expected
    assert bytes_of(tmp_path / "here") == expected
    assert len(read(tmp_path / "here")) == 2000 * len(WRITERS) - len(WRITERS)
    assert score(shop, source, f"{root}/out", settings).rows == 2000 * len(WRITERS)


def test_a_store_that_goes_away_costs_nothing(
    source: str, store: S3Server, shop: LoadedVersion, tmp_path: Path
) -> None:
    """While it is away the error says so; when it is back the same command goes on, and the bytes are the same."""
    root, settings = source.removesuffix("/in"), settings_of(store)
    score(shop, str(tmp_path / "in"), str(tmp_path / "undisturbed"), settings)
    told = 0

    def tell(_: Progress) -> None:
        nonlocal told
        told += 1
        if told == 9:
            store.stop()

    try:
        with pytest.raises(Unavailable) as away:
            score(shop, source, f"{root}/out", settings, tell)
        assert root in away.value.at
        assert "goes on from there" in away.value.hint
        with pytest.raises(Unavailable):
            score(shop, source, f"{root}/out", settings)
    finally:
        store.start()
    there = store.client().find(f"{root}/out")
    assert any("/part-" in name for name in there)
    assert not any(name.endswith("_SUCCESS") for name in there)
    seen: list[Progress] = []
    score(shop, source, f"{root}/out", settings, seen.append)
    assert seen[-1].new_rows < seen[-1].rows
    store.client().get(f"{root}/out", str(tmp_path / "got"), recursive=True)
    assert bytes_of(tmp_path / "got") == bytes_of(tmp_path / "undisturbed")


def test_what_is_not_in_the_store_is_said(store: S3Server, shop: LoadedVersion, tmp_path: Path) -> None:
    """No such object, and no such bucket: named as it was written."""
    for url in (f"s3://{BUCKET}/nothing.parquet", "s3://nowhere/nothing.parquet", f"s3://{BUCKET}/nothing/*.csv"):
        with pytest.raises(NotFound) as missing:
            score(shop, url, str(tmp_path / "out"), settings_of(store))
        assert url in missing.value.at


def test_the_program_takes_the_usual_environment(
    source: str, store: S3Server, shop_folder: Path, tmp_path: Path
) -> None:
    """`canario score s3://... s3://...` with the variables that every S3 tool reads."""
    target = source.removesuffix("/in") + "/program"
    words = ["score", "shop", source, target, "--version-folder", str(shop_folder), "--format", "parquet"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**os.environ, **store.environment, "CANARIO_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert store.client().exists(f"{target}/_SUCCESS")


def test_indexes_deal_out_one_list_in_a_store_too(
    source: str, store: S3Server, shop: LoadedVersion, tmp_path: Path
) -> None:
    """A file that comes between two starts moves no other, and of two lists the first one stays."""
    root, settings = source.removesuffix("/in"), settings_of(store)

    def share(index: int) -> ScoreSettings:
        return dataclasses.replace(settings, partition=index, partitions=2)

    score(shop, source, f"{root}/shares", share(0))
    write(customers(50, seed=9), tmp_path / "0-late.csv")
    store.client().put(str(tmp_path / "0-late.csv"), f"{source}/0-late.csv")
    said: list[str] = []
    score(shop, source, f"{root}/shares", share(1), note=said.append)
    assert "belong to the next one: 1 (0-late.csv)" in said[0]
    store.client().get(f"{root}/shares", str(tmp_path / "shares"), recursive=True)
    files = [sorted(set(read(tmp_path / f"shares/index-{index}")["file"])) for index in (0, 1)]
    assert files == [["0.csv", "2.parquet", "4.arrows"], ["1.csv.gz", "3.arrow"]]
    place = place_of(f"{root}/list", store.storage)
    for content in (b"first", b"second"):
        place.write_new(content)
    assert place.read() == b"first"
