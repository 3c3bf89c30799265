"""Where messages are: which broker a URL means, and what the page about streams says of using it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from canario.adapters.homes import stream_file
from canario.errors import UsageError
from canario.model.stream import ContentType, Message
from canario.stream.opening import BROKER_URL, open_broker
from canario.stream.rabbitmq import RabbitMq
from canario.stream.sqlite import SqliteBroker
from tests.stream.broker_connections import connected, in_time
from tests.stream.client_process import ROOT
from tests.stream.rabbitmq_server import RabbitMqServer

PAGE = (ROOT / "docs" / "stream.md").read_text()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and no setting."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    monkeypatch.delenv(BROKER_URL, raising=False)
    return tmp_path


@pytest.mark.parametrize("url", [None, ""])
def test_without_a_setting_it_is_a_file_of_this_machine(home: Path, url: str | None) -> None:
    """A laptop needs no broker: each model's messages are in a file of CANARIO_HOME, made when it is first needed."""
    broker = open_broker("fraud", url)
    assert isinstance(broker, SqliteBroker)
    assert not stream_file("fraud").exists()
    asyncio.run(broker.declare(["canario.fraud.urgent"]))
    assert (home / "stream" / "fraud.sqlite").is_file()


def test_the_setting_names_the_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CANARIO_BROKER_URL holds for every command and process; an argument goes before it."""
    monkeypatch.setenv(BROKER_URL, "amqp://guest:secret@rabbit.example:5672/payments")
    assert isinstance(open_broker("fraud"), RabbitMq)
    assert isinstance(open_broker("fraud", f"sqlite:{tmp_path / 'q'}"), SqliteBroker)
    assert isinstance(open_broker("fraud", ""), SqliteBroker)
    assert isinstance(open_broker("fraud", "amqps://rabbit.example"), RabbitMq)


@pytest.mark.parametrize(
    "url",
    [
        "redis://guest:s3cret@host",
        "rabbit.example",
        "guest:s3cret@rabbit.example",
        "amqp:",
        "amqp://",
        "amqp:///payments",
        "amqp://guest:s3cret@",
        "amqp://guest:s3cret@host:port/",
        "amqps",
        "sqlite:",
        "sqlite:///srv/queues",
        "sqlite:/tmp",
        "sqlite:/tmp/q?most_waiting=none",
        "sqlite:/tmp/q?longest_body_bytes=0",
        "sqlite:/tmp/q?colour=red",
    ],
)
def test_a_wrong_url_is_refused_before_anything_starts(url: str) -> None:
    """A URL that can be no broker's is refused at once, with how to write it and without its password."""
    with pytest.raises(UsageError) as refused:
        open_broker("fraud", url)
    assert refused.value.hint
    assert "s3cret" not in f"{refused.value.message} {refused.value.at} {refused.value.hint}"


@pytest.mark.parametrize("model", ["../../evil", "", "Fraud", "fraud:v1", "a/b", "f" * 51])
def test_queues_are_a_models(model: str, tmp_path: Path) -> None:
    """What cannot be a model's name is refused: it would become the name of a file, perhaps outside the home."""
    for url in ("", f"sqlite:{tmp_path / 'q'}", "amqp://guest:guest@127.0.0.1:9/"):
        with pytest.raises(UsageError, match=r"a model's|no model's name") as refused:
            open_broker(model, url)
        assert refused.value.hint


@in_time
async def test_the_example_of_the_page_sends_a_question(rabbitmq: RabbitMqServer) -> None:
    """What the page shows to other clients of RabbitMQ works as it is written."""
    [example] = re.findall(r"```python\n(import asyncio.*?)```", PAGE, re.DOTALL)
    async with connected(rabbitmq.url) as at:
        for theirs, ours in {
            "amqp://guest:guest@127.0.0.1:5672/": rabbitmq.url,
            "canario.fraud.urgent": at.queue,
        }.items():
            assert theirs in example
            example = example.replace(theirs, ours)
        run = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        [delivery] = await at.take(await at.receiver(), 1)
        rows = json.loads((ROOT / "examples" / "fraud.json").read_text())
        assert json.loads(delivery.message.body) == rows
        assert delivery.message == Message(id="payment-4711", body=delivery.message.body, content_type=ContentType.JSON)


def test_the_page_names_only_commands_that_exist() -> None:
    """Every command that the page about streams tells its reader to type is there, with its options."""
    typed = re.findall(
        r"\bcanario (worker|enqueue|tail|up|schema)\b([^#\n`|]*)",
        "\n".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)),
    )
    assert {command for command, _ in typed} == {"worker", "enqueue", "tail", "up"}
    for command, rest in typed:
        helped = subprocess.run(
            [Path(sys.executable).with_name("canario"), command, "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert [option for option in re.findall(r"--[a-z-]+", rest) if option not in helped] == []
