"""Metrics as tests read them: series by name and labels, and what promtool says of a text."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.parts import missing

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series_of(text: str) -> Series:
    """Every sample; two of one name and labels are an error, as they are for Prometheus."""
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def scraped(url: str) -> Series:
    """The series that a process tells now."""
    return series_of(httpx.get(url, timeout=60, trust_env=False).raise_for_status().text)


def of(series: Series, name: str, **labels: str) -> float:
    """The sum of the series of a name that carry these labels; fails when there is none."""
    found = list(values(series, name, labels))
    assert found, (name, labels)
    return sum(found)


def values(series: Series, name: str, labels: dict[str, str]) -> Iterator[float]:
    """The values of the series of a name that carry these labels."""
    return (
        value for (found, carried), value in series.items() if found == name and labels.items() <= dict(carried).items()
    )


def promtool_says(text: str) -> str:
    """What promtool finds wrong with a text of metrics; empty when nothing is. Skips without promtool."""
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is missing: Debian's package prometheus has it")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()
