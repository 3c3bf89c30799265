"""What `canario export` and `canario import` promise: a version made here runs there, or is refused with the reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import yaml

from canario.adapters.archives import _members
from canario.adapters.versions import (
    CARD_FILE,
    ESTIMATOR_FILE,
    ONNX_FILE,
    RECORD_FILE,
    WARMUP_FILE,
    StoredVersion,
    digest_of,
    prove,
    stored_versions,
)
from canario.errors import (
    CanarioError,
    CardError,
    Conflict,
    DigestMismatch,
    IntegrityError,
    LibraryMismatch,
    NotFound,
    SignatureMismatch,
    UntrustedCode,
    UsageError,
)
from canario.kernel.columns import columns_from_frame
from canario.kernel.load import load_kernel
from canario.packaging.archives import export_version, import_version

if TYPE_CHECKING:
    from tests.packaging.conftest import Trained


Contents = dict[str, bytes]


def unpacked(archive: Path) -> Contents:
    with tarfile.open(archive, "r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # plain files


def packed(contents: Contents, path: Path, *strange: tarfile.TarInfo) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in strange:
            tar.addfile(member)
    return path


def sealed(contents: Contents, **changes: object) -> Contents:
    """Change the record and give it digests that fit, as somebody would who wants to be believed."""
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if name != RECORD_FILE}
    record = msgspec.json.decode(contents[RECORD_FILE]) | {"files": files, "digest": digest_of(files)} | changes
    return {**contents, RECORD_FILE: msgspec.json.encode(record)}


def with_card(contents: Contents, change: Callable[[Any], object]) -> Contents:
    card = yaml.safe_load(contents[CARD_FILE])
    change(card)
    return sealed({**contents, CARD_FILE: yaml.safe_dump(card, sort_keys=False).encode()})


def doubled(times: int) -> bytes:
    """A card that doubles so often by aliases of aliases."""
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, times))]
    return "\n".join(lines).encode()


def with_warmup(contents: Contents, cells: Callable[[str], list[object]]) -> Contents:
    rows = {name: cells(name) for name in msgspec.json.decode(contents[WARMUP_FILE])}
    return sealed({**contents, WARMUP_FILE: msgspec.json.encode(rows)})


def without(contents: Contents, name: str) -> Contents:
    return {each: content for each, content in contents.items() if each != name}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    strange = tarfile.TarInfo(name)
    strange.type, strange.linkname, strange.size = kind, link, size
    return strange


def libraries(contents: Contents, **versions: str | None) -> Contents:
    there = msgspec.json.decode(contents[RECORD_FILE])["libraries"] | {
        name.replace("_", "-"): version for name, version in versions.items()
    }
    return sealed(contents, libraries={name: version for name, version in there.items() if version})


@pytest.fixture(scope="session")
def archive(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fraud:v1 in one file."""
    return export_version(trained.fraud, tmp_path_factory.mktemp("archives"))


def test_version_runs_where_it_is_imported(
    archive: Path, trained: Trained, home: Path, fraud_rows: pd.DataFrame
) -> None:
    """An imported version has the record and the bytes of the exported one, and gives the same answers."""
    assert archive.name == "fraud-v1.canario"
    imported = import_version(archive)
    prove(imported)
    assert imported.record == trained.fraud.record
    assert imported.folder == home / "models" / "fraud" / "v1"
    columns = columns_from_frame(imported.card(), fraud_rows)
    there, here = load_kernel(trained.fraud).predict(columns), load_kernel(imported).predict(columns)
    assert np.array_equal(there.scores, here.scores)


def test_same_version_same_file(archive: Path, tmp_path: Path, trained: Trained) -> None:
    """Exporting twice, or exporting what was imported, gives the same bytes."""
    again = export_version(import_version(archive), tmp_path / "again.canario")
    assert again.read_bytes() == archive.read_bytes()


def test_importing_again_changes_nothing(archive: Path) -> None:
    """What is there already is returned as it is."""
    assert import_version(archive) == import_version(archive)
    assert len(stored_versions()) == 1


