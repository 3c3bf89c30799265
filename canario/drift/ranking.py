"""Which columns matter first: a column that has moved far and moves the scores far stands above one that does neither.

A column's weight is the PSI that chance does not explain, times the share of the scores' movement that the column causes when
its values are shuffled (Reference.importances). References without importances give every column the same.
"""

from __future__ import annotations

from collections.abc import Mapping


def ranked(excess: Mapping[str, float], importances: Mapping[str, float]) -> dict[str, float]:
    """The columns by falling weight; where weights are equal (often 0), by excess, then by name."""
    same = 1 / max(1, len(excess))
    weights = {name: max(0.0, value) * importances.get(name, same) for name, value in excess.items()}
    order = sorted(weights, key=lambda name: (-weights[name], -excess[name], name))
    return {name: weights[name] for name in order}
