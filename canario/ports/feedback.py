"""What is kept of predictions and late truths, as its users need it: to add truths, to count labels, to read labelled history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from canario.model.feedback import Feedback, LabelCounts, LabelledPrediction, Received, Unmatched
from canario.model.quality import Cohort, Delays


class Truths(Protocol):
    """Where late truths of one model are kept. Safe for several threads and processes."""

    def add(self, feedback: Feedback) -> Received:
        """Keep a truth; it is on the disk when this returns. The same truth may be sent any number of times.

        Raises InputError when the truth is a number that is not finite, Unavailable when it cannot be kept now.
        """

    def add_many(self, feedback: Sequence[Feedback]) -> Sequence[Received]:
        """The same of many, all or none: what each of them was, in their order. Raises as `add` does."""

    def close(self) -> None:
        """Let go of files and connections; a later use would open them again."""


class LabelCounter(Protocol):
    """The join of predictions and truths of one model, brought up to date with each question. One caller at a time."""

    def counts(self) -> Mapping[str, LabelCounts]:
        """By version that has answered users; cumulative, never falling. Raises EvidenceLost."""

    def unmatched(self) -> Unmatched:
        """What found no partner so far. Raises EvidenceLost."""

    def predictions(self) -> Mapping[str, int]:
        """By version: the answers that users got; cumulative, never falling. Raises EvidenceLost."""

    def delays(self) -> Mapping[str, Delays]:
        """By version: how long first truths took; cumulative, never falling. Raises EvidenceLost."""


class FeedbackHistory(Protocol):
    """What one model's versions answered users, and what turned out to be true."""

    def labelled(self, since_seconds: float, until_seconds: float) -> Iterator[LabelledPrediction]:
        """Answers given from `since_seconds` to before `until_seconds` whose truth is known, with the truth that holds now.

        In the order of the answers' time. Raises EvidenceLost.
        """

    def cohorts(self, since_seconds: float, until_seconds: float, cohort_seconds: float = 3600) -> Sequence[Cohort]:
        """Answers and labels by version and span of time; oldest first, then by version, empty ones left out.

        The spans that begin from `since_seconds` to before `until_seconds`. Raises EvidenceLost.
        """

    def began_at_seconds(self) -> float | None:
        """When the cohort of the oldest answer that is known begins; None before the first. Raises EvidenceLost."""

    def close(self) -> None:
        """Let go of files and connections; a later use would open them again."""
