"""Loan applications over time with the amount that was repayable in the end: made up, but shaped like real ones."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

YEARLY_WAGE_GROWTH = 0.03
"""Incomes rise slowly, so that later applications are not quite like the earlier ones."""


def generate(first_day: dt.date, last_day: dt.date, seed: int, rows_per_day: int = 100) -> pd.DataFrame:
    """Applications from first to last day (both included), in order of time.

    Columns: `event_time`, the card's columns and the label `loan_amount` in EUR. A day's applications depend on the
    seed and the day alone, so that windows which overlap agree about the days that they share.
    """
    days = [first_day + dt.timedelta(days=number) for number in range((last_day - first_day).days + 1)]
    return pd.concat([_day(day, seed, rows_per_day) for day in days], ignore_index=True)


def _day(day: dt.date, seed: int, rows: int) -> pd.DataFrame:
    random = np.random.default_rng([seed, day.toordinal()])
    years = (day - dt.date(2026, 1, 1)).days / 365.25
    age = np.clip(random.normal(41, 12, rows).round(), 18, 85)
    level = np.exp(random.normal(0.0, 0.42, rows))
    income = np.clip(1_900 * level * (1 + YEARLY_WAGE_GROWTH) ** years * (0.75 + age / 160), 400, 50_000)
    debts = income * np.clip(random.beta(2.0, 5.0, rows), 0.02, 0.95)
    employed = np.minimum(random.gamma(1.4, 45.0, rows), (age - 17) * 12).astype(np.int64)
    savings = np.clip(income * random.gamma(0.8, 5.0, rows), 0, 2_000_000)
    dependants = np.minimum(random.poisson(0.9, rows), 8)
    term = random.choice((12, 24, 36, 48, 60, 84, 120), rows, p=(0.12, 0.18, 0.2, 0.2, 0.16, 0.1, 0.04))
    missed = np.minimum(random.poisson(np.where(debts > 0.5 * income, 1.3, 0.15)), 24)
    owns_home = random.random(rows) < np.clip(0.08 + age / 130 + 0.1 * np.log(level), 0.02, 0.9)
    free = np.clip(income - debts - 240 * dependants - 450, 60, None)
    trust = (0.55 + 0.35 * np.tanh(employed / 40)) * np.where(owns_home, 1.12, 1.0) * 0.72**missed
    amount = free * 0.42 * term * trust + 0.2 * np.minimum(savings, 60_000)
    frame = pd.DataFrame(
        {
            "event_time": np.datetime64(day, "s") + np.sort(random.integers(0, 86_400, rows)).astype("timedelta64[s]"),
            "monthly_income": income.round(2),
            "monthly_debts": debts.round(2),
            "savings": savings.round(2),
            "months_employed": employed,
            "age_years": age.astype(np.int64),
            "dependants": dependants.astype(np.int64),
            "term_months": term.astype(np.int64),
            "missed_payments": missed.astype(np.int64),
            "owns_home": owns_home,
        }
    )
    frame["loan_amount"] = np.clip(amount * np.exp(random.normal(0.0, 0.09, rows)), 100, 250_000).round(-1)
    return frame
