"""Asks Prometheus one query and gets one number, or a reason why there is none; what the number means is for gates and autoscalers.

Nothing is raised: a Prometheus that is away, slow or confused is a reason like any other, and a reason is never a number. Prometheus
itself drops a series whose target stopped answering; one that says when it was taken (a recorded series, one that was pushed) is held
against the clock of Prometheus here, so that an old sample is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf, isnan
from typing import Any

import httpx
import msgspec

LONGEST_ANSWER_BYTES = 1024 * 1024
"""A query of one number answers in a few hundred bytes; one that lists a whole cluster is not read to its end."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a query said."""

    value: float | None = None
    """The one number; None: there is none."""
    why: str = ""
    """Why there is none, in words."""


class Prometheus:
    """One Prometheus, or what speaks its API; several threads may ask at once."""

    def __init__(self, url: str, *, timeout_seconds: float = 5.0, oldest_seconds: float = 60.0) -> None:
        """Connect to nothing yet; `oldest_seconds` is the greatest age of a sample that still counts."""
        self._oldest_seconds = oldest_seconds
        # What is asked lies in the same cluster or on the same machine; a proxy for the world is not the way there.
        self._client = httpx.Client(timeout=timeout_seconds, trust_env=False, follow_redirects=True)
        self._timeout_seconds = timeout_seconds
        self._url, self._fault = _endpoint(url)
        self._where = f"{self._url.scheme}://{self._url.netloc.decode()}" if self._url else url

    def ask(self, query: str) -> Measurement:
        """The number that the query has now."""
        try:
            kind, result = self._answer(query)
            if kind == "scalar":
                return Measurement(_number(result[1]))
            if kind != "vector":
                raise _NoNumber(f"it answers with a {kind}, and a gate needs one number")
            if len(result) != 1:
                raise _NoNumber(_not_one(result))
            value = _number(result[0]["value"][1])
            self._refuse_an_old_sample(query)
        except _NoNumber as none:
            return Measurement(why=str(none))
        except (LookupError, TypeError, ValueError):
            return Measurement(why=f"{self._where} does not answer as Prometheus does")
        return Measurement(value)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _refuse_an_old_sample(self, query: str) -> None:
        """Raises _NoNumber when the sample is too old; a query that is more than the name of a series is as old as the question."""
        _, ages = self._answer(f"time() - timestamp(\n{query}\n)")
        oldest = max((float(each["value"][1]) for each in ages), default=0.0)
        if oldest > self._oldest_seconds:
            raise _NoNumber(f"its last sample is {oldest:.0f} s old, and after {self._oldest_seconds:.0f} s it is none")

    def _answer(self, query: str) -> tuple[str, list[Any]]:
        """The kind of answer and the answer. Raises _NoNumber, or LookupError, TypeError, ValueError for what is no answer at all."""
        if self._url is None:
            raise _NoNumber(self._fault)
        try:
            with self._client.stream("POST", self._url, data={"query": query}) as response:
                text = _beginning(response)
        except httpx.TimeoutException:
            raise _NoNumber(f"{self._where} did not answer within {self._timeout_seconds:g} s") from None
        except (httpx.HTTPError, OSError) as failed:
            raise _NoNumber(f"{self._where} does not answer: {failed}") from None
        if response.status_code in (401, 403):
            raise _NoNumber(f"{self._where} lets nobody in without a password that fits")
        content = msgspec.json.decode(text)
        if content["status"] == "success":
            return content["data"]["resultType"], content["data"]["result"]
        raise _NoNumber(f"Prometheus refuses it: {str(content['error'])[:300]}")


class _NoNumber(Exception):
    """Why a query has no number, in words; never leaves this module."""


def _endpoint(url: str) -> tuple[httpx.URL | None, str]:
    """Where queries are asked, or what is wrong with the address."""
    try:
        parsed = httpx.URL(url.rstrip("/") + "/api/v1/query")
    except (httpx.InvalidURL, TypeError):
        return None, f"{url} is no address"
    if parsed.scheme not in ("http", "https") or not parsed.host:
        return None, f"{url} is no address such as http://127.0.0.1:9090"
    return parsed, ""


def _beginning(response: httpx.Response) -> bytes:
    text = bytearray()
    for part in response.iter_bytes():
        text += part
        if len(text) > LONGEST_ANSWER_BYTES:
            raise _NoNumber("it answers with far more than one number")
    return bytes(text)


def _number(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise _NoNumber(f"its value is {text}: something is divided by 0")
    if isnan(value):
        raise _NoNumber("its value is NaN: nothing is divided by nothing, where there was no traffic, say")
    return value


def _not_one(series: list[Mapping[str, Any]]) -> str:
    if not series:
        return "there is no such series now"
    names = {name for each in series for name in each["metric"]}
    differ = sorted(name for name in names if len({each["metric"].get(name) for each in series}) > 1)
    return f"it gives {len(series)} numbers (by {', '.join(differ)}), and a gate needs one: select one, or aggregate them with sum, max or avg"
