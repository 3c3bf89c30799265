"""Card payments over time, made up but shaped like real ones; on SHIFT_DAY a new kind of fraud appears."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

SHIFT_DAY = dt.date(2026, 7, 1)
"""From this day on there are fake parcel fees, which no earlier payment looks like."""
FRAUD_SHARE = 0.015
"""Frauds among all payments; of the order that issuers see before they block anything."""
NEW_KIND_SHARE = 0.29
"""The share of fake parcel fees among the frauds, once they exist."""
QUIET_SHARE = 0.16
"""Frauds of the known kinds that look like the customer's own payments: nobody can catch them from these columns."""

COUNTRIES = ("PT", "ES", "FR", "DE", "IT", "GB", "BR", "US", "NG", "VN")
MERCHANTS = (
    "groceries", "restaurant", "fuel", "fashion", "electronics", "travel", "digital", "gift-cards", "gambling", "services",
)  # fmt: skip
CHANNELS = ("contactless", "chip", "online", "phone")
WORDS = {
    "groceries": ("supermarket weekly shop", "corner market", "bakery and fruit", "farmers market"),
    "restaurant": ("lunch menu", "dinner for two", "coffee and cake", "pizza delivery"),
    "fuel": ("diesel pump", "petrol station", "car wash", "motorway service"),
    "fashion": ("shoes order", "winter jacket", "online outlet", "sports shirt"),
    "electronics": ("laptop store", "phone and charger", "headphones", "game console"),
    "travel": ("hotel booking", "airline ticket", "train pass", "car rental"),
    "digital": ("music subscription", "app store purchase", "cloud storage", "video streaming"),
    "gift-cards": ("gift card", "birthday voucher", "prepaid card top up", "store credit"),
    "gambling": ("lottery ticket", "sports bet", "casino chips", "poker room"),
    "services": ("hairdresser", "dentist visit", "gym membership", "parcel post office"),
}

Columns = dict[str, Any]


def generate(first_day: dt.date, last_day: dt.date, seed: int, rows_per_day: int = 300) -> pd.DataFrame:
    """Payments from first to last day (both included), in order of time.

    Columns: `event_time`, the card's columns and the label `outcome` (`clean` or `fraud`). A day's payments depend on
    the seed and the day alone, so that windows which overlap agree about the days that they share.
    """
    days = [first_day + dt.timedelta(days=number) for number in range((last_day - first_day).days + 1)]
    return pd.concat([_day(day, seed, rows_per_day) for day in days], ignore_index=True)


def _day(day: dt.date, seed: int, rows: int) -> pd.DataFrame:
    random = np.random.default_rng([seed, day.toordinal()])
    payments = _genuine(random, rows)
    fraud = random.random(rows) < FRAUD_SHARE
    loud = fraud & (random.random(rows) >= QUIET_SHARE)
    new = fraud & (random.random(rows) < NEW_KIND_SHARE) & (day >= SHIFT_DAY)
    kind = random.integers(0, 3, rows)
    for mask, disguise in (
        (loud & ~new & (kind == 0), _stolen_card),
        (loud & ~new & (kind == 1), _card_testing),
        (loud & ~new & (kind == 2), _account_takeover),
        (new, _fake_parcel_fee),
    ):
        for name, values in disguise(random, int(mask.sum())).items():
            payments[name][mask] = values
    usual = payments.pop("usual_amount")
    payments["amount"] = np.round(np.clip(payments["amount"], 0.5, 20_000), 2)
    payments["amount_to_usual"] = np.round(np.clip(payments["amount"] / usual, 0.001, 1_000), 3)
    payments["distance_km"] = np.where(
        np.isin(payments["channel"], ("online", "phone")), np.nan, payments["distance_km"]
    )
    minute = random.integers(0, 3_600, rows)
    midnight = np.datetime64(day, "s")
    times = midnight + (payments["hour"] * 3_600 + minute).astype("timedelta64[s]")
    frame = pd.DataFrame({"event_time": times, **payments})
    frame["outcome"] = np.where(fraud, "fraud", "clean")
    return frame.sort_values("event_time", kind="stable", ignore_index=True)


