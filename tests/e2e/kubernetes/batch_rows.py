"""Rows on a volume for the tests of batches in a cluster: the same files each time, what they should become, and what became of them."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from canario.cli.main import run
from canario.model.batch import Manifest
from demo.rows import sample_rows
from tests.e2e.kubernetes.kube import Kube

MODEL = "fraud"
PACKED = "/srv/model/version"
_TAR = (
    "import base64, io, sys, tarfile; buffer = io.BytesIO(); "
    f"tarfile.open(fileobj=buffer, mode='w').add('{PACKED}', 'version'); "
    "sys.stdout.write(base64.b64encode(buffer.getvalue()).decode())"
)


def write_rows(folder: Path, files: int, rows_a_file: int, bad_every: int = 0) -> int:
    """Parquet files of rows that differ from file to file, and how many rows do not fit: one in `bad_every`."""
    folder.mkdir(parents=True)
    known = pa.Table.from_pylist(sample_rows(MODEL))
    bad = 0
    for number in range(files):
        indices = pa.array([(row * 7 + number * 13) % len(known) for row in range(rows_a_file)], pa.int64())
        table = known.take(indices).append_column("id", pa.array(range(rows_a_file), pa.int64()))
        if bad_every:
            hours = table.column("hour").to_pylist()
            hours[::bad_every] = [99] * len(hours[::bad_every])
            bad += len(hours[::bad_every])
            table = table.set_column(table.schema.get_field_index("hour"), "hour", pa.array(hours, pa.int64()))
        pq.write_table(table, folder / f"part-{number}.parquet")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return bad


def version_of_pod(kube: Kube, pod: str, namespace: str, folder: Path) -> Path:
    """The version that a server's pod really has, copied out of it."""
    text = kube.kubectl("exec", pod, f"--namespace={namespace}", "--", "/opt/canario/bin/python", "-c", _TAR)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(text))) as packed:
        packed.extractall(folder, filter="data")
    return folder / "version"


def score_here(version: Path, source: Path, output: Path, indexes: int, *words: str) -> Path:
    """The same scoring on this machine, undisturbed, index after index."""
    for index in range(indexes):
        share = (f"--index={index}", f"--indexes={indexes}", "--format=parquet")
        code = run(["score", MODEL, str(source), str(output), f"--version-folder={version}", *share, *words])
        assert code == 0, f"index {index} ended with exit code {code}"
    return output


def written(output: Path) -> dict[str, str]:
    """All that a scoring has written, by path: what readers read, to the byte."""
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }


def manifest(output: Path) -> Manifest:
    """What one index says that it did."""
    return msgspec.json.decode((output / "_manifest.json").read_bytes(), type=Manifest)
