"""The files that people try batches and streams with hold what a version takes, and the same each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from canario.errors import UsageError
from canario.kernel.columns import columns_from_frame
from canario.packaging.rooms import Room, load_room
from demo.tables import ID_COLUMN, WRITERS, write

ROOMS = Path(__file__).parents[2] / "bentos"
READERS: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".arrow": pd.read_feather,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}


@pytest.fixture(params=["fraud", "loan"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Room:
    """Each of the project's rooms."""
    monkeypatch.setenv("CANARIO_ROOMS", str(ROOMS))
    return load_room(request.param)


@pytest.mark.parametrize("ending", WRITERS)
def test_a_table_fits_the_card(room: Room, ending: str, tmp_path: Path) -> None:
    """Every kind of file holds the card's columns and as many rows as were asked for; twice the same command, twice the same rows."""
    first, second = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
    write(room, 2000, first)
    write(room, 2000, second)
    assert first.read_bytes() == second.read_bytes()
    frame = READERS[ending](first)
    columns = columns_from_frame(room.card, frame)
    assert {len(values) for values in columns.values()} == {2000}
    assert room.card.label.name not in frame
    if ending != ".jsonl":
        assert frame[ID_COLUMN].is_unique


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which endings there are."""
    monkeypatch.setenv("CANARIO_ROOMS", str(ROOMS))
    with pytest.raises(UsageError, match=r"rows\.xlsx") as refused:
        write(load_room("fraud"), 10, tmp_path / "rows.xlsx")
    assert ".parquet" in refused.value.hint
