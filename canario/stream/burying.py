"""Dead letters: the message as it was, with why it cannot be answered, where, what to do about it, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from canario.errors import CanarioError
from canario.model.stream import Message
from canario.stream.foreign import CUT_BYTES, KEPT_OF_A_CUT_BODY_BYTES

REASON = "canario-reason"
AT = "canario-at"
HINT = "canario-hint"
QUEUE = "canario-queue"
ATTEMPTS = "canario-attempts"
OF_A_LETTER = (REASON, AT, HINT, QUEUE, ATTEMPTS)
ROUNDS = "canario-rounds"
"""How often it went to the end of its queue, because it could not be asked while others could."""
MOST_ROUNDS = 20
LONGEST_WORDS_CHARACTERS = 1000


def dead_letter(message: Message, error: CanarioError, queue: str, attempts: int) -> Message:
    """The message that goes to the model's dead ones. Sent again to `queue` without these headers it is a question once more."""
    headers = {
        **message.headers,
        REASON: _words(error.message),
        AT: _words(error.at),
        HINT: _words(error.hint),
        QUEUE: queue,
        ATTEMPTS: str(attempts),
    }
    return replace(message, headers=headers)


def cut(letter: Message) -> Message:
    """The letter with the beginning of its body."""
    headers = {**letter.headers, CUT_BYTES: str(len(letter.body))}
    return replace(letter, body=letter.body[:KEPT_OF_A_CUT_BODY_BYTES], headers=headers)


def editions(letter: Message) -> Iterator[Message]:
    """The letter, and what to send in its place while the broker takes none so large: the reason is worth more than the rest."""
    yield letter
    shorter = cut(letter) if len(letter.body) > KEPT_OF_A_CUT_BODY_BYTES else letter
    if shorter is not letter:
        yield shorter
    headers = {name: text for name, text in shorter.headers.items() if name in (*OF_A_LETTER, CUT_BYTES)}
    yield Message(id=letter.id, body=shorter.body, headers=headers, sent_at_seconds=letter.sent_at_seconds)


def another_round(message: Message, *, counts: bool) -> Message | None:
    """The message for the end of its queue; None when it went there too often."""
    text = message.headers.get(ROUNDS, "")
    rounds = (int(text) if text.isdigit() and len(text) < 9 else 0) + counts
    return replace(message, headers={**message.headers, ROUNDS: str(rounds)}) if rounds <= MOST_ROUNDS else None


def _words(text: str) -> str:
    return " ".join(text.split())[:LONGEST_WORDS_CHARACTERS]