def test_export_refuses_what_has_rotted(stored: Trained, tmp_path: Path) -> None:
    """A stored version whose bytes have changed is not passed on, and the file is named."""
    path = stored.loan.folder / CARD_FILE
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DigestMismatch, match=CARD_FILE):
        export_version(stored.loan, tmp_path)
    assert not list(tmp_path.glob("*.canario"))


def test_uncompiled_version_is_imported_on_trust_only(trained: Trained, tmp_path: Path) -> None:
    """A version that is served by unpickling is refused, unless the person says that its maker is trusted."""
    archive = export_version(trained.broken, tmp_path)
    with pytest.raises(UntrustedCode, match="not compiled") as refused:
        import_version(archive)
    assert "--trust-pickle" in refused.value.hint
    assert not stored_versions()
    assert import_version(archive, trust_pickle=True).record == trained.broken.record


def test_name_that_is_taken_is_a_conflict(stored: Trained, archive: Path, tmp_path: Path) -> None:
    """A version of the same name with other content keeps its place."""
    other = packed(sealed({**unpacked(archive), "note.txt": b"more"}), tmp_path / "other.canario")
    with pytest.raises(Conflict, match="other content"):
        import_version(other)
    prove(stored.fraud)


Change = Callable[[Contents], Contents]
RECORDS: dict[str, tuple[Change, type[CanarioError], str]] = {
    "no record": (lambda c: without(c, RECORD_FILE), UsageError, "no version.json"),
    "record is not JSON": (lambda c: {**c, RECORD_FILE: b"{"}, UsageError, "cannot be read"),
    "record lacks fields": (lambda c: {**c, RECORD_FILE: b"{}"}, UsageError, "cannot be read"),
    "record is endless": (lambda c: {**c, RECORD_FILE: b" " * (1 << 21)}, UsageError, "longer than 1 MiB"),
    "record is nested without end": (
        lambda c: {**c, RECORD_FILE: b'{"zz":' + b"[" * 200_000 + b"]" * 200_000 + b"}"},
        UsageError,
        "cannot be read",
    ),
    "made after all calendars": (lambda c: sealed(c, created_at_seconds=1e300), UsageError, "no time"),
    "made before time": (lambda c: sealed(c, created_at_seconds=-1e12), UsageError, "no time"),
    "warm-up is empty": (lambda c: sealed({**c, WARMUP_FILE: b"{}"}), IntegrityError, "no column amount"),
    "warm-up has no row": (lambda c: with_warmup(c, lambda _: []), IntegrityError, "no row"),
    "warm-up is ragged": (lambda c: with_warmup(c, lambda name: [None] * len(name)), IntegrityError, "cannot be read"),
    "warm-up does not fit": (lambda c: with_warmup(c, lambda _: [None, None]), IntegrityError, "do not fit.*amount"),
    "warm-up is garbage": (lambda c: sealed({**c, WARMUP_FILE: b"[" * 9999}), IntegrityError, "cannot be read"),
    "model climbs": (lambda c: sealed(c, name={"model": "../x", "tag": "v1"}), UsageError, "not a model's name"),
    "tag climbs": (lambda c: sealed(c, name={"model": "fraud", "tag": "../v1"}), UsageError, "version's tag"),
    "tag is latest": (lambda c: sealed(c, name={"model": "fraud", "tag": "latest"}), UsageError, "version's tag"),
    "a byte changed": (lambda c: {**c, ONNX_FILE: c[ONNX_FILE][:-1] + b"!"}, DigestMismatch, ONNX_FILE),
    "a file is missing": (lambda c: without(c, "reference.json"), DigestMismatch, "reference.json.*missing"),
    "a file is unrecorded": (lambda c: {**c, "extra": b"x"}, DigestMismatch, "extra.*not recorded"),
    "digest changed": (lambda c: sealed(c, digest="sha256:" + "0" * 64), DigestMismatch, "record of fraud:v1"),
    "no card": (lambda c: sealed(without(c, CARD_FILE)), UsageError, f"no {CARD_FILE}"),
    "no compiled model": (lambda c: sealed(without(c, ONNX_FILE)), UsageError, f"no {ONNX_FILE}"),
    "no warm-up": (lambda c: sealed(without(c, WARMUP_FILE)), UsageError, f"no {WARMUP_FILE}"),
    "model is garbage": (lambda c: sealed({**c, ONNX_FILE: b"garbage"}), IntegrityError, "not an ONNX model"),
    "card is not YAML": (lambda c: sealed({**c, CARD_FILE: b"{"}), CardError, "not YAML"),
    "card is not text": (lambda c: sealed({**c, CARD_FILE: b"\xff\xfe"}), CardError, "UTF-8"),
    "card is endless": (lambda c: sealed({**c, CARD_FILE: b" " * (1 << 21)}), UsageError, "longer than 1 MiB"),
    "card stands for more than memory": (
        lambda c: sealed({**c, CARD_FILE: doubled(20)}),
        CardError,
        "alias .*write it out",
    ),
    "card of another": (lambda c: with_card(c, lambda card: card.update(name="loan")), CardError, "of 'loan'"),
    "card contradicts itself": (
        lambda c: with_card(c, lambda card: card["label"].update(threshold=2)),
        CardError,
        "threshold",
    ),
    "old scikit-learn": (
        lambda c: libraries(c, scikit_learn="0.24.2"),
        LibraryMismatch,
        "scikit-learn 0.24.2.*scikit-learn 1",
    ),
    "new numpy": (lambda c: libraries(c, numpy="3.0.0"), LibraryMismatch, "numpy 3.0.0.*numpy 2"),
    "new onnxruntime": (lambda c: libraries(c, onnxruntime="2.1.0"), LibraryMismatch, "onnxruntime 2.1.0"),
    "unknown numpy": (lambda c: libraries(c, numpy=None), LibraryMismatch, "which numpy"),
    "column missing": (
        lambda c: with_card(c, lambda card: card["columns"].pop(1)),
        SignatureMismatch,
        "column hour.*missing",
    ),
    "column more": (
        lambda c: with_card(c, lambda card: card["columns"].append({"name": "extra", "kind": "number"})),
        SignatureMismatch,
        "column extra",
    ),
    "column of another kind": (
        lambda c: with_card(c, lambda card: card["columns"][1].update(kind="number")),
        SignatureMismatch,
        "column hour .* number in h; .* integer in h",
    ),
    "column of another unit": (
        lambda c: with_card(c, lambda card: card["columns"][0].update(unit="USD")),
        SignatureMismatch,
        "column amount .* USD; .* EUR",
    ),
    "column must not be empty": (
        lambda c: with_card(c, lambda card: card["columns"][9].update(nullable=False)),
        SignatureMismatch,
        "column distance_km",
    ),
    "columns in another order": (
        lambda c: with_card(c, lambda card: card["columns"].reverse()),
        SignatureMismatch,
        "column number 1 .* new_device; .* amount",
    ),
    "other classes": (
        lambda c: with_card(c, lambda card: card["label"].update(classes=["fraud", "clean"])),
        SignatureMismatch,
        "label.classes",
    ),
    "another label": (
        lambda c: with_card(c, lambda card: card["label"].update(name="verdict")),
        SignatureMismatch,
        "label.name",
    ),
    "said to be uncompiled": (
        lambda c: sealed(c, kernel={"kind": "sklearn", "reason": "so"}),
        UntrustedCode,
        "pickled estimator",
    ),
}


