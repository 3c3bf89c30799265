"""The files of a partitioned run: every index deals out one list, whatever comes or goes between their starts."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from canario.batch.dealing import LIST_FILE, close
from canario.batch.loading import LoadedVersion
from canario.batch.places import Place, place_of
from canario.batch.running import score
from canario.batch.settings import ScoreSettings
from canario.errors import Conflict, InputError, IntegrityError, UsageError
from tests.batch.scored import bytes_of, customers, read, write


@pytest.fixture
def week(tmp_path: Path) -> Path:
    """A folder of three files of different rows."""
    for number, name in enumerate("abc"):
        write(customers(20 + number, seed=number), tmp_path / f"week/{name}.csv")
    return tmp_path / "week"


def share(index: int, indexes: int = 2) -> ScoreSettings:
    return ScoreSettings(partition=index, partitions=indexes, rows_a_part=15)


def files(output: Path) -> dict[str, list[str]]:
    """Which input's rows each index answered."""
    return {
        folder.name: sorted(set(read(folder)["file"])) if list(folder.glob("part-*")) else []
        for folder in sorted(output.glob("index-*"))
    }


def test_a_file_that_comes_between_two_starts_moves_no_other(week: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Every file of the run is answered once, by the index that the list gives it; what came later is told of, and left."""
    output, said = tmp_path / "out", list[str]()
    score(shop, str(week), str(output), share(0), note=said.append)
    assert said == []
    write(customers(9, seed=9), week / "0-late.csv")
    (week / "readme.txt").write_text("no table")
    score(shop, str(week), str(output), share(1), note=said.append)
    assert files(output) == {"index-0": ["a.csv", "c.csv"], "index-1": ["b.csv"]}
    assert said == ["files that came after the run had begun, and belong to the next one: 2 (0-late.csv, readme.txt)"]
    assert score(shop, str(week), str(output), share(0)).rows == 42


def test_a_file_that_goes_is_named_by_the_index_that_had_it(week: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """The others are answered as before; when it is back the same command goes on."""
    output = tmp_path / "out"
    score(shop, str(week), str(output), share(0))
    kept = (week / "b.csv").read_bytes()
    (week / "b.csv").unlink()
    with pytest.raises(InputError, match=r"b\.csv has gone from the input since the run began") as gone:
        score(shop, str(week), str(output), share(1))
    assert "bring it back" in gone.value.hint
    score(shop, str(week), str(output), share(0))
    (week / "b.csv").write_bytes(kept)
    score(shop, str(week), str(output), share(1))
    assert files(output) == {"index-0": ["a.csv", "c.csv"], "index-1": ["b.csv"]}


def test_another_run_is_never_mixed_in(
    week: Path, shop: LoadedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another input, or another number of indexes, in the same OUTPUT: a conflict that says which; --restart of an index
    keeps the list.
    """
    output = tmp_path / "out"
    score(shop, str(week), str(output), share(0))
    with pytest.raises(Conflict, match="deals files out to 2 indexes, and this one to 3") as conflict:
        score(shop, str(week), str(output), share(1, 3))
    assert "remove this one" in conflict.value.hint
    write(customers(5), tmp_path / "month/b.csv")
    with pytest.raises(Conflict, match=r"its input is .*/week, and this one's .*/month"):
        score(shop, str(tmp_path / "month"), str(output), share(1))
    before = (output / LIST_FILE).read_bytes()
    write(customers(9, seed=9), week / "0-late.csv")
    score(shop, str(week), str(output), dataclasses.replace(share(0), restart=True))
    assert (output / LIST_FILE).read_bytes() == before
    assert files(output) == {"index-0": ["a.csv", "c.csv"]}
    monkeypatch.chdir(tmp_path)
    score(shop, "./week/", str(output), share(1))


def test_indexes_that_begin_at_once_deal_out_one_list(
    week: Path, shop: LoadedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that both found no list agree on the one that was written first."""
    output = tmp_path / "out"
    write_new = Place.write_new

    def late(self: Place, content: bytes) -> None:
        """Another index has been faster, and found a file less."""
        monkeypatch.setattr(Place, "write_new", write_new)
        hidden = (week / "a.csv").rename(tmp_path / "hidden")
        score(shop, str(week), str(output), share(0))
        hidden.rename(week / "a.csv")
        write_new(self, content)

    monkeypatch.setattr(Place, "write_new", late)
    score(shop, str(week), str(output), share(1))
    assert files(output) == {"index-0": ["b.csv"], "index-1": ["c.csv"]}
    with ThreadPoolExecutor(8) as many:
        for number in range(20):
            place = place_of(str(tmp_path / f"new/{number}"))
            words = [f"{word}" * 10_000 for word in range(8)]
            list(many.map(place.write_new, (word.encode() for word in words)))
            assert place.read().decode() in words
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(map(str, range(20)))


def test_a_run_that_is_done_is_the_same_wherever_its_input_was(week: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Two mounts of the same files come to the same bytes; readers of OUTPUT/*/part-* see parts alone, and what kills left
    of the list is away.
    """
    for output in ("here", "there"):
        source = week if output == "here" else week.rename(tmp_path / "mounted")
        (tmp_path / output).mkdir()
        (tmp_path / output / f".staging-{LIST_FILE}-00ff").touch()
        for index in (1, 0):
            score(shop, str(source), str(tmp_path / output), share(index))
    assert bytes_of(tmp_path / "here") == bytes_of(tmp_path / "there")
    assert json.loads((tmp_path / "here" / LIST_FILE).read_bytes())["files"] == ["a.csv", "b.csv", "c.csv"]
    rows = pd.concat(pd.read_csv(path) for path in (tmp_path / "here").glob("*/part-*"))
    assert len(rows) == 63


def test_the_last_indexes_may_end_at_once(week: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Each finds that all are done, and none fails for the others' doing the same."""
    output = tmp_path / "out"
    for index in range(2):
        score(shop, str(week), str(output), share(index))
    done = (output / LIST_FILE).read_bytes()
    begun = done.replace(b'"input": ""', b'"input": "somewhere"')
    with ThreadPoolExecutor(8) as many:
        for _ in range(50):
            (output / LIST_FILE).write_bytes(begun)
            list(many.map(lambda _: close(place_of(str(output)), share(0)), range(8)))
            assert (output / LIST_FILE).read_bytes() == done
    assert sorted(path.name for path in output.iterdir()) == [LIST_FILE, "index-0", "index-1"]


def test_a_list_that_is_none_is_told(week: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """Neither a file that no index could read is listed, nor a broken list believed."""
    output = tmp_path / "out"
    (week / "readme.txt").write_text("no table")
    with pytest.raises(UsageError, match=r"readme\.txt"):
        score(shop, str(week), str(output), share(0))
    assert not (output / LIST_FILE).exists()
    (week / "readme.txt").unlink()
    output.mkdir()
    (output / LIST_FILE).write_text("{")
    with pytest.raises(IntegrityError) as broken:
        score(shop, str(week), str(output), share(0))
    assert str(output / LIST_FILE) in broken.value.at
