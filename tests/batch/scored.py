"""Tables of customers to be scored, with rows that do not fit, and what a scoring has left in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
from pyarrow import csv

from tests.serving.small_versions import shop_rows

WRITERS = ("csv", "csv.gz", "parquet", "arrow", "arrows")


def customers(count: int, seed: int = 1, misfits: tuple[int, ...] = ()) -> pd.DataFrame:
    """Rows of the shop with an id each; those at `misfits` have an amount that the card does not allow."""
    rows = shop_rows(count, seed)
    rows.insert(0, "id", [f"c{place:06d}" for place in range(count)])
    rows.loc[list(misfits), "amount"] = 5000.0
    return rows


def write(rows: pd.DataFrame, path: Path, rows_a_group: int = 500) -> Path:
    """Rows as the file that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    match path.name.partition(".")[2]:
        case "csv":
            csv.write_csv(table, path)
        case "csv.gz":
            with pa.CompressedOutputStream(str(path), "gzip") as compressed:
                csv.write_csv(table, compressed)
        case "parquet":
            pq.write_table(table, path, row_group_size=rows_a_group)
        case "arrow":
            pa.feather.write_feather(table, str(path), compression="uncompressed", chunksize=rows_a_group)
        case "arrows":
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=rows_a_group)
    return path


def read(folder: Path, pattern: str = "part-*") -> pd.DataFrame:
    """All parts of an output, or its rejects, one after the other."""
    frames = [pd.DataFrame(read_table(path).to_pydict()) for path in sorted(folder.glob(pattern))]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def read_table(path: Path) -> pa.Table:
    """One file, as a reader of such files sees it."""
    match path.suffix:
        case ".csv":
            return csv.read_csv(path)
        case ".parquet":
            return pq.read_table(path)
        case _:
            return pa.feather.read_table(str(path))


def bytes_of(folder: Path) -> dict[str, str]:
    """The digest of every file of an output, by its path below the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def answers_of(loaded: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """What the version answers to the same rows, asked directly."""
    answers: pd.DataFrame = loaded.predict(rows)
    return answers
