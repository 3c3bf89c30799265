"""How often drift is told where there is none, and how soon it is told where there is; beside the textbooks' fixed threshold of 0.1.

    python benchmarks/drift.py [--column-days 5000] [--shifts 200] [--seed 20260101]

Nothing runs here but arithmetic: rows fall into bins by chance, Prometheus looks every 15 seconds at four windows, and canario.drift's
own functions judge. A column is followed for a week with one reference, which was drawn by chance as well, so that an unlucky
reference errs all week long; it begins with no row at all, as after a rollout. Columns are of five kinds: ten equal bins with and without missing values, skewed words, a rare word
and a boolean; a model has ten of them. An alarm is told when the limit is passed in two looks in a row, over any of the windows.

The shift moves one column of ten by a PSI of exactly 0.2 from one moment to the next, after a day without any. It counts as found when it
is told by the time when 1,500 rows have come since, and two looks more. Exit code 1 when a promise is not kept.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import canario
from canario.drift.budget import quantile
from canario.drift.psi import MATERIAL, psi
from canario.monitoring.table import read_table
from canario.quality.intervals import wilson

LOOK_SECONDS = 15
DAY_LOOKS = 24 * 3600 // LOOK_SECONDS
WINDOWS_LOOKS = {"1m": 4, "10m": 40, "1h": 240, "1d": DAY_LOOKS}
LOOKS_TO_RING = 2
COLUMNS = 10
REFERENCE_ROWS = 21_600
"""What `canario train fraud` learns from when nothing is said."""
ROWS_PER_HOUR = (100, 1_000, 10_000, 100_000)
SHIFTED_ROWS_PER_HOUR = (1_000, 3_000, 10_000, 30_000, 100_000)
SHIFT_PSI = 0.2
FOUND_WITHIN_ROWS, FOUND_WITHIN_LOOKS = 1_500, 2
ALLOWED_PER_COLUMN_DAY = 0.001

SHARES: Mapping[str, tuple[float, ...]] = {
    "ten equal bins": (*(0.1,) * 10, 0.0),
    "ten bins, a third missing": (*(0.0667,) * 10, 0.333),
    "skewed words": (0.6, 0.13, 0.07, 0.05, 0.04, 0.04, 0.04, 0.02, 0.005, 0.005, 0.0, 0.0),
    "a rare word": (0.9985, 0.001, 0.0005, 0.0, 0.0),
    "boolean": (0.95, 0.05, 0.0),
}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Looks:
    """What the looks of some days saw: [window, look]."""

    psi: Floats
    rows: Floats

    def knowing(self, limit_quantile: float, fewest_rows: int) -> NDArray[np.bool_]:
        """The looks that pass a limit which knows the rows."""
        with np.errstate(divide="ignore"):
            limit = (1 / self.rows + 1 / REFERENCE_ROWS) * limit_quantile
        return (self.rows >= fewest_rows) & (self.psi > np.maximum(MATERIAL, limit))

    def naive(self) -> NDArray[np.bool_]:
        """The looks that pass 0.1, however few rows there are."""
        return (self.rows > 0) & (self.psi > 0.1)


def even(shares: tuple[float, ...]) -> Floats:
    """Shares that add up to exactly 1."""
    found = np.asarray(shares, dtype=np.float64)
    return np.asarray(found / found.sum(), dtype=np.float64)


def look(rows: Floats, reference: Floats) -> Looks:
    """PSI over each window at each look, from the rows [look, bin] that came between looks."""
    total = np.vstack([np.zeros(rows.shape[1]), np.cumsum(rows, axis=0)])
    found, counted = [], []
    for length in WINDOWS_LOOKS.values():
        ends = np.arange(1, len(total))
        inside = total[ends] - total[np.maximum(0, ends - length)]
        counted.append(inside.sum(axis=1))
        found.append(psi(reference, inside))
    return Looks(np.array(found), np.array(counted))


def rings(passed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The looks [look] at which an alarm stands: some window has passed its limit in so many looks in a row."""
    in_a_row = passed.copy()
    for back in range(1, LOOKS_TO_RING):
        in_a_row[:, back:] &= passed[:, :-back]
        in_a_row[:, :back] = False
    return np.asarray(in_a_row.any(axis=0), dtype=np.bool_)


def shifted(shares: Floats) -> Floats:
    """The shares after a shift of exactly SHIFT_PSI: rows lean towards the later bins, as amounts that rise do."""
    lean = np.linspace(-1, 1, len(shares))

    def leant(strength: float) -> Floats:
        weights = shares * np.exp(strength * lean)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def distance(strength: float) -> float:
        now, kept = leant(strength), shares > 0
        return float(((now - shares)[kept] * np.log(now[kept] / shares[kept])).sum())

    low, high = 0.0, 50.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if distance(middle) < SHIFT_PSI else (low, middle)
    return leant(high)


