"""What every visit to the form does: ask, and look at what the server was told."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from canario.feedback.store import FeedbackStore
from tests.serving.server_processes import Server

FRAUD_ROW = {
    "amount": 24.9,
    "hour": 14,
    "country": "PT",
    "merchant": "groceries",
    "channel": "contactless",
    "description": "supermarket weekly shop",
    "card_age_days": 640,
    "payments_24h": 2,
    "amount_to_usual": 0.9,
    "distance_km": 3.5,
    "new_device": False,
}
"""The examples of the card, which the form shows first."""


def answer_of(server: Server, row: dict[str, Any]) -> dict[str, Any]:
    """What the server says to a program."""
    with server.client() as client:
        reply = client.post("/predict", json={"rows": [row]})
    answer: dict[str, Any] = reply.raise_for_status().json()["predictions"][0]
    return answer


def truth_of(server: Server, model: str, prediction: str) -> str | float | None:
    """What the server's store holds about a prediction."""
    store = FeedbackStore(server.home / "feedback" / f"{model}.sqlite")
    truth = store.truth_of(prediction)
    store.close()
    return truth


def ask(page: Page) -> str:
    """Send the form, wait for the answer; gives the prediction's id."""
    before = page.locator("#prediction").inner_text() if page.locator("#prediction").is_visible() else ""
    page.get_by_role("button", name=re.compile("Get an answer|Ver a resposta")).click()
    expect(page.locator("#prediction")).not_to_have_text(before)
    return page.locator("#prediction").inner_text()


def percent(share: float) -> str:
    """A share as the form writes it."""
    return f"{100 * share:.1f}".removesuffix(".0") + "%" if 0.001 <= share <= 0.999 else "0.1%"
