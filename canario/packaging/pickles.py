"""A fitted estimator as bytes that joblib.load reads anywhere, and that are the same whenever it is the same."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # it ships no types

PROTOCOL = 5
_ADDRESS = "_stop_words_id"
"""scikit-learn's text vectorizers keep the memory address of their stop words, and do well without it."""


class _SteadyPickler(cloudpickle.Pickler):  # type: ignore[misc]  # its base has no types
    def reducer_override(self, part: Any) -> Any:
        """Leave the address out of a vectorizer's state; all else is cloudpickle's."""
        if _ADDRESS not in getattr(part, "__dict__", {}):
            return super().reducer_override(part)
        rebuild, arguments, state, *_ = part.__reduce_ex__(PROTOCOL)
        return rebuild, arguments, {name: value for name, value in state.items() if name != _ADDRESS}


def pickled(estimator: Any, by_value: tuple[ModuleType, ...] = ()) -> bytes:
    """Pickle an estimator; the code of these modules travels inside it, so that no server needs to find them."""
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        stream = io.BytesIO()
        _SteadyPickler(stream, protocol=PROTOCOL).dump(estimator)
        return stream.getvalue()
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)
