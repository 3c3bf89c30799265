"""Queues in a person's hands: put messages into one, look at what is in others, take answers; for the commands enqueue and tail."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from canario.adapters.homes import rooms_folder
from canario.adapters.versions import find_version
from canario.errors import CanarioError, Conflict, TooLarge, Unavailable
from canario.model.stream import DEAD, Delivery, Message, queue_name, queue_names
from canario.ports.stream import Broker, Receiver

REPLIES = "replies"
"""The queue for the answers that `canario enqueue --wait` waits for."""
FOREIGN_SECONDS = 3600.0
"""Answers that nobody waits for any more."""
SENT_AT_ONCE = 500
PREFETCH = 1000
MOST_HELD = 65_535
"""Messages in one person's hands; AMQP cannot say more."""
MOST_DOUBLINGS = 5
"""Of the pause before a broker that is away is tried again."""
LOOK_SECONDS = 0.5


async def refuse_unknown(broker: Broker, model: str) -> None:
    """Raise NotFound for a model that this machine does not know, before a file is made for its queues.

    Only the embedded broker is asked: what may be sent to others is theirs to say.
    """
    from canario.stream.sqlite import SqliteBroker

    if not isinstance(broker, SqliteBroker) or (rooms_folder() / model / "model.yaml").is_file():
        return
    if await broker.has_any(queue_names(model)):
        return
    find_version(model)


async def put(broker: Broker, model: str, queue: str, messages: Sequence[Message], told: Callable[[int], None]) -> None:
    """Send all, in pieces. Raises Unavailable, Overloaded, TooLarge."""
    await broker.declare([*queue_names(model), queue_name(model, REPLIES)])
    sender = await broker.sender()
    try:
        for begin in range(0, len(messages), SENT_AT_ONCE):
            await sender.send(queue, messages[begin : begin + SENT_AT_ONCE])
            told(min(begin + SENT_AT_ONCE, len(messages)))
    finally:
        await sender.close()


async def answers_to(
    broker: Broker, model: str, ids: Sequence[str], timeout_seconds: float, found: Callable[[str, Message], None]
) -> int:
    """Tell each answer or dead letter, with its queue, once; how many there were when all or the time was over."""
    missing, deadline = set(ids), time.monotonic() + timeout_seconds
    prefetch = {queue_name(model, REPLIES): PREFETCH, queue_name(model, DEAD): PREFETCH}
    while missing and time.monotonic() < deadline:
        # What is not ours goes back when the receiver is closed, to whoever else waits.
        receiver = await broker.receiver(prefetch)
        try:
            held = await _collect(receiver, prefetch, missing, found, deadline)
        finally:
            await receiver.close()
        # Ours may wait behind as many older ones as we may hold.
        prefetch = {queue: _more(most) if held[queue] >= most else most for queue, most in prefetch.items()}
    return len(ids) - len(missing)


async def _collect(
    receiver: Receiver,
    prefetch: Mapping[str, int],
    missing: set[str],
    found: Callable[[str, Message], None],
    deadline: float,
) -> Counter[str]:
    """Take what is ours, until what is others' is to go back or to make room; what is held, by queue."""
    held: Counter[str] = Counter()
    is_foreign = False
    while missing and time.monotonic() < deadline:
        took = False
        for queue in prefetch:
            while (delivery := await receiver.take(queue)) is not None:
                took, message = True, delivery.message
                is_ours = message.id in missing
                if is_ours:
                    missing.discard(message.id)
                    found(queue, message)
                if (is_ours and not queue.endswith(f".{DEAD}")) or _is_stale(message, queue):
                    await receiver.acknowledge(delivery)
                else:
                    held[queue] += 1
                    is_foreign = is_foreign or not is_ours
        if not took:
            await receiver.wait(LOOK_SECONDS)
            if is_foreign or any(held[queue] >= most for queue, most in prefetch.items()):
                break
    return held


def _more(prefetch: int) -> int:
    return min(4 * prefetch, MOST_HELD)


def _is_stale(message: Message, queue: str) -> bool:
    return queue.endswith(f".{REPLIES}") and time.time() - message.sent_at_seconds > FOREIGN_SECONDS


async def look(
    broker: Broker, queue: str, number: int, *, follow: bool, take: bool, tell: Callable[[Message], None]
) -> None:
    """Tell the messages of a queue, one of each id, oldest first; with `take` they are gone then."""
    await broker.declare([queue])
    seen: set[str] = set()
    failures, prefetch = 0, min(max(PREFETCH, number), MOST_HELD)
    while True:
        try:
            receiver = await broker.receiver({queue: prefetch})
            failures = 0
            try:
                is_full = await _look(receiver, queue, prefetch, number, follow=follow, take=take, tell=tell, seen=seen)
            finally:
                await receiver.close()
        except Unavailable:
            failures = min(failures + 1, MOST_DOUBLINGS)
            if not follow:
                raise
            await asyncio.sleep(min(5.0, 0.2 * 2.0**failures))
            continue
        if not is_full:
            return
        if prefetch == MOST_HELD:
            raise Conflict(
                f"{MOST_HELD} messages of {queue} are held, and no more can be looked at without taking them",
                hint="--take takes them out of the queue",
            )
        # It gives all back and begins again: those that were told come first.
        prefetch = _more(prefetch)


async def _look(
    receiver: Receiver,
    queue: str,
    prefetch: int,
    number: int,
    *,
    follow: bool,
    take: bool,
    tell: Callable[[Message], None],
    seen: set[str],
) -> bool:
    """Tell what comes; whether it ended because as many are held as may be."""
    idle = held = 0
    while follow or (len(seen) < number and idle < 2):
        delivery: Delivery | None = await receiver.take(queue)
        if delivery is None:
            if held >= prefetch:
                return True
            await receiver.wait(LOOK_SECONDS)
            idle += 1
            continue
        idle = 0
        if delivery.message.id not in seen:
            seen.add(delivery.message.id)
            tell(delivery.message)
        if take:
            await receiver.acknowledge(delivery)
        else:
            held += 1
    return False


def problem_of(error: CanarioError, sent: int, prefix: str) -> CanarioError:
    """An error while sending, with what is safe to do."""
    hint = f"send the same file again with --id {prefix}: what has arrived does not count twice"
    if isinstance(error, TooLarge):
        hint = error.hint
    before = f"{sent} message{' was' if sent == 1 else 's were'} sent before"
    return type(error)(f"{error.message}; {before}", at=error.at, hint=hint)
