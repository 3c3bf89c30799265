"""What the embedded broker does where a file, a disk and many processes go wrong; what it shares with others is in test_brokers.py."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from canario.errors import IntegrityError, NotFound, Overloaded, Unavailable
from canario.model.stream import Message
from canario.stream.sqlite import SqliteBroker
from tests.parts import missing
from tests.stream.broker_connections import SOON_SECONDS, connected, ids, in_time, numbered
from tests.stream.client_process import ROOT, client_process

FULL_DISK = """
import asyncio, json, sys
from pathlib import Path
from canario.errors import Unavailable
from canario.model.stream import Message
from canario.stream.sqlite import SqliteBroker

async def main(folder):
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(8_000_000))
    broker = SqliteBroker(folder / "queues.sqlite")
    await broker.declare(["all"])
    sender = await broker.sender()
    kept, refused = [], []
    for size in (40_000, 1_000, 1):  # until not even the smallest fits
        while True:
            message = Message(id=str(len(kept)), body=b"x" * size)
            try:
                await sender.send("all", [message])
            except Unavailable as full:
                refused.append([full.message, full.hint])
                break
            kept.append(message.id)
    try:
        receiver = await broker.receiver({"all": 1000})
        while True:
            await receiver.wait(1.0)
            while (delivery := await receiver.take("all")) is not None:
                await receiver.acknowledge(delivery)
    except Unavailable as full:
        refused.append([full.message, full.hint])
    ballast.unlink()
    received = []
    receiver = await broker.receiver({"all": 1000})
    while len(received) < len(kept):
        await receiver.wait(5.0)
        while (delivery := await receiver.take("all")) is not None:
            await receiver.acknowledge(delivery)
            received.append(delivery.message.id)
    await sender.send("all", [Message(id="later", body=b"")])
    await receiver.close()
    print(json.dumps({"kept": kept, "refused": refused, "received": received, "waiting": (await broker.waiting(["all"]))["all"]}))

asyncio.run(main(Path(sys.argv[1])))
"""

FORKING = """
import asyncio, os, sys, time
from pathlib import Path
from canario.stream.sqlite import SqliteBroker

async def main():
    receiver = await SqliteBroker(Path(sys.argv[1])).receiver({sys.argv[2]: 1})
    while await receiver.take(sys.argv[2]) is None:
        await receiver.wait(1.0)
    child = os.fork()
    if not child:
        time.sleep(60)
    print(child, flush=True)
    time.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the queues."""
    return tmp_path / "queues.sqlite"


@pytest.fixture
def url(path: Path) -> str:
    """Where it is, as in CANARIO_BROKER_URL."""
    return f"sqlite:{path}"


def small_disk(folder: Path) -> list[str]:
    """The beginning of a command that has a disk of 16 MB at a folder, which nobody else sees."""
    unshare = shutil.which("unshare")
    found = [str(unshare), "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    mounting = 'mount -t tmpfs -o size=16m none "$0" && exec "$@"'
    if (
        unshare is None
        or subprocess.run(
            [*found, "sh", "-c", mounting, str(folder), "true"], capture_output=True, check=False
        ).returncode
    ):
        missing("no small disk can be made here: it needs root, or user namespaces")
    return [*found, "sh", "-c", mounting, str(folder)]


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """On a full disk senders and receivers are told to free space; then everything that was kept is there, in order, once."""
    run = subprocess.run(
        [*small_disk(tmp_path), sys.executable, "-c", FULL_DISK, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert len(told["kept"]) > 20
    assert len(told["refused"]) == 4
    assert all("full" in message and "free space" in hint for message, hint in told["refused"]), told["refused"]
    assert told["received"] == told["kept"]
    assert told["waiting"] == 1


@in_time
async def test_the_event_loop_goes_on_while_the_file_is_busy(path: Path, url: str) -> None:
    """While another process writes for a second, a worker's loop answers all the same, and what was sent is kept afterwards."""
    async with connected(url) as at:
        sender, receiver = await at.sender(), await at.receiver()
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            sending = asyncio.create_task(sender.send(at.queue, [Message(id="1", body=b"{}")]))
            longest_seconds, until = 0.0, time.monotonic() + 1.0
            while time.monotonic() < until:
                before = time.monotonic()
                await asyncio.sleep(0.005)
                longest_seconds = max(longest_seconds, time.monotonic() - before)
            assert not sending.done()
            other.execute("ROLLBACK")
        await sending
        assert ids(await at.take(receiver, 1)) == ["1"]
        assert longest_seconds < 0.5


