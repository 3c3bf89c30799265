"""Rows to send: a model's own generator gives them, as a client would have them; nothing of the label is in them."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from canario.model.feedback import Value
from canario.packaging.rooms import load_room

FIRST_DAY = dt.date(2026, 9, 1)
LAST_DAY = dt.date(2026, 9, 3)
SEED = 4242
"""None of the trainings uses it: these rows are new to every version."""


def sample_rows(model: str, most: int = 2000) -> list[dict[str, Value]]:
    """Up to `most` rows of a model, by column, in plain JSON values."""
    room = load_room(model)
    frame = room.generate(FIRST_DAY, LAST_DAY, SEED)[list(room.card.column_names)].head(most)
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Value:
    """A cell as JSON carries it: a missing number is null."""
    plain: Value = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
