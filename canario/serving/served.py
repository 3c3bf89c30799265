"""A version, loaded: what the REST and gRPC faces share, and how the model's work is given its turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from canario.adapters.documents import read_record
from canario.adapters.homes import predictions_folder
from canario.adapters.versions import REFERENCE_FILE, prove, read_version
from canario.errors import IntegrityError, NotFound, Overloaded
from canario.feedback.log import PredictionLog
from canario.feedback.opening import open_truths
from canario.feedback.settings import feedback_url, kept_name
from canario.kernel.limits import Limits
from canario.kernel.load import load_kernel
from canario.kernel.rows import RowsCodec
from canario.model.reference import Reference
from canario.serving.answering import Answering
from canario.serving.metrics import Metrics, names_of
from canario.serving.tensors import TensorsCodec

if TYPE_CHECKING:
    from canario.feedback.shipping import LogShipper

T = TypeVar("T")

logger = logging.getLogger(__name__)

QUICK_SECONDS = 0.001
"""A compiled model that answers one row faster than this answers small requests in the event loop's own thread."""
SMALL_BODY_BYTES = 16 * 1024
"""A request of at most this size, some tens of rows, is small."""


class ServedVersion:
    """One version, proved and loaded. Raises CanarioError, saying why, when it cannot be."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.limits = limits
        version = read_version(folder)
        prove(version)
        self.record = version.record
        self.name = version.record.name
        self.card = version.card()
        self.rows = RowsCodec(self.card, limits)
        self.tensors = TensorsCodec(self.card, limits)
        self.metrics = Metrics(self.record, self.card, _reference(folder))
        self.truths = open_truths(names_of(self.record)["model"])
        self.answering = Answering(self.name, self.card, load_kernel(version), self.metrics)
        self.turns = Turns(limits.most_waiting, self.metrics.set_waiting)
        self.is_draining = False
        """Whether the process is about to stop: it still answers, and says that it is not ready."""
        self._shipper: LogShipper | None = None

    def begin_logging(self) -> None:
        """From now on answers are predictions that somebody relies on."""
        self.answering.log = PredictionLog(predictions_folder(self.name.model))
        url = feedback_url()
        if url:
            from canario.feedback.shipping import LogShipper

            names, folder = names_of(self.record), predictions_folder(self.name.model)
            self._shipper = LogShipper(
                url, kept_name(names["model"]), self.card.label, folder, version=names["version"]
            )
            self._shipper.start()

    def close(self) -> None:
        """Let go of files and threads; may wait some seconds for a database, and may be called again after more answers."""
        self.turns.close()
        if self.answering.log is not None:
            self.answering.log.close()
        if self._shipper is not None:
            self._shipper.close()
        self.truths.close()

    def check_name(self, model: str, version: str) -> None:
        """Raises NotFound when this server does not have that model or version; an empty version is any."""
        if model != self.name.model:
            raise NotFound(f"there is no model {model[:60]!r}", at="model_name", hint=f"this server has {self.name}")
        if version not in ("", self.name.tag):
            raise NotFound(
                f"there is no version {version[:60]!r} of {model}",
                at="model_version",
                hint=f"this server has {self.name}",
            )


def _reference(folder: Path) -> Reference | None:
    """What drift compares with; a version that brings nothing to compare with is served all the same."""
    try:
        return read_record(Reference, folder / REFERENCE_FILE)
    except NotFound:
        return None
    except IntegrityError as odd:
        logger.warning("columns are not counted: %s", odd)
        return None


class Turns:
    """Who computes when.

    A small request to a quick model is answered in the event loop's thread: passing it to another would take longer than
    the answer. Everything else goes, one after the other, to the model's own thread, so that health checks and small
    requests are never behind a large one. Only so many may wait there.
    """

    def __init__(self, most_waiting: int, tell: Callable[[int], None]) -> None:
        self._most_waiting = most_waiting
        self._tell = tell
        self._waiting = 0
        self._writing = 0
        self._model_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._disk_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")
        self.is_quick = False
        """Whether the model is compiled and was seen to be quick, when it was warmed up."""
        self.is_computing = False
        """Whether the model's own thread is at work."""

    async def compute(self, size_bytes: int, work: Callable[[], T]) -> T:
        """The result of the model's work for a request of that size. Raises Overloaded at once when too many wait."""
        if self.is_quick and size_bytes <= SMALL_BODY_BYTES:
            return work()
        return await self._wait(partial(self._computing, work))

    async def write(self, work: Callable[[], T]) -> T:
        """The result of work that waits for the disk or a database; however slow that is, the model's turn is not behind it.

        Raises Overloaded at once when too many wait.
        """
        if self._writing >= self._most_waiting:
            raise Overloaded(
                "too much feedback waits already", hint="try again in a second, or send many truths at once"
            )
        self._writing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._disk_thread, work)
        finally:
            self._writing -= 1

    def close(self) -> None:
        """Begin nothing more; what has begun cannot be ended."""
        self._model_thread.shutdown(wait=False, cancel_futures=True)
        self._disk_thread.shutdown()

    def _computing(self, work: Callable[[], T]) -> T:
        self.is_computing = True
        try:
            return work()
        finally:
            self.is_computing = False

    async def _wait(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._most_waiting:
            raise Overloaded("too many requests wait already", hint="try again in a second")
        self._waiting += 1
        self._tell(self._waiting)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._model_thread, work)
        finally:
            self._waiting -= 1
            self._tell(self._waiting)
