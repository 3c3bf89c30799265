"""A server starts from an archive as from a folder, and from nothing that is not whole, not asked for, or would run foreign code."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from canario.adapters import unpacking
from canario.adapters.unpacking import unpacked
from canario.adapters.versions import RECORD_FILE, read_version
from canario.errors import CanarioError, DigestMismatch, NotFound, Unavailable, UntrustedCode, UsageError
from canario.packaging.archives import export_version
from canario.packaging.provenance import libraries
from tests.serving.server_processes import running, start


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def archive(shop_folder: Path, tmp_path: Path) -> Path:
    """The small version as `canario export` writes it."""
    return exported(shop_folder, tmp_path)


def exported(folder: Path, into: Path, tag: str = "v1") -> Path:
    """The archive of a small version, which says with which libraries it was made."""
    version = read_version(folder)
    copy = Path(shutil.copytree(folder, into / "copy" / tag))
    record = replace(version.record, libraries=libraries(), name=replace(version.record.name, tag=tag))
    (copy / RECORD_FILE).write_bytes(msgspec.json.encode(record))
    return export_version(read_version(copy), into)


def digest(folder: Path) -> str:
    return read_version(folder).record.digest


@contextmanager
def served_by_http(folder: Path) -> Iterator[str]:
    """The address of a folder."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_of_an_archive_answers_as_one_of_the_folder(archive: Path, shop_folder: Path, home: Path) -> None:
    """`--archive` goes before the folder that an image names, and what answers is the archive's version."""
    with running(Path("/nowhere"), home, "--archive", str(archive)) as server, server.client() as client:
        told = client.get("/v2/models/shop").json()
    assert told["versions"] == [read_version(shop_folder).record.name.tag]
    (folder,) = (home / "unpacked").iterdir()
    assert digest(folder) == digest(shop_folder)


def test_a_server_without_its_archive_says_so_and_ends(home: Path, tmp_path: Path) -> None:
    """The last lines name what is missing, so that whoever reads only those knows it; nothing has listened."""
    process = start(Path("/nowhere"), home, "--archive", str(tmp_path / "shop-v9.canario"))
    assert process.wait(60) == NotFound.exit_code
    assert f"there is no file {tmp_path}/shop-v9.canario" in (home / "log").read_text().splitlines()[-2]


def test_an_archive_comes_over_http_too(archive: Path, shop_folder: Path, tmp_path: Path) -> None:
    """An address gives the same version as the file; one with nothing behind it is told from one that does not answer."""
    with served_by_http(tmp_path) as address:
        assert digest(unpacked(f"{address}/{archive.name}")) == digest(shop_folder)
        with pytest.raises(NotFound, match="there is no archive"):
            unpacked(f"{address}/shop-v9.canario")
    with pytest.raises(Unavailable, match="cannot be fetched"):
        unpacked(f"{address}/{archive.name}")


def test_a_pinned_archive_starts_again_without_its_source(archive: Path, shop_folder: Path) -> None:
    """With the digest behind it, a server that restarts needs neither volume nor network; what it kept is proved again."""
    place = f"{archive}#{digest(shop_folder)}"
    folder = unpacked(place)
    archive.unlink()
    assert unpacked(place) == folder
    (folder / "model.onnx").write_bytes(b"changed")
    with pytest.raises(DigestMismatch, match=r"model\.onnx"):
        unpacked(place)


def test_another_version_behind_the_same_place_is_refused(archive: Path, shop_folder: Path) -> None:
    """A version never changes: a file that was replaced is not served under the old one's digest."""
    with pytest.raises(DigestMismatch, match="was asked for"):
        unpacked(f"{archive}#sha256:{'0' * 64}")
    assert digest(unpacked(str(archive))) == digest(shop_folder)


@pytest.mark.parametrize("behind", ["", "#{digest}"])
def test_versions_of_equal_files_are_told_apart(archive: Path, shop_folder: Path, tmp_path: Path, behind: str) -> None:
    """A retraining may give the same files again: what is served is the version that was asked for, never the one before."""
    second = exported(shop_folder, tmp_path, tag="v2")
    pin = behind.format(digest=digest(shop_folder))
    for _ in range(2):
        for place, tag in ((archive, "v1"), (second, "v2")):
            assert read_version(unpacked(f"{place}{pin}")).record.name.tag == tag


def test_a_record_that_was_changed_here_is_not_served(archive: Path) -> None:
    """The digest covers no record, so what was unpacked before is compared with the archive's record."""
    folder = unpacked(str(archive))
    record = read_version(folder).record
    changed = replace(record, name=replace(record.name, tag="v9"))
    (folder / RECORD_FILE).write_bytes(msgspec.json.encode(changed))
    with pytest.raises(DigestMismatch, match=r"record of shop:v1 was changed"):
        unpacked(str(archive))


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_broken_archive_is_refused(archive: Path, cut: int, home: Path) -> None:
    """Nothing is unpacked from an empty file, from a part of one, or from one that lacks its last byte."""
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(UsageError, match="not a version's archive"):
        unpacked(str(archive))
    assert not [*(home / "unpacked").iterdir()]


def test_an_archive_that_would_be_unpickled_is_refused(moody_folder: Path, tmp_path: Path) -> None:
    """Whoever can write the volume must not be able to run code in a server: only compiled versions are served from archives."""
    place = exported(moody_folder, tmp_path)
    with pytest.raises(UntrustedCode) as refused:
        unpacked(str(place))
    assert "canario build --image" in refused.value.hint


def test_an_endless_archive_is_not_fetched(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than an archive may be is given up before it fills the disk."""
    monkeypatch.setattr(unpacking, "LONGEST_ARCHIVE_BYTES", 1000)
    with served_by_http(tmp_path) as address, pytest.raises(CanarioError, match="longer than"):
        unpacked(f"{address}/{archive.name}")


def test_what_a_killed_server_left_is_cleared(archive: Path, home: Path) -> None:
    """A server that was killed while it unpacked leaves nothing that the next one trips over or keeps."""
    leftover = home / "unpacked" / ".staging-killed"
    leftover.mkdir(parents=True)
    (leftover / "model.onnx").write_bytes(b"half")
    unpacked(str(archive))
    assert not leftover.exists()
