"""The stored versions, read and proved; writing them is for packaging, which alone knows BentoML.

A version is a folder of BentoML's model store, `<store>/<model>/<tag>/`:

    model.yaml          BentoML's own page of the folder
    version.json        the VersionRecord; what it lists under `files` is covered by the digest
    card.yaml           the card, as it was when the version was made
    model.onnx          the compiled kernel, when the parity gate let it pass
    estimator.joblib    the fitted estimator, for retraining and for versions that are not compiled
    reference.json      the bins of the training data, for drift
    warmup.json         a few rows, by column, that a server answers before it says it is ready
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from canario.adapters.documents import read_document, read_record
from canario.adapters.files import STAGING_PREFIX, sha256_of_file
from canario.adapters.homes import model_store
from canario.errors import CardError, DigestMismatch, IntegrityError, NotFound, UsageError
from canario.model.card import Card
from canario.model.version import VersionName, VersionRecord

RECORD_FILE = "version.json"
CARD_FILE = "card.yaml"
ONNX_FILE = "model.onnx"
ESTIMATOR_FILE = "estimator.joblib"
REFERENCE_FILE = "reference.json"
WARMUP_FILE = "warmup.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A version on this machine's disk."""

    record: VersionRecord
    folder: Path

    def card(self) -> Card:
        """The card that the version was made with."""
        return read_document(Card, self.folder / CARD_FILE, error=CardError)


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a version: sha256 over the sorted paths and their own sha256, as canonical JSON."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(sorted(files.items()))).hexdigest()


def read_version(folder: Path) -> StoredVersion:
    """The version in a folder, its bytes not yet proved. Raises NotFound or IntegrityError."""
    return StoredVersion(record=read_record(VersionRecord, folder / RECORD_FILE), folder=folder)


def prove(version: StoredVersion) -> None:
    """Read every file again. Raises DigestMismatch, naming the file, when one is not what was recorded."""
    for name, recorded in version.record.files.items():
        path = version.folder / name
        found = sha256_of_file(path) if path.is_file() else "missing"
        if found != recorded:
            raise DigestMismatch(
                f"{name} of {version.record.name} is not what was packed: sha256 {found}, recorded {recorded}",
                at=str(path),
                hint="import the version again from its archive, or train it again",
            )
    if digest_of(version.record.files) != version.record.digest:
        raise DigestMismatch(
            f"the record of {version.record.name} was changed: its files do not give its digest",
            at=str(version.folder / RECORD_FILE),
            hint="import the version again from its archive, or train it again",
        )


def stored_versions(model: str = "") -> list[StoredVersion]:
    """Every readable version, of one model or of all, newest first. Folders that canario did not write are left out."""
    found = []
    for record in model_store().glob(f"{model or '*'}/*/{RECORD_FILE}"):
        if record.parent.name.startswith(STAGING_PREFIX):
            continue
        try:
            found.append(read_version(record.parent))
        except (NotFound, IntegrityError):
            continue
    return sorted(found, key=lambda version: (-version.record.created_at_seconds, str(version.record.name)))


def find_version(text: str) -> StoredVersion:
    """The version that a person means: `fraud` (the newest), `fraud:v2`, or the unambiguous beginning of a tag.

    Raises NotFound when there is none, UsageError when there are several.
    """
    model, _, tag = text.partition(":")
    candidates = stored_versions(model) if model else []
    if not candidates:
        raise NotFound(
            f"no version of {model!r} is stored here",
            at=str(model_store()),
            hint=(
                f"`canario train {model}` makes one, `canario import FILE` brings one, `canario list` shows all"
                if model
                else "write it as MODEL or MODEL:TAG, such as fraud:v2; `canario list` shows all"
            ),
        )
    if tag in ("", "latest"):
        return candidates[0]
    exact = [version for version in candidates if version.record.name.tag == tag]
    matches = exact or [version for version in candidates if version.record.name.tag.startswith(tag)]
    names = ", ".join(version.record.name.tag for version in (matches or candidates)[:10])
    if not matches:
        raise NotFound(
            f"no version {text} is stored here; there are: {names}", hint=f"`canario list {model}` shows all"
        )
    if len(matches) > 1:
        raise UsageError(f"{text} could be any of: {names}", hint="write more letters of the tag")
    return matches[0]


def version_name(text: str) -> VersionName:
    """`fraud:v2` as a name. Raises UsageError when a part is missing."""
    model, separator, tag = text.partition(":")
    if not (model and separator and tag):
        raise UsageError(f"{text!r} does not name a version", hint="write it as MODEL:TAG, such as fraud:v2")
    return VersionName(model=model, tag=tag)
