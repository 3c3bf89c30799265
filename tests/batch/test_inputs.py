"""Which files are an input: links, patterns, odd names, and an output that lies among them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from canario.batch.inputs import sources_of
from canario.batch.loading import LoadedVersion
from canario.batch.running import score
from canario.batch.settings import ScoreSettings
from canario.errors import InputError, UsageError
from tests.batch.scored import customers, read, write


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one file, in which one works."""
    write(customers(5), tmp_path / "data/a.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def names(url: Path | str) -> list[str]:
    return [source.name for source in sources_of(str(url), ScoreSettings())]


def test_links_are_what_they_lead_to(data: Path, tmp_path: Path) -> None:
    """A linked file and the files of a linked folder are taken, by a folder and by a pattern alike; a loop ends."""
    write(customers(6), tmp_path / "elsewhere/x.csv")
    (data / "b.csv").symlink_to(tmp_path / "elsewhere/x.csv")
    (data / "sub").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/loop").symlink_to(data)
    assert names(data) == names(data / "**") == names(data / "**/*.csv") == ["a.csv", "b.csv", "sub/x.csv"]
    assert names(data / "*.csv") == names(data / "?.csv") == ["a.csv", "b.csv"]
    assert names(data / "*/*.csv") == ["sub/x.csv"]
    assert sources_of(str(data / "*.csv"), ScoreSettings())[1].size_bytes > 100


def test_a_link_to_nothing_is_called_that(data: Path) -> None:
    """It is not said to be empty, and what no pattern takes is no harm."""
    (data / "b.csv").symlink_to(data / "gone.csv")
    for url in (data, data / "*.csv", data / "b.csv"):
        with pytest.raises(InputError, match=r"b\.csv is a link to .*gone\.csv, which is not there") as error:
            names(url)
        assert error.value.hint
    assert names(data / "a*.csv") == ["a.csv"]


@pytest.mark.parametrize("name", ["a[1].csv", "a*.csv", "a?.csv", "a::b.csv"])
def test_a_file_may_be_called_anything(name: str, data: Path, shop: LoadedVersion, tmp_path: Path) -> None:
    """A file that is there is taken as it is named, whatever a pattern of that name would take."""
    for other in ("a1.csv", "ab.csv"):
        write(customers(7), data / other)
    write(customers(3), data / name)
    for source in (str(data / name), f"data/{name}"):
        assert names(source) == [name]
    score(shop, f"data/{name}", str(tmp_path / "out"), ScoreSettings())
    assert set(read(tmp_path / "out")["file"]) == {name}
    assert names(data / "a[1b].csv") == ["a1.csv", "ab.csv"]


def test_hidden_names_are_left_out_of_patterns_too(data: Path) -> None:
    """What begins with _ or . is no data, unless it was named."""
    for name in ("_rejects/r.csv", ".staging-1.csv", "day=1/_x.csv", "day=1/y.csv"):
        (data / name).parent.mkdir(exist_ok=True)
        shutil.copy(data / "a.csv", data / name)
    assert names(data / "**/*.csv") == names(data) == ["a.csv", "day=1/y.csv"]
    assert names(data / "*.csv") == ["a.csv"]
    assert names(data / "_rejects/*.csv") == ["r.csv"]
    assert names(data / ".staging-1.csv") == [".staging-1.csv"]


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("data", "data"),
        ("data", "data/scores"),
        ("data", "linked/scores"),
        ("linked", "data/scores"),
        ("data/a.csv", "data/a.csv"),
        ("data/*.csv", "data"),
        ("data/**/*.csv", "data/scores"),
        ("data/**/*.csv", "linked/deep/scores"),
        ("linked/**", "data/scores"),
        ("data/*/*.csv", "data/scores"),
        ("data/s*/*.csv", "data/scores"),
        ("./data/../data/*/*.csv", "data/scores"),
        ("**/*.csv", "scores"),
        ("*/*.csv", "scores"),
    ],
)
def test_an_output_that_would_be_read_is_refused(
    source: str, output: str, data: Path, shop: LoadedVersion, tmp_path: Path
) -> None:
    """Whatever the paths are called, the next run would take what this one writes for input."""
    (tmp_path / "linked").symlink_to(data)
    with pytest.raises(UsageError, match="lies inside the input"):
        score(shop, source, output, ScoreSettings())
    assert not (tmp_path / "scores").exists()
    assert [path.name for path in data.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("data/a.csv", "data/scores"),
        ("data/*.csv", "data/scores"),
        ("data/a*", "data/scores"),
        ("data/*", "data/scores"),
        ("data/d*/*.csv", "data/scores"),
        ("data/**/*.csv", "scores"),
        ("data/**/*.csv", "data/_scores"),
        ("d*/*.csv", "scores"),
    ],
)
def test_an_output_that_no_pattern_reaches_is_taken(
    source: str, output: str, data: Path, shop: LoadedVersion, tmp_path: Path
) -> None:
    """Parts beside their input are fine where the pattern does not lead to them; the same command does nothing more."""
    write(customers(4), data / "day/b.csv")
    first = score(shop, source, output, ScoreSettings())
    assert score(shop, source, output, ScoreSettings()) == first
