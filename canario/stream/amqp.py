"""One connection to a RabbitMQ that is there or lost for good, each question with a time limit; what is sent over it is not known here.

A lost connection is never mended behind the caller's back: deliveries of the old one can't be acknowledged on a new one, so
whoever had it lets go of what it held and asks for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from aiormq.channel import Channel
from aiormq.connection import Connection
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ProbableAuthenticationError,
)
from yarl import URL

from canario.errors import Unavailable, UsageError
from canario.stream.amqp_frames import Line

# What it would log is raised here in words of our own; it writes whole tracebacks for a broker that is restarted.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)

T = TypeVar("T")

HEARTBEAT_SECONDS = 10
"""A broker that says nothing for three of these is lost."""

REFUSALS = (ChannelAccessRefused, ChannelLockedResource, ChannelNotFoundEntity, ChannelPreconditionFailed)
"""What a broker says no with; the channel has ended then, the connection goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a broker may take."""

    connect_seconds: float = 10.0
    answer_seconds: float = 15.0
    """For a question such as whether a queue is there."""
    confirm_seconds: float = 30.0
    """Without one confirm while some are awaited."""
    blocked_seconds: float = 5.0
    """While it says that it takes no messages, for want of memory or disk."""
    close_seconds: float = 2.0


class Address:
    """A broker's URL that can be shown: no text of it has the password."""

    def __init__(self, text: str) -> None:
        try:
            # Secrets come from files, and files end with a line's end.
            url = URL(text.strip())
            at = f"{url.host}:{url.port or (5671 if url.scheme == 'amqps' else 5672)}"
        except ValueError:
            url, at = URL(), ""
        if url.scheme not in {"amqp", "amqps"} or not url.host:
            raise UsageError(
                "the broker's address is not one of RabbitMQ",
                hint="write amqp://USER:PASSWORD@HOST:5672/VHOST, or amqps://...; in a password write / as %2F and @ as %40",
            )
        self.url = url if "heartbeat" in url.query else url.update_query(heartbeat=str(HEARTBEAT_SECONDS))
        self.at = at
        self.user = url.user or "guest"
        self.vhost = url.path[1:] or "/"

    def __repr__(self) -> str:
        return f"{self.url.scheme}://{self.at}"


class Link:
    """A connection, from the moment it is open until it is lost."""

    def __init__(self, address: Address, connection: Connection, line: Line, patience: Patience) -> None:
        self._address = address
        self._connection = connection
        self._line = line
        self._patience = patience
        self.lost: str | None = None
        """Why it is lost; None while it is there."""
        self._when_lost: list[Callable[[], None]] = []
        connection.closing.add_done_callback(lambda ended: self.lose(end_of(ended, "the connection is lost")))

    @property
    def at(self) -> str:
        """Host and port of the broker."""
        return self._address.at

    def hold_back(self, *, is_full: bool) -> None:
        """Leave messages with the broker while there is no room for more; answers to questions wait with them."""
        self._line.hold_back(is_full=is_full and self.lost is None)

    def when_lost(self, call: Callable[[], None]) -> None:
        """Have something called once it is lost."""
        self._when_lost.append(call)

    def lose(self, reason: str) -> None:
        """Give it up at once; what the broker lent over it, the broker lends to others."""
        if self.lost is not None:
            return
        self.lost = reason
        self._line.cut()
        for call in self._when_lost:
            call()

    def check(self) -> None:
        """Raise Unavailable once it is lost."""
        if self.lost is not None:
            raise self.unavailable(self.lost)

    def unavailable(self, reason: str) -> Unavailable:
        """What to raise when this broker can't be had now."""
        return Unavailable(
            f"RabbitMQ at {self.at}: {reason}", hint="connect again; what was not confirmed may be sent again"
        )

    async def channel(self, *, confirms: bool = False) -> Channel:
        """A channel of it, for questions whose refusal ends no more than the channel."""
        return cast("Channel", await self.ask(self._connection.channel(publisher_confirms=confirms)))

    async def ask(self, question: Awaitable[T], longest_seconds: float | None = None) -> T:
        """The answer to a question, or the broker's refusal; Unavailable, and the connection is lost, when it takes too long."""
        asked = asyncio.ensure_future(question)
        if self.lost is not None:
            asked.cancel()
            self.check()
        try:
            await asyncio.wait({asked}, timeout=longest_seconds or self._patience.answer_seconds)
        except asyncio.CancelledError:
            asked.cancel()
            raise
        if not asked.done():
            # Waiting for the end of it would be to wait for the broker again.
            asked.cancel()
            self.lose("it does not answer")
            self.check()
        try:
            return asked.result()
        except asyncio.CancelledError:
            raise self.unavailable(self.lost or "the connection is lost") from None
        except REFUSALS:
            raise
        except Exception as error:
            raise self.unavailable(self.lost or said(error)) from error

    async def is_blocked(self) -> bool:
        """Whether the broker said that it takes no messages now."""
        try:
            await asyncio.wait_for(self._connection.ready(), 0.01)
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        """End it in an orderly way where the broker goes along, and in any case soon."""
        self.hold_back(is_full=False)
        if self.lost is None:
            with contextlib.suppress(Exception):
                await self.ask(self._connection.close(None), self._patience.close_seconds)
        self.lose("it was closed here")


