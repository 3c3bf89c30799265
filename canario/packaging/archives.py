"""A version as one file, and back into the store; that what comes from elsewhere is proved is the reader's affair (canario.adapters.archives)."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from canario.adapters.archives import SUFFIX, Archive, read_archive, refuse_pickles
from canario.adapters.documents import parse_document
from canario.adapters.files import write_atomically
from canario.adapters.versions import CARD_FILE, ONNX_FILE, RECORD_FILE, WARMUP_FILE, StoredVersion, prove
from canario.errors import CardError, UsageError
from canario.kernel.compiled import OnnxKernel
from canario.kernel.warmup import read_warmup
from canario.model.card import Card
from canario.model.version import KernelKind
from canario.packaging.cards import check_card
from canario.packaging.compatibility import check_decisive_libraries, check_signature
from canario.packaging.publishing import publish


def export_version(version: StoredVersion, path: Path) -> Path:
    """Write a version into one file; a folder gets `<model>-<tag>.canario`. Returns the file.

    Raises DigestMismatch when the stored bytes are no longer what was packed.
    """
    prove(version)
    name = version.record.name
    target = path / f"{name.model}-{name.tag}{SUFFIX}" if path.is_dir() else path
    stream = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for file in (RECORD_FILE, *sorted(version.record.files)):
            content = (version.folder / file).read_bytes()
            member = tarfile.TarInfo(file)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    try:
        write_atomically(target, stream.getvalue())
    except OSError as failed:
        raise UsageError(f"{target} cannot be written: {failed.strerror}", at=str(target)) from failed
    return target


def import_version(path: Path, *, trust_pickle: bool = False) -> StoredVersion:
    """Store the version in a file, after all of it has been proved.

    Raises NotFound; UsageError for what is no archive of a version or has an unsafe path; DigestMismatch, LibraryMismatch
    or SignatureMismatch, each naming what differs; IntegrityError for a compiled model that is none or rows to
    warm up with that do not fit; UntrustedCode for a version that runs by unpickling, unless
    `trust_pickle`; Conflict when its name is taken by another.
    """
    archive = read_archive(path)
    record = archive.record
    card = _card(archive, path)
    check_decisive_libraries(record, path)
    check_signature(record, card, path)
    read_warmup(card, archive.contents[WARMUP_FILE], f"{path}: {WARMUP_FILE}")
    if record.kernel.kind is KernelKind.ONNX:
        OnnxKernel(archive.contents[ONNX_FILE], card, record.kernel)
    elif not trust_pickle:
        refuse_pickles(record, path, "if you trust who made this file, import it again with --trust-pickle")
    return publish(record, archive.contents)


def _card(archive: Archive, path: Path) -> Card:
    at = f"{path}: {CARD_FILE}"
    try:
        card = parse_document(Card, archive.contents[CARD_FILE].decode(), at=at, error=CardError)
    except UnicodeDecodeError as broken:
        raise CardError("the card is not UTF-8", at=at) from broken
    check_card(card, at)
    if card.name != archive.record.name.model:
        raise CardError(f"the card is of {card.name!r}, the version of {archive.record.name.model!r}", at=at)
    return card
