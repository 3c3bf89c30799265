"""A worker: takes messages, the urgent first, has a model's router answer them, and loses and doubles none, whoever is killed when.

For each message: look in the ledger; ask the router; keep the answer in the ledger, durably; send it and have that confirmed;
acknowledge. Whatever comes again finds its answer in the ledger and is not asked again. What cannot be answered goes to the
dead ones before it is acknowledged. Nothing here holds a model: split, evidence and rescue are those of every request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from canario.errors import CanarioError, KernelError, NotFound, Overloaded, TooLarge, Unavailable
from canario.model.stream import ANSWERS, DEAD, Delivery, Message, Priority, queue_name, queue_names
from canario.ports.stream import Broker, Receiver
from canario.stream.asking import VERSION, Router
from canario.stream.burying import another_round, dead_letter, editions
from canario.stream.ending import Ending, GivenBack, pause_seconds
from canario.stream.foreign import CORRELATION
from canario.stream.ledger import MOST_FORGOTTEN, Known, Ledger
from canario.stream.link import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Link
from canario.stream.metrics import Metrics
from canario.stream.places import Places
from canario.stream.questions import Decided, Fate, Questions
from canario.stream.remembering import Memory
from canario.stream.turns import Turns

MOST_ATTEMPTS = 20
"""Of a message that was lent so often to workers who went without a word: it may be what ends them."""
MOST_REFUSALS = 8
"""By a full queue that is not the model's own, of one answer: a quarter of a minute."""
REMEMBERED_AS_FULL_SECONDS = 60.0
DRAIN_SECONDS = 25.0
CLOSING_SECONDS = 5.0
"""A broker that says nothing need not be told that we go."""
IDLE_SECONDS = 0.5
URGENT_LOOK_SECONDS = 0.005
"""How often urgent messages are looked for while all other places are taken: what waits of others would wake us at once."""
HOUSEKEEPING_SECONDS = 0.5
COUNTING_SECONDS = 5.0
FORGETTING_SECONDS = 60.0
REPEATED = "repeated"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a worker does at once, and how long."""

    concurrency: int = 16
    """Messages about which the router is asked at once."""
    prefetch: int = 16
    """Messages of each priority in the worker's hands."""
    drain_seconds: float = DRAIN_SECONDS
    """How long an ending worker finishes what it has begun."""
    kept_seconds: float = 48 * 3600.0
    """How long answers are remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _InHand:
    """A message that was taken up."""

    delivery: Delivery
    receiver: Receiver
    priority: Priority
    began: float


class Worker:
    """One worker of one model; `run` returns when it was told to end and has."""

    def __init__(self, model: str, broker: Broker, ledger: Ledger, router: Router, bounds: Bounds) -> None:
        self._model = model
        self._bounds = bounds
        self.metrics = Metrics(model)
        self._ending = Ending()
        self._link = Link(broker, model, bounds.prefetch, self._ending)
        self._memory = Memory(ledger, self._ending)
        self._questions = Questions(router, self._ending)
        self._turns = Turns()
        self._places = Places(bounds.concurrency)
        # Those that wait for ledger or broker ask nobody; after a reconnection the broker lends what these still hold.
        self._hands = asyncio.Semaphore(bounds.concurrency + len(Priority) * bounds.prefetch)
        self._under_way: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._full_until: dict[str, float] = {}
        """Queues for answers that were full for too long, and until when they are tried once only."""

    def end(self) -> None:
        """Take nothing more, finish what was begun, give back the rest."""
        self._ending.begin()

    def troubles(self) -> list[str]:
        """Why it is not ready; empty when it is."""
        found = {
            "broker": self._link.trouble,
            "ledger": self._memory.trouble,
            "router": self._questions.trouble,
            "worker": "it ends" if self._ending.has_begun() else "",
        }
        return [f"{who}: {why}" for who, why in found.items() if why]

    async def run(self) -> None:
        """Work until told to end. Raises Conflict when a queue of the broker is of another kind."""
        chores = asyncio.create_task(self._housekeep())
        try:
            failures = 0
            while not self._ending.has_begun():
                began = time.monotonic()
                with contextlib.suppress(Unavailable, NotFound, GivenBack):
                    await self._work()
                if self._ending.has_begun():
                    break
                # A broker that takes us and throws us out at once is no better than one that is away.
                failures = 0 if time.monotonic() - began > LONGEST_PAUSE_SECONDS else failures + 1
                self.metrics.reconnects.inc()
                await self._link.close()
                await self._ending.wait(pause_seconds(failures, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
        finally:
            self._ending.begin()
            chores.cancel()
            await self._drain()

    async def _work(self) -> None:
        """Connect, and take turns until the connection is lost or the worker ends. Raises Unavailable, NotFound, Conflict."""
        try:
            receiver = await self._ending.unless(self._link.open())
            logger.info("%s: taking messages", self._model)
            await self._take_turns(receiver)
        except (Unavailable, NotFound) as lost:
            if str(lost) != self._link.trouble:
                logger.warning("the broker is away: %s", lost)
            self._link.trouble = str(lost)
            raise

    async def _take_turns(self, receiver: Receiver) -> None:
        """Take messages up as long as this receiver lives. Raises Unavailable."""
        while True:
            await self._hands.acquire()
            taken = None
            try:
                taken = await self._next(receiver)
            finally:
                if taken is None:
                    self._hands.release()
            if taken is None:
                return
            task = asyncio.create_task(self._deal_with(taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _next(self, receiver: Receiver) -> _InHand | None:
        """The message whose turn it is; None when no more are to be taken from here."""
        while not self._ending.has_begun() and self._link.is_up(receiver):
            open_to = self._places.open_to()
            if not open_to:
                await self._places.wait(IDLE_SECONDS)
                continue
            waiting = set(open_to)
            for priority in (each for each in self._turns.order() if each in open_to):
                delivery = await receiver.take(queue_name(self._model, priority))
                if delivery is not None:
                    self._turns.served(priority, waiting)
                    self._places.take()
                    sent_at = delivery.message.sent_at_seconds
                    self.metrics.took_up(priority, time.time() - sent_at if sent_at else None)
                    return _InHand(delivery=delivery, receiver=receiver, priority=priority, began=time.monotonic())
                waiting.discard(priority)
            if len(open_to) == len(Priority):
                await receiver.wait(IDLE_SECONDS)
            else:
                await self._places.wait(URGENT_LOOK_SECONDS)
        return None

    async def _deal_with(self, taken: _InHand) -> None:
        asking = contextlib.ExitStack()
        asking.callback(self._places.give)
        try:
            async with self._alone(taken.delivery.message.id):
                outcome = await self._settle(taken, asking)
                await self._acknowledge(taken)
            self.metrics.dealt_with(taken.priority, outcome, time.monotonic() - taken.began)
        except GivenBack:
            pass  # it is not acknowledged, so the broker lends it again
        except Unavailable as lost:
            self._link.lost(taken.receiver, lost)
        except Exception:
            # Nothing is lost: it stays with this receiver, and comes again when that goes.
            logger.exception("%s: a message was not dealt with", taken.delivery.message.id)
            self._link.lost(taken.receiver, Unavailable("a message was not dealt with"))
        finally:
            asking.close()
            self._hands.release()
            self.metrics.in_flight.dec()

    @contextlib.asynccontextmanager
    async def _alone(self, message: str) -> AsyncIterator[None]:
        """Who comes with an id that is under way here already waits, and finds its answer in the ledger."""
        while (other := self._under_way.get(message)) is not None:
            await other.wait()
        self._under_way[message] = done = asyncio.Event()
        try:
            yield
        finally:
            del self._under_way[message]
            done.set()

    async def _settle(self, taken: _InHand, asking: contextlib.ExitStack) -> str:
        """See a message through to its answer, its grave or the end of its queue; which it was. Raises GivenBack."""
        delivery, message = taken.delivery, taken.delivery.message
        known = await self._memory.known(message.id, was_before=delivery.is_redelivered)
        if known.is_sent:
            return REPEATED
        if known.answer is not None:
            asking.close()
            return await self._send_answer(delivery, known.answer, REPEATED)
        if known.attempts > MOST_ATTEMPTS:
            reason = f"it was lent {known.attempts} times to workers that went without a word"
            error = KernelError(reason, hint="it may be what ends them: look at their logs before you send it again")
            return await self._bury(delivery, error, known.attempts)
        try:
            decided, tries = await self._decide(delivery)
        except GivenBack:
            self._forgive(message, known)
            raise
        finally:
            asking.close()
        if decided.fate is Fate.ANSWERED:
            return await self._answer(delivery, decided)
        self._forgive(message, known)
        if decided.fate is Fate.POSTPONED:
            return Fate.POSTPONED
        return await self._bury(delivery, decided.error, known.attempts + tries)

    async def _decide(self, delivery: Delivery) -> tuple[Decided, int]:
        """What becomes of a message, which is at the end of its queue if that is it, and after how many tries. Raises GivenBack."""
        message, tries = delivery.message, 0
        while True:
            decided = await self._questions.settle(message)
            tries += decided.tries
            if decided.fate is not Fate.POSTPONED:
                return decided, tries
            again = another_round(message, counts=decided.others_were_answered)
            if again is None:
                return replace(decided, fate=Fate.DEAD), tries
            try:
                await self._link.send(delivery.queue, again, most_refusals=1)
            except Overloaded:
                # Who waits here for room keeps the places of those who would make it: its next round begins in hand.
                message = again
            except TooLarge:
                return replace(decided, fate=Fate.DEAD), tries
            else:
                logger.warning("%s goes to the end of %s: %s", message.id, delivery.queue, decided.error)
                return decided, tries

    async def _answer(self, delivery: Delivery, decided: Decided) -> str:
        message = delivery.message
        headers = {VERSION.removeprefix("x-"): decided.outcome.version}
        if CORRELATION in message.headers:
            headers[CORRELATION] = message.headers[CORRELATION]
        answer = Message(
            id=message.id,
            body=decided.outcome.body,
            content_type=message.content_type,
            headers=headers,
            sent_at_seconds=time.time(),
        )
        held = await self._memory.hold(answer)
        if held.answer is None:
            return REPEATED
        return await self._send_answer(delivery, held.answer, Fate.ANSWERED)

    async def _send_answer(self, delivery: Delivery, answer: Message, outcome: str) -> str:
        queue = delivery.message.reply_to or queue_name(self._model, ANSWERS)
        try:
            await self._link.send(queue, answer, self._patience_with(queue))
        except Overloaded as full:
            self._full_until[queue] = time.monotonic() + REMEMBERED_AS_FULL_SECONDS
            hint = "have somebody read the queue, then send the message again: its answer is kept"
            return await self._bury(delivery, Overloaded(full.message, at="reply_to", hint=hint), 1)
        except NotFound as unknown:
            hint = "have the queue, then send the message again: its answer is kept"
            return await self._bury(delivery, NotFound(unknown.message, at="reply_to", hint=hint), 1)
        except TooLarge as wide:
            error = TooLarge(f"its answer is too large: {wide.message}", at="body", hint="send fewer rows in a message")
            return await self._bury(delivery, error, 1)
        self._full_until.pop(queue, None)
        self._memory.was_sent(answer.id)
        return outcome

    def _patience_with(self, queue: str) -> int:
        """How often it may be full before an answer is given up. The model's own queues are waited for; nobody need read another."""
        if queue in queue_names(self._model):
            return 0
        return 1 if time.monotonic() < self._full_until.get(queue, 0.0) else MOST_REFUSALS

    async def _bury(self, delivery: Delivery, error: CanarioError, attempts: int) -> str:
        letter = dead_letter(delivery.message, error, delivery.queue, attempts)
        logger.warning("%s is dead: %s", letter.id, error)
        self._memory.forgive(letter.id)
        for edition in editions(letter):
            try:
                await self._link.send(queue_name(self._model, DEAD), edition)
            except TooLarge as refused:
                # It fitted into its own queue, and fits no more with the reason.
                wide = refused
            else:
                return Fate.DEAD
        raise wide

    def _forgive(self, message: Message, known: Known) -> None:
        if known.attempts:
            self._memory.forgive(message.id)

    async def _acknowledge(self, taken: _InHand) -> None:
        await taken.receiver.acknowledge(taken.delivery)

    async def _drain(self) -> None:
        """Finish what was begun, as long as that may take, and give back the rest."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=self._bounds.drain_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._link.close()
        with contextlib.suppress(CanarioError):
            await self._memory.flush()
        self._memory.close()

    async def _housekeep(self) -> None:
        """What has time: marks to write, queues to count, old answers to forget."""
        counted_at = forgot_at = -math.inf
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            now = time.monotonic()
            with contextlib.suppress(CanarioError):
                await self._memory.flush()
                if now - forgot_at >= FORGETTING_SECONDS:
                    forgot_at = now
                    forgotten = await self._memory.forget(time.time() - self._bounds.kept_seconds)
                    if forgotten >= MOST_FORGOTTEN:
                        forgot_at = -math.inf  # there is more, and more than this may come in a minute
                if now - counted_at >= COUNTING_SECONDS and not self._link.trouble:
                    counted_at = now
                    for queue, messages in (await self._link.waiting()).items():
                        self.metrics.waiting(queue.rpartition(".")[2], messages)
