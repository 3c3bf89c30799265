"""Chooses where feedback is kept: in files of this machine, or in the PostgreSQL database that CANARIO_FEEDBACK_URL names."""

from __future__ import annotations

from typing import Protocol

from canario.adapters.homes import feedback_file
from canario.feedback.join import Joiner
from canario.feedback.settings import feedback_url, kept_name
from canario.feedback.store import FeedbackStore
from canario.model.card import Label
from canario.ports.feedback import FeedbackHistory, LabelCounter, Truths


class History(LabelCounter, FeedbackHistory, Protocol):
    """Everything that can be asked about one model's answers and truths."""

    def catch_up(self) -> None:
        """Join everything that is there now, however long that takes. Raises EvidenceLost."""


def open_history(model: str, label: Label, space: str | None = None) -> History:
    """The history of a model; opened with the first question. Raises UsageError for a setting that cannot be.

    `space` tells models of one name apart in a database (a namespace); None: as CANARIO_FEEDBACK_SPACE says.
    """
    url = feedback_url()
    if not url:
        return Joiner(model, label)
    from canario.feedback.postgres_history import PostgresHistory

    return PostgresHistory(url, kept_name(model, space), label)


def open_truths(model: str, url: str | None = None) -> Truths:
    """Where truths of a model are kept; opened with the first of them. `url` in place of the setting, "" for files."""
    url = feedback_url() if url is None else url
    if not url:
        return FeedbackStore(feedback_file(model))
    from canario.feedback.postgres_truths import PostgresTruths

    return PostgresTruths(url, kept_name(model))
