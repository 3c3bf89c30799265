"""Pack a version with the code that serves it into a Bento of BentoML's store: whole or not at all, and never over another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import canario
from canario.adapters.files import new_folder, remove_stale_staging, write_atomically
from canario.adapters.homes import bento_store, bentoml_home
from canario.adapters.versions import RECORD_FILE, StoredVersion, prove, read_version
from canario.errors import CanarioError, Conflict, IntegrityError, NotFound, UsageError
from canario.model.version import VersionName, VersionRecord
from canario.packaging.publishing import STALE_SECONDS
from canario.packaging.requirements import lean_requirements_of, requirements_of

SOURCE = "src"
VERSION = "version"
SERVICE_FILE = "service.py"
BENTO_FILE = "bentofile.yaml"
REQUIREMENTS_FILE = "requirements.txt"
LEAN_REQUIREMENTS_FILE = "serving.txt"
IMAGE_FILE = "image.dockerfile"
README_FILE = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBento:
    """A Bento in the store, with its own copy of everything that serving needs."""

    name: VersionName
    folder: Path

    @property
    def source_folder(self) -> Path:
        """The Bento's copy of the code; a server process starts in it."""
        return self.folder / SOURCE

    @property
    def version_folder(self) -> Path:
        """The version that the Bento serves: a version's folder as everywhere else."""
        return self.source_folder / VERSION

    @property
    def command(self) -> tuple[str, ...]:
        """The lean start of a server process on the Bento's own code, without ports: needs `environment`."""
        return (sys.executable, "-m", "canario.serving", "--version-folder", str(self.version_folder))

    @property
    def environment(self) -> dict[str, str]:
        """What must be set for `command`, so that Python finds the Bento's code before any other."""
        return {"PYTHONPATH": str(self.source_folder)}


def build(version: StoredVersion) -> PackedBento:
    """Pack a version; one that is packed already is returned as it is, with the code that it was packed with.

    Raises DigestMismatch when the stored bytes are not what was made, Conflict when a Bento of that name holds something
    else, UsageError when this is not a checkout of canario, CanarioError with BentoML's own words when it refuses.
    """
    found = packed(version)
    if found is not None:
        return found
    prove(version)
    root = _checkout()
    name = version.record.name
    folder = bento_store() / name.model / name.tag
    bentoml_home().mkdir(parents=True, exist_ok=True)
    remove_stale_staging(bentoml_home(), STALE_SECONDS, time.time())
    try:
        with new_folder(folder, staging_in=bentoml_home()) as staging:
            _build_in(staging, version, root)
            (folder.parent / "latest").unlink(missing_ok=True)
    except OSError:
        found = packed(version)
        if found is not None:
            return found
        raise
    write_atomically(folder.parent / "latest", name.tag.encode())
    return PackedBento(name=name, folder=folder)


def packed(version: StoredVersion) -> PackedBento | None:
    """The Bento of a version, if there is one. Raises Conflict when its name belongs to something else."""
    name = version.record.name
    folder = bento_store() / name.model / name.tag
    if not folder.exists():
        return None
    bento = PackedBento(name=name, folder=folder)
    try:
        digest = read_version(bento.version_folder).record.digest
    except (NotFound, IntegrityError):
        digest = ""
    if digest != version.record.digest:
        raise Conflict(
            f"there is a Bento {name} already, and it holds {digest[:19] or 'something else'}, not {version.record.digest[:19]}",
            at=str(folder),
            hint=f"`bentoml delete {name}` removes it",
        )
    return bento


def _checkout() -> Path:
    root = Path(canario.__file__).parents[1]
    if not (root / SERVICE_FILE).is_file() or not (root / BENTO_FILE).is_file():
        raise UsageError(
            "Bentos are built from a checkout of canario, with service.py and bentofile.yaml",
            at=str(root),
            hint="clone the repository and install it with `make setup`",
        )
    return root


def _build_in(staging: Path, version: StoredVersion, root: Path) -> None:
    """Have BentoML build in a home of its own, so that nobody sees a Bento before it is whole."""
    home = staging / "home"
    with tempfile.TemporaryDirectory(prefix="canario-build-") as folder:
        context = Path(folder)
        shutil.copytree(root / "canario", context / "canario", ignore=shutil.ignore_patterns("__pycache__"))
        for file in (SERVICE_FILE, BENTO_FILE):
            shutil.copy(root / file, context / file)
        (context / VERSION).mkdir()
        for file in (RECORD_FILE, *version.record.files):
            shutil.copy(version.folder / file, context / VERSION / file)
        kernel = version.record.kernel.kind
        (context / REQUIREMENTS_FILE).write_text("".join(f"{line}\n" for line in requirements_of(kernel)))
        (context / LEAN_REQUIREMENTS_FILE).write_text("".join(f"{line}\n" for line in lean_requirements_of(kernel)))
        (context / IMAGE_FILE).write_text(_image(version.record), encoding="utf-8")
        (context / README_FILE).write_text(_readme(version.record), encoding="utf-8")
        _run_bentoml(context, home, version.record)
    built = home / "bentos" / version.record.name.model / version.record.name.tag
    for each in built.iterdir():
        each.rename(staging / each.name)
    shutil.rmtree(home)


def _run_bentoml(context: Path, home: Path, record: VersionRecord) -> None:
    name = record.name
    options = [
        "--name",
        name.model,
        "--version",
        name.tag,
        "--label",
        f"digest={record.digest.removeprefix('sha256:')[:16]}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", *options, "--output", "tag", str(context)],
        cwd=context,
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(context)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise CanarioError(
            f"BentoML did not build {name}: {words[-1] if words else 'it says nothing'}", hint="\n".join(words[-15:])
        )


def _image(record: VersionRecord) -> str:
    """How this version becomes an image; a label says what is inside."""
    template = (Path(__file__).parent / IMAGE_FILE).read_text(encoding="utf-8")
    return f'{template}LABEL dev.canario.digest="{record.digest}" dev.canario.version="{record.name}"\n'


def _readme(record: VersionRecord) -> str:
    scores = "".join(
        f"| {score.name} | {score.value:.3g} {score.unit} | {score.low:.3g} to {score.high:.3g} | {score.rows} |\n"
        for score in record.scores
    )
    return (
        f"# {record.name}\n\n"
        f"`bentoml serve {record.name}` serves it over REST. In `src`, `python -m canario.serving --version-folder version`\n"
        "serves it over REST and gRPC without BentoML.\n\n"
        f"- estimator: {record.estimator}\n- kernel: {record.kernel.kind} ({record.kernel.reason})\n"
        f"- digest: `{record.digest}`\n- data: `{record.data_digest}`\n- code: {record.code_commit or 'unknown'}\n\n"
        f"| score | value | 95 % interval | rows |\n|---|---|---|---|\n{scores}"
    )