def refused(path: Path, error: type[CanarioError], words: str, home: Path) -> None:
    with pytest.raises(error, match=words) as failed:
        import_version(path)
    assert type(failed.value) is error
    assert not stored_versions()
    assert not list(home.glob("**/.staging-*"))


@pytest.mark.parametrize("case", RECORDS)
def test_contents_that_do_not_fit_are_refused(case: str, archive: Path, tmp_path: Path, home: Path) -> None:
    """An archive whose record, files, card, libraries or columns do not fit is refused with what differs; nothing is stored."""
    change, error, words = RECORDS[case]
    refused(packed(change(unpacked(archive)), tmp_path / "changed.canario"), error, words, home)


MEMBERS: dict[str, tuple[tarfile.TarInfo, ...]] = {
    "climbs out": (member("../evil"),),
    "is absolute": (member("/etc/evil"),),
    "lies deeper": (member("deeper/evil"),),
    "has a Windows path": (member("C:\\evil"),),
    "is hidden": (member(".staging-evil"),),
    "is a folder": (member("folder", tarfile.DIRTYPE),),
    "is a symbolic link": (member("link", tarfile.SYMTYPE, "/etc/passwd"),),
    "is a hard link": (member("link", tarfile.LNKTYPE, CARD_FILE),),
    "is a pipe": (member("pipe", tarfile.FIFOTYPE),),
    "is a device": (member("zero", tarfile.CHRTYPE),),
    "is there twice": (member(CARD_FILE),),
    "claims 3 GiB": (member("huge", size=3 << 30),),
    "is one of many": tuple(member(f"file{number}") for number in range(70)),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_unsafe_members_are_refused(case: str, archive: Path, tmp_path: Path, home: Path) -> None:
    """An archive with a path, a link, a device or a size that no version has is refused before it is unpacked."""
    path = packed(unpacked(archive), tmp_path / "strange.canario", *MEMBERS[case])
    refused(path, UsageError, "holds something that no version has", home)


@pytest.mark.parametrize("kind", [b"x", b"g", b"X", b"L", b"K"])
def test_a_small_file_takes_little_memory(kind: bytes, tmp_path: Path, home: Path) -> None:
    """An archive that unpacks to far more than a version may hold, in a header instead of a file, is refused before it is read."""
    path = tmp_path / "bomb.canario"
    header = member("PaxHeaders" if kind in b"xgX" else "././@LongLink", kind, size=64 << 20)
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(header.tobuf(tarfile.GNU_FORMAT))
        stream.write(b"\0" * (64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="not a version's archive"):
            import_version(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert not stored_versions()


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(RECORD_FILE, content)
    return stream.getvalue()


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "noise": lambda _: bytes(range(256)) * 9,
    "half of it": lambda content: content[: len(content) // 2],
    "all but the last byte": lambda content: content[:-1],
    "a changed byte": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "gzipped text": lambda _: gzip.compress(b"hello"),
    "a zip": zipped,
    "an estimator": lambda content: b"\x80\x05" + content,
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_is_refused(case: str, archive: Path, tmp_path: Path, home: Path) -> None:
    """A file that is no archive, or a damaged one, is refused in words."""
    path = tmp_path / "garbage.canario"
    path.write_bytes(GARBAGE[case](archive.read_bytes()))
    with pytest.raises((UsageError, DigestMismatch)):
        import_version(path)
    assert not stored_versions()
    assert not list(home.glob("**/.staging-*"))


def test_missing_file_is_not_found(tmp_path: Path) -> None:
    """A file that is not there is said to be not there."""
    with pytest.raises(NotFound, match="there is no file"):
        import_version(tmp_path / "none.canario")


def test_signature_is_compared_with_other_versions_where_there_is_no_room(
    stored: Trained, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a room, the newest stored version of the model says which columns fit."""
    monkeypatch.setenv("CANARIO_ROOMS", str(tmp_path / "no-rooms"))
    contents = sealed(unpacked(archive), name={"model": "fraud", "tag": "v9"})
    changed = packed(with_card(contents, lambda card: card["columns"].pop(0)), tmp_path / "v9.canario")
    with pytest.raises(SignatureMismatch, match=r"column amount .* fraud:(v1|broken) has one"):
        import_version(changed)


def test_estimator_in_an_archive_is_never_unpickled(archive: Path, tmp_path: Path, fraud_rows: pd.DataFrame) -> None:
    """Importing a compiled version, and answering with it, leaves its pickle alone."""
    bomb = b"cos\nabort\n(tR."  # a pickle that ends the process
    harmful = packed(sealed({**unpacked(archive), ESTIMATOR_FILE: bomb}), tmp_path / "bomb.canario")
    imported: StoredVersion = import_version(harmful)
    load_kernel(imported).predict(columns_from_frame(imported.card(), fraud_rows))


@pytest.mark.parametrize("blocks", range(21))
def test_an_archive_is_whole_wherever_its_last_record_ends(blocks: int, tmp_path: Path) -> None:
    """Tar fills its last record up with zeros, whose number depends on the files' sizes: none of them makes an archive broken."""
    contents = {"model.onnx": b"x" * (512 * blocks)}
    assert dict(_members(packed(contents, tmp_path / "v.canario"))) == contents