def false_alarms(random: np.random.Generator, column_days: int, fewest_rows: int) -> bool:
    """Follow columns that never move. True when the promise is kept."""
    print(
        f"\nNo shift: column-days with a false alarm ({column_days:,} at each traffic; allowed {ALLOWED_PER_COLUMN_DAY:g})"
    )
    print(f"  {'rows an hour':>12}  {'knows the rows':>30}  {'fixed 0.1':>32}  {'fixed 0.1, 1h only':>32}")
    totals = np.zeros(2, dtype=np.int64)
    for rate in ROWS_PER_HOUR:
        alarms = {"knowing": 0, "naive": 0, "naive 1h": 0}
        weeks = -(-column_days // 7)
        for week in range(weeks):
            shares = even(list(SHARES.values())[week % len(SHARES)])
            reference = random.multinomial(REFERENCE_ROWS, shares).astype(np.float64)
            rows = random.poisson(shares * rate * LOOK_SECONDS / 3600, (7 * DAY_LOOKS, len(shares))).astype(np.float64)
            seen = look(rows, reference)
            naive = seen.naive()
            arms = {
                "knowing": seen.knowing(quantile(len(shares), COLUMNS + 1), fewest_rows),
                "naive": naive,
                "naive 1h": naive[[2]],
            }
            for name, passed in arms.items():
                alarms[name] += int(rings(passed).reshape(7, DAY_LOOKS).any(axis=1).sum())
        days = weeks * 7
        totals += (alarms["knowing"], days)
        print(f"  {rate:>12,}  " + "  ".join(f"{rated(found, days):>30}" for found in alarms.values()), flush=True)
    low, high = wilson(int(totals[0]), int(totals[1]))
    kept = bool(totals[0] <= ALLOWED_PER_COLUMN_DAY * totals[1])
    print(
        f"  in all, knowing the rows: {totals[0]} in {totals[1]:,} column-days (95 %: {low:.5f} to {high:.5f} a column-day)"
    )
    return kept


def rated(found: int, days: int) -> str:
    low, high = wilson(found, days)
    return f"{found} ({1000 * low:.2f} to {1000 * high:.2f} in 1,000)"


def found_shifts(random: np.random.Generator, trials: int, fewest_rows: int) -> bool:
    """Move one column of ten. True when at least 19 of 20 shifts are found in time at every traffic."""
    print(
        f"\nA shift of PSI {SHIFT_PSI} in one column of {COLUMNS}: told within {FOUND_WITHIN_ROWS:,} rows and two looks"
    )
    print(
        f"  {'rows an hour':>12}  {'found in time':>32}  {'median rows':>11}  {'fixed 0.1, 1h only':>18}  {'wrong column':>12}"
    )
    kept = True
    for rate in SHIFTED_ROWS_PER_HOUR:
        needed = int(np.ceil(FOUND_WITHIN_ROWS / (rate * LOOK_SECONDS / 3600))) + FOUND_WITHIN_LOOKS
        found, naive_found, wrong, told_after = 0, 0, 0, []
        for trial in range(trials):
            before = even(SHARES["ten equal bins" if trial % 2 else "ten bins, a third missing"])
            per_look = rate * LOOK_SECONDS / 3600
            for column in range(COLUMNS):
                shares = before if column == 0 else even(list(SHARES.values())[column % len(SHARES)])
                after = shifted(shares) if column == 0 else shares
                reference = random.multinomial(REFERENCE_ROWS, shares).astype(np.float64)
                # A day as before, of which only its windows matter, then the shift.
                past = random.poisson(shares * per_look, (DAY_LOOKS, len(shares)))
                rows = np.vstack([past, random.poisson(after * per_look, (needed, len(shares)))]).astype(np.float64)
                seen = look_at_end(rows, reference, needed)
                ringing = rings(seen.knowing(quantile(len(shares), COLUMNS + 1), fewest_rows))
                if column:
                    wrong += bool(ringing.any())
                    continue
                found += bool(ringing.any())
                naive_found += bool(rings(seen.naive()[[2]]).any())
                if ringing.any():
                    told_after.append((int(ringing.argmax()) + 1) * per_look)
        low, high = wilson(found, trials)
        kept &= found >= 0.95 * trials and wrong <= ALLOWED_PER_COLUMN_DAY * trials * COLUMNS + 1
        print(
            f"  {rate:>12,}  {f'{found} of {trials} ({100 * low:.0f} to {100 * high:.0f} %)':>32}"
            f"  {np.median(told_after) if told_after else float('nan'):>11,.0f}  {naive_found:>18}  {wrong:>12}",
            flush=True,
        )
    return kept


def look_at_end(rows: Floats, reference: Floats, looks: int) -> Looks:
    """The same as `look`, of the last looks only."""
    total = np.vstack([np.zeros(rows.shape[1]), np.cumsum(rows, axis=0)])
    ends = np.arange(len(total) - looks, len(total))
    inside = [total[ends] - total[np.maximum(0, ends - length)] for length in WINDOWS_LOOKS.values()]
    return Looks(np.array([psi(reference, each) for each in inside]), np.array([each.sum(axis=1) for each in inside]))


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--column-days", type=int, default=5_000, help="at each traffic")
    parser.add_argument("--shifts", type=int, default=200, help="at each traffic")
    parser.add_argument("--seed", type=int, default=20260101)
    chosen = parser.parse_args()
    fewest_rows = read_table().drift.minimum_rows
    print(
        f"canario {canario.__version__}, Python {platform.python_version()}, numpy {np.__version__}, seed {chosen.seed}"
    )
    print(
        f"looks every {LOOK_SECONDS} s over {', '.join(WINDOWS_LOOKS)}; {LOOKS_TO_RING} looks in a row; {fewest_rows} rows at least"
    )
    random, began = np.random.default_rng(chosen.seed), time.monotonic()
    silent = false_alarms(random, chosen.column_days, fewest_rows)
    quick = found_shifts(random, chosen.shifts, fewest_rows)
    print(f"\n{'kept' if silent else 'NOT KEPT'}: at most 1 false alarm in 1,000 column-days")
    print(f"{'kept' if quick else 'NOT KEPT'}: at least 19 of 20 shifts told in time; {time.monotonic() - began:.0f} s")
    return 0 if silent and quick else 1


if __name__ == "__main__":
    sys.exit(main())
