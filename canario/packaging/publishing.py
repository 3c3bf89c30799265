"""Put a version into BentoML's model store by one rename: whole or not at all, and never over another."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from canario.adapters.documents import to_yaml
from canario.adapters.files import STAGING_PREFIX, new_folder, remove_stale_staging, write_atomically
from canario.adapters.homes import bentoml_home, model_store
from canario.adapters.versions import CARD_FILE, RECORD_FILE, StoredVersion, digest_of, read_version
from canario.errors import Conflict, IntegrityError, NotFound, UsageError
from canario.model.card import Card
from canario.model.version import TAG_PATTERN, KernelChoice, Score, VersionName, VersionRecord
from canario.packaging.provenance import libraries

BENTO_MODEL_FILE = "model.yaml"
TAG = re.compile(TAG_PATTERN)
STALE_SECONDS = 3600.0
"""No writer takes as long as this, so what is older was left by one that was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Everything of a version but its name and its digest, which follow from it."""

    card: Card
    contents: Mapping[str, bytes]
    """The files that are served, by name; the card's own file is added."""
    kernel: KernelChoice
    data_digest: str
    code_commit: str
    estimator: str
    scores: tuple[Score, ...] = ()
    training: Mapping[str, str] = field(default_factory=dict)


def publish_draft(draft: Draft, tag: str = "") -> StoredVersion:
    """Name a draft, `<yyyymmdd>-<8 hex of the digest>` unless `tag` says otherwise, and publish it.

    Raises what `publish` raises.
    """
    contents = {CARD_FILE: to_yaml(draft.card).encode(), **draft.contents}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    digest = digest_of(files)
    now_seconds = time.time()
    day = dt.datetime.fromtimestamp(now_seconds, dt.UTC).strftime("%Y%m%d")
    name = VersionName(model=draft.card.name, tag=tag or f"{day}-{digest.removeprefix('sha256:')[:8]}")
    record = VersionRecord(
        name=name,
        digest=digest,
        files=files,
        created_at_seconds=now_seconds,
        kernel=draft.kernel,
        data_digest=draft.data_digest,
        code_commit=draft.code_commit,
        libraries=libraries(),
        scores=draft.scores,
        estimator=draft.estimator,
        training=draft.training,
    )
    return publish(record, contents)


def publish(record: VersionRecord, contents: Mapping[str, bytes]) -> StoredVersion:
    """Store a version whose files are given; one that is stored already under its name and digest is returned as it is.

    Raises UsageError when the tag is not one, Conflict when the name belongs to other bytes.
    """
    check_tag(record.name.tag)
    folder = model_store() / record.name.model / record.name.tag
    if folder.exists():
        return _already_stored(record, folder)
    model_store().mkdir(parents=True, exist_ok=True)
    remove_stale_staging(bentoml_home(), STALE_SECONDS, time.time())
    try:
        # BentoML lists every folder of its stores and stumbles over names that are no tags, so staging lies outside.
        with new_folder(folder, staging_in=bentoml_home()) as staging:
            for name, content in contents.items():
                (staging / name).write_bytes(content)
            (staging / RECORD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
            _write_bento_model(record, staging)
            # BentoML finds the newest by itself while there is no such file; an outdated one it would believe.
            (folder.parent / "latest").unlink(missing_ok=True)
    except OSError:
        if folder.exists():
            return _already_stored(record, folder)
        raise
    write_atomically(folder.parent / "latest", record.name.tag.encode())
    return read_version(folder)


def check_tag(tag: str) -> None:
    """Raise UsageError when a text cannot be a version's tag."""
    if not TAG.fullmatch(tag) or tag == "latest" or tag.startswith(STAGING_PREFIX):
        raise UsageError(
            f"{tag!r} cannot be a version's tag",
            at="--tag",
            hint="use lower-case letters, digits, '-', '.' and '_', at most 63, such as v2; `latest` is taken",
        )


def _already_stored(record: VersionRecord, folder: Path) -> StoredVersion:
    try:
        stored = read_version(folder)
    except (NotFound, IntegrityError) as foreign:
        raise Conflict(
            f"{record.name} is there already, and canario did not write it", at=str(folder), hint="choose another --tag"
        ) from foreign
    if stored.record.digest != record.digest:
        raise Conflict(
            f"{record.name} is there already with other content: {stored.record.digest[:19]}, not {record.digest[:19]}",
            at=str(folder),
            hint="a version never changes: choose another --tag, or leave --tag out",
        )
    return stored


def _write_bento_model(record: VersionRecord, folder: Path) -> None:
    """BentoML's own page of the folder, by BentoML's own classes, so that `bentoml models` knows the version."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    from bentoml import Tag
    from bentoml._internal.models.model import ModelContext, ModelInfo, ModelOptions

    info = ModelInfo(
        tag=Tag(record.name.model, record.name.tag),
        module="",
        labels={"canario": "version"},
        options=ModelOptions(),
        metadata={"digest": record.digest, "kernel": str(record.kernel.kind), "estimator": record.estimator},
        context=ModelContext(framework_name="scikit-learn", framework_versions=dict(record.libraries)),
        signatures={},
        api_version="v1",
        creation_time=dt.datetime.fromtimestamp(record.created_at_seconds, dt.UTC),
    )
    with (folder / BENTO_MODEL_FILE).open("w", encoding="utf-8") as page:
        info.dump(page)
