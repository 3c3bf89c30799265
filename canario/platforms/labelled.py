"""What the router counted of each version, with what is known of its labels: the same counts for the gates of every platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from canario.model.evidence import Counts
from canario.model.feedback import LabelCounts


def with_labels(counts: Mapping[str, Counts], labels: Mapping[str, LabelCounts]) -> dict[str, Counts]:
    """The router's counts, by version, with what is known of the labels."""
    nothing = LabelCounts()
    return {
        version: replace(
            counts.get(version, Counts()),
            labelled=labels.get(version, nothing).labelled,
            wrong=labels.get(version, nothing).wrong,
            positives=labels.get(version, nothing).positives,
            missed=labels.get(version, nothing).missed,
        )
        for version in {*counts, *labels}
    }
