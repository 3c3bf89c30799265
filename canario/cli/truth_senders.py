"""Where a file of truths goes: into the store of this machine or a database, or to a server over HTTP; the same truths twice change nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import httpx
import msgspec

from canario.cli.truth_files import Member
from canario.errors import InputError, Unavailable
from canario.feedback.incoming import Incoming, Refusal, SentTruth, sorted_out
from canario.model.card import Label
from canario.ports.feedback import Truths

TRIES = 6
"""How often a piece is sent before a server is believed to be away; the pauses between double from half a second."""
_REFUSED = "refused"


class Sender(Protocol):
    """Takes pieces of a file."""

    def send(self, piece: Sequence[Member]) -> tuple[Counter[str], list[Refusal]]:
        """How many truths were new, repeated, changed and refused, and which were refused. Raises CanarioError."""


class StoreSender:
    """Into a store, each piece in one transaction."""

    def __init__(self, truths: Truths, label: Label) -> None:
        self._truths, self._label = truths, label

    def send(self, piece: Sequence[Member]) -> tuple[Counter[str], list[Refusal]]:
        """Keep those that fit the label. Raises Unavailable."""
        incoming = sorted_out(self._label, piece, time.time())
        received = self._truths.add_many(incoming.feedback) if incoming.feedback else ()
        counted = Counter(str(each) for each in received)
        counted[_REFUSED] += len(incoming.refusals)
        return counted, incoming.refusals


class ServerSender:
    """To the `POST /feedback` of a server, or of the router in front of many."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(timeout=60.0)

    def truths_are_numbers(self) -> bool:
        """Whether the model's label is a number, as the server's own document says. Raises Unavailable."""
        answer = self._tried("GET", "/openapi.json")
        try:
            truth = answer.json()["components"]["schemas"]["Truth"]["properties"]["truth"]
        except (ValueError, KeyError, TypeError) as odd:
            raise InputError(
                f"{self._url} is no server of a model",
                at="--url",
                hint="name the address of a router or server, such as http://127.0.0.1:8080",
            ) from odd
        return bool(truth.get("type") == "number")

    def send(self, piece: Sequence[Member]) -> tuple[Counter[str], list[Refusal]]:
        """Send a piece. Raises Unavailable when the server stays away, InputError when it takes no truths."""
        incoming = Incoming()
        numbers, lines = [], []
        for number, member in piece:
            if isinstance(member, InputError):
                refusal = Refusal(line=number, error=member.message, at=member.at, hint=member.hint)
                incoming.refusals.append(refusal)
            else:
                numbers.append(number)
                lines.append(msgspec.json.encode(member) if isinstance(member, SentTruth) else member)
        counted: Counter[str] = Counter({_REFUSED: len(incoming.refusals)})
        if lines:
            answer = self._tried("POST", "/feedback", b"\n".join(lines)).json()
            told = [msgspec.convert(refusal, Refusal) for refusal in answer.pop("refusals")]
            counted.update(answer)
            incoming.refusals.extend(_at(each, numbers[each.line - 1]) for each in told)
        return counted, incoming.refusals

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _tried(self, method: str, path: str, content: bytes = b"") -> httpx.Response:
        headers = {"content-type": "application/x-ndjson"} if content else {}
        failure = ""
        for number in range(TRIES):
            if number:
                time.sleep(0.25 * 2.0**number)
            try:
                answer = self._client.request(method, f"{self._url}{path}", content=content or None, headers=headers)
            except httpx.InvalidURL as wrong:
                raise InputError(f"{self._url} is no address: {wrong}", at="--url") from wrong
            except httpx.HTTPError as failed:
                failure = str(failed) or type(failed).__name__
                continue
            if answer.status_code == httpx.codes.OK:
                return answer
            failure = _words(answer)
            if answer.status_code < 500:
                raise InputError(f"{self._url}{path} refuses this: {failure}", at="--url")
        raise Unavailable(
            f"{self._url} does not take truths now: {failure}",
            at="--url",
            hint="send the same file again later: what has arrived does not count twice",
        )


def _at(refusal: Refusal, line: int) -> Refusal:
    return Refusal(line=line, error=refusal.error, at=refusal.at, hint=refusal.hint)


def _words(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"
