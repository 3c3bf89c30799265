"""The rooms of the models, `bentos/<model>/`: their card and their own code, loaded; what they share is in `training`."""

from __future__ import annotations

import datetime as dt
import importlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pandas as pd

from canario.adapters.homes import rooms_folder
from canario.errors import CanarioError, CardError, NotFound, UsageError
from canario.model.card import Card
from canario.packaging.cards import read_card

CARD_FILE = "model.yaml"
ROLLOUT_FILE = "rollout.yaml"
EVENT_TIME = "event_time"
"""The column of a room's rows that says when each happened; not one of the model's own columns."""
PACKAGE = "canario_rooms"
"""The package under which rooms' code is imported, wherever their folder lies."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One model's room. `data` and `train` are its modules; an adopted model may have neither."""

    card: Card
    folder: Path
    data: ModuleType | None
    train: ModuleType | None

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def rollout_file(self) -> Path:
        return self.folder / ROLLOUT_FILE

    @property
    def estimators(self) -> tuple[str, ...]:
        """The names that can be trained; the first is the default. Empty: this room cannot train."""
        return tuple(getattr(self.train, "ESTIMATORS", ())) if self.data else ()

    @property
    def modules(self) -> tuple[ModuleType, ...]:
        """All code of the room that has been imported."""
        prefix = f"{PACKAGE}.{self.folder.name}."
        return tuple(module for name, module in sys.modules.items() if name.startswith(prefix))

    def generate(self, first_day: dt.date, last_day: dt.date, seed: int) -> pd.DataFrame:
        """The room's rows from first to last day, in order of time. Raises UsageError when they do not fit the card."""
        data = self._module(self.data, "data")
        frame: pd.DataFrame = self.run(lambda: data.generate(first_day, last_day, seed))
        missing = [name for name in (EVENT_TIME, *self.card.column_names, self.card.label.name) if name not in frame]
        if missing:
            raise UsageError(
                f"the rows of {self.name} lack {', '.join(missing)}",
                at=str(self.folder / "data.py"),
                hint="generate() gives event_time, the card's columns and the label",
            )
        return frame.sort_values(EVENT_TIME, kind="stable", ignore_index=True)

    def build_estimator(self, name: str, seed: int) -> Any:
        """An unfitted estimator. Raises UsageError when the room has none of that name."""
        train = self._module(self.train, "train")
        if name not in self.estimators:
            raise UsageError(
                f"{self.name} has no estimator {name!r}",
                at="--estimator",
                hint=f"there are: {', '.join(self.estimators)}",
            )
        return self.run(lambda: train.build_estimator(name, seed))

    def _module(self, module: ModuleType | None, name: str) -> ModuleType:
        if module is None:
            raise UsageError(
                f"{self.name} cannot be trained here: its room has no {name}.py",
                at=str(self.folder / f"{name}.py"),
                hint="bentos/loan shows the two files that training needs, data.py and train.py",
            )
        return module

    def run(self, call: Callable[[], T]) -> T:
        """Call the room's own code. Raises UsageError, with the line that failed, whatever it raises."""
        try:
            return call()
        except CanarioError:
            raise
        except Exception as failed:
            raise _code_failed(failed, self.folder) from failed


def room_names() -> list[str]:
    """The models that have a room, in alphabetical order."""
    return sorted(card.parent.name for card in rooms_folder().glob(f"*/{CARD_FILE}"))


def load_room(name: str) -> Room:
    """A model's room, its code freshly imported. Raises NotFound, CardError, or UsageError when its code fails."""
    folder = rooms_folder() / name
    if name not in room_names():
        raise NotFound(
            f"there is no model room {name!r}",
            at=str(folder),
            hint=f"rooms here: {', '.join(room_names()) or 'none'}; CANARIO_ROOMS names another folder of rooms",
        )
    card = read_card(folder / CARD_FILE)
    if card.name != name:
        raise CardError(
            f"name: the card of room {name} says {card.name!r}",
            at=f"{folder / CARD_FILE}: name",
            hint="a model is named like the folder of its room",
        )
    _forget(name)
    package = ModuleType(f"{PACKAGE}.{name}")
    package.__path__ = [str(folder)]
    sys.modules.setdefault(PACKAGE, ModuleType(PACKAGE))
    sys.modules[package.__name__] = package
    return Room(card=card, folder=folder, data=_import(folder, "data"), train=_import(folder, "train"))


def _forget(name: str) -> None:
    """Rooms of the same name may lie in several folders, and code may have changed since it was imported."""
    package = f"{PACKAGE}.{name}"
    for module in [found for found in sys.modules if found == package or found.startswith(package + ".")]:
        del sys.modules[module]
    importlib.invalidate_caches()


def _import(folder: Path, name: str) -> ModuleType | None:
    if not (folder / f"{name}.py").is_file():
        return None
    try:
        return importlib.import_module(f"{PACKAGE}.{folder.name}.{name}")
    except Exception as failed:
        raise _code_failed(failed, folder) from failed


def _code_failed(failed: Exception, folder: Path) -> UsageError:
    frames = [frame for frame in traceback.extract_tb(failed.__traceback__) if frame.filename.startswith(str(folder))]
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(folder)
    return UsageError(
        f"the room's own code failed: {type(failed).__name__}: {failed}", at=at, hint="mend it; `python -m pdb` helps"
    )
