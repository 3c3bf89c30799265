"""Schedules of rows that must be refused."""

from __future__ import annotations

from typing import Any

from tests.platforms.kubernetes.wrong import Wrong, merged


def batch(at: str, words: str, **change: Any) -> Wrong:
    """A schedule of rows with one thing wrong."""
    written = merged({"name": "weekly", "input": "rows", "output": "scores", "claim": "data"}, change)
    return Wrong(change={"batch": [written]}, at=f"spec.batch[0]{at}", words=words)


BATCHES = {
    "a schedule without a name": batch(".name", "Required value", name=None),
    "a schedule whose name is too long": batch(".name", "Too long", name="w" * 21),
    "a schedule with a name that no object may have": batch(".name", "should match", name="Weekly"),
    "a schedule without rows": batch(".input", "Required value", input=None),
    "a schedule that writes nowhere": batch(".output", "Required value", output=None),
    "rows outside of the volume": batch(".input", "should match", input="../secrets"),
    "rows at the node's root": batch(".input", "should match", input="/etc"),
    "an output that leads out of the volume": batch(".output", "should match", output="scores/../../etc"),
    "an output that the pod would fill in": batch(".output", "should match", output="s3://bucket/$(HOME)"),
    "rows on a volume that nobody names": batch(".claim", "name its claim", claim=None),
    "answers on a volume that nobody names": batch(".claim", "name its claim", claim=None, input="s3://bucket/rows"),
    "rows that go with the pod": batch(".input", "go with the pod", input="file:///tmp/rows"),
    "answers that go with the pod": batch(".output", "go with the pod", output="memory://scores"),
    "answers in many places": batch(".output", "answers go to one folder", output="scores/*"),
    "answers where the rows are": batch(".output", "a folder beside it", output="rows"),
    "answers among the rows": batch(".output", "a folder beside it", output="rows/scores"),
    "answers where the rows are, in other words": batch(".output", "a folder beside it", input="rows/", output="rows"),
    "answers that a pattern of rows leads to": batch(".input", "beside each other", input="**/*.csv"),
    "a schedule of four fields": batch(".schedule", "should match", schedule="0 3 * *"),
    "a schedule in words": batch(".schedule", "should match", schedule="every monday"),
    "the minute 60": batch(".schedule", "should match", schedule="60 3 * * 1"),
    "the hour 24": batch(".schedule", "should match", schedule="0 24 * * *"),
    "the eighth day of a week": batch(".schedule", "should match", schedule="0 3 * * 7"),
    "a time zone within the schedule": batch(".schedule", "should match", schedule="TZ=UTC 0 3 * * 1"),
    "a time zone with a space": batch(".timeZone", "should match", timeZone="Sao Paulo"),
    "no partition": batch(".partitions", "greater than or equal to 1", partitions=0),
    "more partitions than an index has room for": batch(".partitions", "less than or equal to 1000", partitions=1001),
    "no pod at a time": batch(".parallelism", "greater than or equal to 1", parallelism=0),
    "fewer retries than none": batch(".retriesAnIndex", "greater than or equal to 0", retriesAnIndex=-1),
    "a run of no time": batch(".longestSeconds", "greater than or equal to 60", longestSeconds=1),
    "a format of nobody": batch(".format", "Unsupported value", format="xlsx"),
    "more rejects than rows": batch(".mostRejectsPercent", "less than or equal to 100", mostRejectsPercent=101),
    "a scoring image with a space": batch(".image", "should match", image="canario trainer"),
    "a scoring quantity of nothing": batch(
        ".resources.requests", "a number of at least 0", resources={"requests": {"cpu": "much"}}
    ),
    "a scoring node by no label": batch(".nodeSelector", "no label's name", nodeSelector={"no label": "x"}),
    "a scoring toleration of everything by mistake": batch(
        ".tolerations[0].key", "tolerates everything", tolerations=[{}]
    ),
    "a field of a schedule that is misspelt": batch(".partition", "unknown field", partition=8),
    "two schedules of one name": Wrong(
        change={"batch": [{"name": "weekly", "input": "rows", "output": "scores", "claim": "data"}] * 2},
        at="spec.batch[1]",
        words="Duplicate value",
    ),
}
