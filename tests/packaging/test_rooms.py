"""What a model's room promises, and how one that is not in order is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from canario.errors import CardError, NotFound, UsageError
from canario.packaging.rooms import load_room, room_names

CARD = {
    "name": "toy",
    "title": "Toy",
    "columns": [
        {"name": "size", "kind": "number", "minimum": 0, "maximum": 10, "example": 2},
        {"name": "colour", "kind": "category", "categories": ["red", "blue"], "example": "red"},
    ],
    "label": {"name": "price", "task": "regression"},
}
DATA = """
import pandas as pd

def generate(first_day, last_day, seed, rows_per_day=10):
    return pd.DataFrame({"event_time": pd.to_datetime([first_day] * 60), "size": 1.0, "colour": "red", "price": 2.0})
"""
TRAIN = """
from sklearn.dummy import DummyRegressor

ESTIMATORS = ("dummy",)

def build_estimator(name, seed):
    return DummyRegressor()
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A room that is in order."""
    monkeypatch.setenv("CANARIO_ROOMS", str(tmp_path / "rooms"))
    folder = tmp_path / "rooms" / "toy"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(CARD))
    (folder / "data.py").write_text(DATA)
    (folder / "train.py").write_text(TRAIN)
    return folder


def test_room_is_found_by_its_name(room: Path) -> None:
    """A folder with a card is a room, and its code is loaded from wherever it lies."""
    assert room_names() == ["toy"]
    loaded = load_room("toy")
    assert (loaded.name, loaded.estimators) == ("toy", ("dummy",))
    assert loaded.rollout_file == room / "rollout.yaml"


def test_changed_code_is_seen_at_the_next_load(room: Path) -> None:
    """Loading a room again loads what its files say now."""
    assert load_room("toy").estimators == ("dummy",)
    (room / "train.py").write_text(TRAIN.replace('("dummy",)', '("other", "more")'))
    assert load_room("toy").estimators == ("other", "more")


@pytest.mark.parametrize("name", ["nobody", "../rooms/toy", "", "toy/"])
def test_unknown_room_is_not_found(room: Path, name: str) -> None:
    """A name that is no room's is not found, and the message lists the rooms."""
    with pytest.raises(NotFound) as missing:
        load_room(name)
    assert "toy" in missing.value.hint


BROKEN_CODE: dict[str, tuple[str, str, str]] = {
    "syntax": ("data.py", "def generate(:", "SyntaxError"),
    "import": ("train.py", "import nowhere_to_be_found", "ModuleNotFoundError"),
    "raises": ("data.py", DATA.replace("return", "raise ValueError('no rows today')\n    return"), "no rows today"),
    "lacks the label": ("data.py", DATA.replace('"price": 2.0', '"cost": 2.0'), "lack price"),
    "lacks the time": ("data.py", DATA.replace('"event_time"', '"when"'), "lack event_time"),
}


@pytest.mark.parametrize("case", BROKEN_CODE)
def test_broken_code_is_reported_with_its_file(room: Path, case: str) -> None:
    """When the room's own code fails, the error says what failed and where, without a traceback."""
    file, code, words = BROKEN_CODE[case]
    (room / file).write_text(code)
    with pytest.raises(UsageError, match=words) as failed:
        load_room("toy").generate(dt.date(2026, 1, 1), dt.date(2026, 1, 2), seed=0)
    assert str(room) in failed.value.at


Change = Callable[[dict[str, object]], object]


def _column(number: int, **changes: object) -> Change:
    return lambda card: card["columns"][number].update(changes)  # type: ignore[index]  # plain YAML


def _label(**changes: object) -> Change:
    return lambda card: card["label"].update(changes)  # type: ignore[attr-defined]  # plain YAML


CARDS: dict[str, tuple[Change, str]] = {
    "another name": (lambda card: card.update(name="other"), "name"),
    "odd name": (lambda card: card.update(name="Toy!"), "name"),
    "unknown field": (lambda card: card.update(colour="red"), "colour"),
    "no columns": (lambda card: card.update(columns=[]), "columns"),
    "twice the same column": (_column(1, name="size"), "columns.1.name"),
    "column named like the label": (_column(0, name="price"), "columns.0.name"),
    "quote in a column's name": (_column(1, name='the "big" one'), "columns.1.name"),
    "backslash in a column's name": (_column(1, name="a\\b"), "columns.1.name"),
    "line break in a column's name": (_column(1, name="a\nb"), "columns.1.name"),
    "unknown kind": (_column(0, kind="float"), "columns.0.kind"),
    "text for a number": (_column(0, maximum="ten"), "columns.0.maximum"),
    "bounds swapped": (_column(0, minimum=11), "columns.0.minimum"),
    "bounds of words": (_column(1, minimum=1), "columns.1.minimum"),
    "no categories": (_column(1, categories=[]), "columns.1.categories"),
    "categories of a number": (_column(0, categories=["a"]), "columns.0.categories"),
    "a category twice": (_column(1, categories=["red", "red"]), "columns.1.categories"),
    "example out of bounds": (_column(0, example=11), "columns.0.example"),
    "example of another kind": (_column(0, example=True), "columns.0.example"),
    "example of no category": (_column(1, example="green"), "columns.1.example"),
    "one class": (_label(task="classification", classes=["a"]), "label.classes"),
    "classes of a regression": (_label(classes=["a", "b"]), "label.classes"),
    "threshold of 2": (_label(threshold=2), "label.threshold"),
    "no tolerance": (_label(tolerance_percent=0), "label.tolerance_percent"),
    "no latency": (lambda card: card.update(objectives={"latency_milliseconds": 0}), "objectives.latency_milliseconds"),
    "share of 101 %": (lambda card: card.update(objectives={"error_percent": 101}), "objectives.error_percent"),
}


@pytest.mark.parametrize("case", CARDS)
def test_card_that_contradicts_itself_is_refused(room: Path, case: str) -> None:
    """A card that cannot be honoured is refused before anything is done, with the file and the field."""
    change, field = CARDS[case]
    card = yaml.safe_load(yaml.safe_dump(CARD))
    change(card)
    (room / "model.yaml").write_text(yaml.safe_dump(card))
    with pytest.raises(CardError) as refused:
        load_room("toy")
    assert refused.value.at == f"{room / 'model.yaml'}: {field}"
    assert refused.value.hint