async def connect(address: Address, purpose: str, patience: Patience) -> Link:
    """Open a connection; raises Unavailable in words without the password, for a refused one too: passwords change while we run."""
    line = Line(address.url.scheme)
    connection = Connection(
        address.url, transport_factory=line, client_properties={"connection_name": f"canario {purpose}"}
    )
    opened = asyncio.ensure_future(connection.connect())
    try:
        await asyncio.wait({opened}, timeout=patience.connect_seconds)
    except asyncio.CancelledError:
        opened.cancel()
        line.cut()
        raise
    if not opened.done():
        opened.cancel()
        line.cut()
        raise _refused(address, f"does not answer within {patience.connect_seconds:g} s")
    try:
        opened.result()
    except asyncio.CancelledError:
        line.cut()
        raise _refused(address, "ended the connection") from None
    except Exception as error:
        line.cut()
        raise _refused(address, *_why(address, error, has_answered=line.was_open)) from error
    return Link(address, connection, line, patience)


_VHOSTS = "it is not there, or the user has no right to it: `rabbitmqctl list_vhosts`, `rabbitmqctl list_permissions -p VHOST`"


def _refused(address: Address, why: str, hint: str = "") -> Unavailable:
    return Unavailable(
        f"RabbitMQ at {address.at} {why}", hint=hint or "see that it runs there: the address is CANARIO_BROKER_URL's"
    )


def _why(address: Address, error: BaseException, *, has_answered: bool) -> tuple[str, str]:
    """What went wrong at connecting, and what to do about it."""
    text = said(error)
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not trusted: {cause.verify_message}",
            "name its authority: ?cafile=PATH at the address",
        )
    if isinstance(cause, ssl.SSLError):
        return (
            f"does not speak TLS as expected: {cause.reason or text}",
            "see whether the port is one for amqps://, or write amqp://",
        )
    if isinstance(error, ProbableAuthenticationError) and "vhost" not in text:
        return (
            f"refuses the user {address.user!r}: wrong name or password",
            "see CANARIO_BROKER_URL; `rabbitmqctl list_users` names all",
        )
    # The client looks for what it expects before it looks for a refusal, so the broker's own words are lost at this place.
    if "vhost" in text or "Connection.OpenOk" in text:
        return f"does not let {address.user!r} into the vhost {address.vhost!r}", _VHOSTS
    if isinstance(cause, OSError) and not isinstance(cause, socket.gaierror) and cause.errno:
        text = os.strerror(cause.errno)
    if has_answered:
        return (
            f"ended the connection: {text}",
            "see whether its port is one for amqp://; one for TLS is written amqps://",
        )
    return f"does not answer: {text}", ""


def said(error: BaseException) -> str:
    """The words of a client's error, which has them in pieces."""
    return " ".join(str(word) for word in error.args if word is not None) or type(error).__name__


def end_of(ended: asyncio.Future[Any], what: str) -> str:
    """What has ended, with the broker's words if it had some."""
    error = None if ended.cancelled() else ended.exception()
    return f"{what}: {said(error)}" if error is not None and error.args else what
