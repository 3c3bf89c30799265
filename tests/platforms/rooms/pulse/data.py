"""Pulses over time, made up and quickly made."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd


def generate(first_day: dt.date, last_day: dt.date, seed: int) -> pd.DataFrame:
    """A hundred pulses a day."""
    rows = 100 * ((last_day - first_day).days + 1)
    random = np.random.default_rng([seed, first_day.toordinal()])
    rate, variation, age = random.normal(75, 15, rows), random.gamma(4.0, 12.0, rows), random.uniform(18, 90, rows)
    irregular = variation + age / 2 + random.normal(0, 10, rows) > 85
    return pd.DataFrame(
        {
            "event_time": pd.Timestamp(first_day) + pd.to_timedelta(np.arange(rows) * 864.0, unit="s"),
            "rate": rate.clip(20, 250).round(1),
            "variation": variation.clip(0, 500).round(1),
            "age": age.round(1),
            "irregular": np.where(irregular, "yes", "no"),
        }
    )