def _genuine(random: np.random.Generator, rows: int) -> Columns:
    merchant = random.choice(MERCHANTS, rows, p=(0.27, 0.16, 0.1, 0.09, 0.06, 0.05, 0.12, 0.02, 0.03, 0.1)).astype(
        object
    )
    channel = random.choice(CHANNELS, rows, p=(0.42, 0.22, 0.33, 0.03)).astype(object)
    channel[merchant == "digital"] = "online"
    usual = np.exp(random.normal(3.3, 0.6, rows))
    dearer = np.where(np.isin(merchant, ("electronics", "travel")), 4.0, 1.0)
    return {
        "usual_amount": usual,
        "amount": usual * dearer * np.exp(random.normal(-0.1, 0.7, rows)),
        "hour": np.clip(random.normal(14.5, 4.2, rows).round(), 0, 23).astype(np.int64),
        "country": random.choice(COUNTRIES, rows, p=(0.6, 0.13, 0.07, 0.05, 0.04, 0.04, 0.04, 0.02, 0.005, 0.005)).astype(
            object
        ),
        "merchant": merchant,
        "channel": channel,
        "description": np.array([WORDS[name][which] for name, which in zip(merchant, random.integers(0, 4, rows), strict=True)], dtype=object),
        "card_age_days": (random.gamma(2.0, 450.0, rows)).astype(np.int64) + 1,
        "payments_24h": random.poisson(2.2, rows).astype(np.int64),
        "distance_km": np.round(np.exp(random.normal(1.3, 1.4, rows)), 1),
        "new_device": random.random(rows) < 0.05,
    }  # fmt: skip


def _stolen_card(random: np.random.Generator, rows: int) -> Columns:
    """Somebody empties a card that was taken from a pocket: dear goods, far away, at any hour."""
    merchant = random.choice(("electronics", "gift-cards", "fashion", "gambling"), rows, p=(0.4, 0.3, 0.2, 0.1)).astype(
        object
    )
    return {
        "amount": np.exp(random.normal(5.6, 0.6, rows)),
        "hour": random.integers(0, 24, rows),
        "merchant": merchant,
        "channel": random.choice(("contactless", "chip"), rows).astype(object),
        "description": _describe(random, merchant),
        "payments_24h": random.poisson(6.0, rows) + 1,
        "distance_km": np.round(np.exp(random.normal(5.0, 1.2, rows)), 1),
    }


def _card_testing(random: np.random.Generator, rows: int) -> Columns:
    """A program tries many stolen numbers with small amounts."""
    return {
        "amount": random.uniform(0.5, 9.0, rows),
        "hour": random.choice(np.arange(24), rows),
        "country": random.choice(("US", "NG", "VN", "GB"), rows).astype(object),
        "merchant": random.choice(("digital", "services"), rows, p=(0.8, 0.2)).astype(object),
        "channel": np.full(rows, "online", dtype=object),
        "description": random.choice(("account check", "verify card", "app store purchase", "donation"), rows).astype(
            object
        ),
        "payments_24h": random.poisson(11.0, rows) + 2,
        "new_device": random.random(rows) < 0.6,
    }


def _account_takeover(random: np.random.Generator, rows: int) -> Columns:
    """Somebody else is logged in: a device never seen before buys what can be resold."""
    merchant = random.choice(("travel", "gift-cards", "electronics"), rows, p=(0.35, 0.4, 0.25)).astype(object)
    return {
        "amount": np.exp(random.normal(5.7, 0.6, rows)),
        "hour": (random.normal(2.0, 3.0, rows).round() % 24).astype(np.int64),
        "merchant": merchant,
        "channel": random.choice(("online", "phone"), rows, p=(0.85, 0.15)).astype(object),
        "description": _describe(random, merchant),
        "new_device": random.random(rows) < 0.85,
    }


def _fake_parcel_fee(random: np.random.Generator, rows: int) -> Columns:
    """A text message asks for a small customs fee, and the customer pays it: own device, own hours, an everyday sum."""
    return {
        "amount": random.uniform(1.5, 4.5, rows),
        "merchant": np.full(rows, "services", dtype=object),
        "channel": np.full(rows, "online", dtype=object),
        "country": random.choice(("PT", "ES", "GB"), rows).astype(object),
        "description": random.choice(
            ("parcel customs fee", "delivery fee parcel", "customs release", "post office parcel fee"), rows
        ).astype(object),
    }


def _describe(random: np.random.Generator, merchant: np.ndarray) -> np.ndarray:
    return np.array([WORDS[name][random.integers(0, 4)] for name in merchant], dtype=object)
