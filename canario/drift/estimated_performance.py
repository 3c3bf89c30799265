"""Quality before any label has come: what the scores alone say that recall, precision and accuracy are by now.

In each bin of the scores as many positives are expected among today's rows as there were among the reference's, row for row
(confidence-based performance estimation, by bins that calibrate themselves). It sees inputs that move: more rows of
the kind that the model is unsure of. It can't see a truth that changes while the scores stay, such as a new kind of fraud
that looks like everyday payments; only labels, or new words, tell that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One figure of quality as the scores foretell it."""

    name: str
    """As among the version's scores: recall, precision, accuracy."""
    value: float
    """0 to 1."""
    low: float
    """The lower end of the 95 % interval of what labels of these very rows would show."""
    high: float
    reference: float
    """The same figure of the reference's rows."""


def estimated_performance(
    reference: Sequence[int], positives: Sequence[int], now: Sequence[int], first_positive: int
) -> tuple[Estimate, ...]:
    """Recall, precision and accuracy of two classes.

    `positives` are the reference's rows of the second class in each bin of the scores; the bins from `first_positive` on are
    answered with the second class. Figures that cannot be told are left out: recall without any positive that is expected,
    precision without rows that are answered so. Bins that the reference left empty say nothing and are passed over.
    """
    rows, happened, today = (np.asarray(each, dtype=np.float64) for each in (reference, positives, now))
    today = np.where(rows > 0, today, 0)
    answered = np.arange(len(rows)) >= first_positive
    share = np.divide(happened, rows, out=np.zeros_like(rows), where=rows > 0)
    # The intervals hold two doubts: how well the reference knows each bin's share, and which of today's rows are the positive ones.
    random = np.random.default_rng(0)
    shares = random.beta(happened + 0.5, rows - happened + 0.5, size=(DRAWS, len(rows)))
    drawn = random.binomial(today.astype(np.int64), shares).astype(np.float64)
    figures: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
        "recall": lambda found, _of: _ratio(found[..., answered].sum(-1), found.sum(-1)),
        "precision": lambda found, of: _ratio(found[..., answered].sum(-1), of[answered].sum()),
        "accuracy": lambda found, of: _ratio(np.where(answered, found, of - found).sum(-1), of.sum()),
    }
    estimates = []
    for name, figure in figures.items():
        value, before = float(figure(share * today, today)), float(figure(happened, rows))
        if np.isfinite(value) and np.isfinite(before):
            low, high = np.nanquantile(figure(drawn, today), (0.025, 0.975))
            low, high = min(float(low), value), max(float(high), value)
            estimates.append(Estimate(name=name, value=value, low=low, high=high, reference=before))
    return tuple(estimates)


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    none = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.asarray(np.divide(part, whole, out=none, where=np.asarray(whole) > 0), dtype=np.float64)
