"""What metrics are made of: plain numbers while requests are answered, families of Prometheus when it asks; who counts what is for others.

A request costs a line in a list. Some dozens are then counted together, which takes a fraction of what it would each time anew,
as the processor has the counting at hand; and labels are put together at the scrape. None of these takes a lock: their owner
says which threads count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

Labels = Mapping[str, str]

TOGETHER = 64
"""So many requests are counted at once; a scrape counts those that wait."""


class Tally:
    """A counter for each of a closed list of words, there from the start with 0; with no label, for all."""

    def __init__(self, name: str, says: str, label: str = "", words: Iterable[str] = ("",)) -> None:
        self._name, self._says, self._label = name, says, label
        self._counts = dict.fromkeys(words, 0)

    def add(self, count: int = 1, word: str = "") -> None:
        """Count; a word that is not of the list is nobody's, so that strangers cannot make series."""
        if word in self._counts:
            self._counts[word] += count

    def family(self, labels: Labels) -> CounterMetricFamily:
        """The counter with everybody's labels."""
        names = [*labels, self._label] if self._label else [*labels]
        family = CounterMetricFamily(self._name, self._says, labels=names)
        for word, count in self._counts.items():
            family.add_metric([*labels.values(), word][: len(names)], count)
        return family


class Histogram:
    """How often values fell below each of some bounds, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value; a bound holds what equals it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Put this histogram into its family."""
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            buckets.append((floatToGoString(bound), float(total)))  # type: ignore[no-untyped-call]  # it has no types
        family.add_metric(labels, buckets, self._sum)


def gauge(name: str, says: str, labels: Labels, value: float) -> GaugeMetricFamily:
    """A gauge of one series."""
    family = GaugeMetricFamily(name, says, labels=[*labels])
    family.add_metric([*labels.values()], value)
    return family
