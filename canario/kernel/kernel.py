"""The seam between serving and what computes: a loaded model that answers columns with predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from canario.kernel.predictions import Predictions
from canario.model.version import KernelChoice

Columns: TypeAlias = Mapping[str, NDArray[Any]]
"""One array of shape [n] for each column of the card, in its order; `canario.kernel.columns` says which types."""


class Kernel(Protocol):
    """A loaded model. The same row gets bit-identical answers alone and in any batch."""

    @property
    def choice(self) -> KernelChoice:
        """Which kernel this is, and why."""

    def predict(self, columns: Columns) -> Predictions:
        """Answer one row or more. Raises KernelError when the model itself fails."""


def rows_of(columns: Columns) -> int:
    """The number of rows."""
    return len(next(iter(columns.values())))


def row_of(columns: Columns, row: int) -> dict[str, NDArray[Any]]:
    """One row, as columns of length one."""
    return rows_from(columns, row, row + 1)


def rows_from(columns: Columns, start: int, end: int) -> dict[str, NDArray[Any]]:
    """The rows from one on and up to another, that one not included."""
    return {name: values[start:end] for name, values in columns.items()}