@in_time
async def test_a_receiver_that_stands_still_keeps_its_messages(url: str) -> None:
    """There is no time-out: a process that is stopped, or slow, has its messages until it is gone."""
    async with connected(url) as at:
        await at.send(2)
        with client_process("hold", url, at.queue, 1, 1, 0) as holder:
            await asyncio.to_thread(holder.said, 1)
            holder.send_signal(signal.SIGSTOP)
            receiver = await at.receiver()
            assert ids(await at.take(receiver, 1)) == numbered(1)
            await asyncio.sleep(1.0)
            assert await at.nothing(receiver)
        assert ids(await at.take(receiver, 1)) == numbered(0)


@in_time
async def test_a_forked_child_holds_nothing(path: Path, url: str) -> None:
    """What a killed process held comes again also when a process that it had forked lives on."""
    async with connected(url) as at:
        await at.send(1)
        parent = subprocess.Popen(
            [sys.executable, "-c", FORKING, str(path), at.queue], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        child = psutil.Process(int(await asyncio.to_thread(parent.stdout.readline)))
        try:
            parent.kill()
            assert ids(await at.take(await at.receiver(), 1)) == numbered(0)
            assert child.is_running()
        finally:
            child.kill()
            parent.communicate()


@in_time
async def test_nothing_is_left_of_receivers(path: Path, url: str) -> None:
    """Neither a closed receiver nor a killed one leaves a file behind for long."""
    folder = path.with_name("queues.sqlite.receivers")
    async with connected(url) as at:
        with client_process("hold", url, at.queue, 1, 0, 0) as holder:
            await asyncio.to_thread(holder.ready)
            await (await at.receiver()).close()
            assert len(list(folder.iterdir())) == 1
        await at.broker.waiting([at.queue])
        assert list(folder.iterdir()) == []
        (folder / "0123456789abcdef").touch()  # of one killed before it was known
        await (await at.receiver()).close()
        assert list(folder.iterdir()) == []


@in_time
async def test_a_file_that_was_removed_is_told(path: Path, url: str) -> None:
    """Who removes the file under a worker has it told, instead of a worker that waits for ever on a file without a name."""
    async with connected(url) as at:
        sender, receiver = await at.sender(), await at.receiver()
        await at.send(1)
        await at.take(receiver, 1)
        for each in path.parent.glob("queues.sqlite*"):
            if each.is_file():
                each.unlink()
        with pytest.raises(NotFound):
            await sender.send(at.queue, [Message(id="1", body=b"{}")])
        await at.broker.declare([at.queue])
        await at.send(1)
        with pytest.raises(Unavailable, match="not the file any more"):
            await at.take(receiver, 1)


@in_time
async def test_another_file_is_refused(path: Path) -> None:
    """A file that is no database is named, and left as it is."""
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(IntegrityError, match=r"queues\.sqlite"):
        await SqliteBroker(path).declare(["a"])
    assert path.read_bytes().startswith(b"not a database")


@in_time
async def test_a_batch_that_does_not_fit_is_refused_whole(path: Path) -> None:
    """Of up to a thousand messages sent at once into a queue that has no room for all, none is kept."""
    broker = SqliteBroker(path, most_waiting=10)
    await broker.declare(["a"])
    sender = await broker.sender()
    await sender.send("a", [Message(id="1", body=b"{}")])
    with pytest.raises(Overloaded, match="1 messages wait in a: no more than 10 may"):
        await sender.send("a", [Message(id=str(number), body=b"{}") for number in range(10)])
    assert await broker.waiting(["a"]) == {"a": 1}
    await sender.close()


@in_time
async def test_ten_thousand_messages_are_sent_at_once(url: str) -> None:
    """One call may send any number of messages; other processes get their turn in between, and the order stays."""
    async with connected(url) as at:
        began = time.monotonic()
        await at.send(10_000)
        receiver = await at.receiver(10_000)
        assert ids(await at.take(receiver, 10_000)) == numbered(*range(10_000))
        assert time.monotonic() - began < 2 * SOON_SECONDS


@in_time
async def test_a_receiver_holds_no_more_bodies_than_it_can_bear(url: str) -> None:
    """However many large messages may be fetched ahead, a receiver has 32 MiB of each queue at once, and the rest waits its turn."""
    async with connected(url) as at:
        sender = await at.sender()
        for number in range(8):
            await sender.send(at.queue, [Message(id=str(number), body=bytes(10_000_000))])
        receiver = await at.receiver(8)
        await receiver.wait(SOON_SECONDS)
        await asyncio.sleep(0.2)
        await at.waiting(5)
        taken = await at.take(receiver, 1)
        await at.waiting(4)
        taken += await at.take(receiver, 7)
        assert ids(taken) == numbered(*range(8))
        assert all(len(each.message.body) == 10_000_000 for each in taken)
