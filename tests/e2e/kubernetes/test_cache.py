"""What the controller sees is what a real API server holds: it follows every change, and finds back after any break."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from canario.adapters.kubernetes_api import CONFIG_MAPS, MODEL_DEPLOYMENTS, Object, Resource, TooOld
from canario.errors import NotFound
from canario.platforms.kubernetes.cache import Cache, Mirror
from canario.platforms.kubernetes.naming import MODEL_LABEL, STATE, labels
from tests.e2e.kubernetes.room import MODEL, Room, a_room, model_deployment


class Line:
    """A line to the API server that the test can cut, and keep cut."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        assert split.hostname
        self._server = (split.hostname, split.port or 443)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self.dialled = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self, *, for_good: bool = False) -> None:
        """Break every connection; `for_good`: and take no new one until it is mended."""
        self._is_cut = for_good
        for each in list(self._open):
            each.close()
        self._open.clear()

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self._listener.close()
        self.cut(for_good=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.dialled += 1
            if self._is_cut:
                client.close()
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        server = socket.create_connection(self._server)
        self._open |= {client, server}
        other = {client: server, server: client}
        try:
            while True:
                for each in select.select([client, server], [], [], 0.1)[0]:
                    content = each.recv(65536)
                    if not content:
                        return
                    other[each].sendall(content)
        except (OSError, ValueError):
            return
        finally:
            for each in other:
                each.close()


@pytest.fixture(scope="module")
def module_room() -> Iterator[Room]:
    with a_room() as found:
        yield found


@pytest.fixture
def room(module_room: Room) -> Room:
    """A room with one model and no objects of it."""
    for each in module_room.api.list(CONFIG_MAPS, selector=MODEL_LABEL)[0]:
        module_room.api.delete(CONFIG_MAPS, each["metadata"]["name"])
    return module_room


@pytest.fixture
def line(room: Room) -> Iterator[Line]:
    made = Line(room.api._client.configuration.host)
    yield made
    made.close()


@pytest.fixture
def cache(room: Room, line: Line) -> Iterator[Cache]:
    """A cache at the far end of the line, up to date."""
    api = room.another_api()
    api._client.configuration.host = line.url
    ending = threading.Event()
    made = Cache(api, room.namespace)
    made.start(ending)
    assert made.is_synced(10.0)
    yield made
    ending.set()


def config_map(name: str, text: str = "", model: str = MODEL) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels(model, STATE)},
        "data": {"text": text},
    }


def names(cache: Cache) -> list[str]:
    return sorted(each["metadata"]["name"] for each in cache.seen(MODEL).config_maps)


def soon(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_what_is_there_is_seen_from_the_beginning(cache: Cache, room: Room) -> None:
    """Once synced, the model is known, with its own resource."""
    assert cache.models() == [MODEL]
    seen = cache.seen(MODEL).resource
    assert seen
    assert seen["metadata"]["uid"] == room.resource["metadata"]["uid"]


def test_it_follows_what_is_made_changed_and_deleted(cache: Cache, room: Room) -> None:
    """Each within a moment, and each rings the model's bell."""
    bell = cache.bell(MODEL)
    bell.clear()
    room.api.create(CONFIG_MAPS, config_map("one", "a"))
    soon(lambda: names(cache) == ["one"])
    assert bell.is_set()
    bell.clear()
    room.api.merge(CONFIG_MAPS, "one", {"data": {"text": "b"}})
    soon(lambda: cache.seen(MODEL).config_maps[0]["data"]["text"] == "b")
    assert bell.is_set()
    bell.clear()
    room.api.delete(CONFIG_MAPS, "one")
    soon(lambda: names(cache) == [])
    assert bell.is_set()


def test_what_belongs_to_another_model_rings_another_bell(cache: Cache, room: Room) -> None:
    """One busy model does not keep all others awake."""
    room.api.create(CONFIG_MAPS, config_map("theirs", model="churn"))
    soon(cache.bell("churn").is_set)
    assert names(cache) == []


def test_what_loses_its_label_is_seen_no_more(cache: Cache, room: Room) -> None:
    """It left the selection, so it is gone for the controller."""
    room.api.create(CONFIG_MAPS, config_map("one"))
    soon(lambda: names(cache) == ["one"])
    room.api.merge(CONFIG_MAPS, "one", {"metadata": {"labels": {MODEL_LABEL: None}}})
    soon(lambda: names(cache) == [])
    room.api.delete(CONFIG_MAPS, "one")


def test_it_goes_on_after_the_watch_was_cut(cache: Cache, room: Room, line: Line) -> None:
    """Again and again, at any moment: what is made in between is seen after it."""
    for number in range(5):
        line.cut()
        room.api.create(CONFIG_MAPS, config_map(f"after-cut-{number}"))
        soon(lambda number=number: f"after-cut-{number}" in names(cache))  # type: ignore[misc]


def test_what_happens_while_the_server_is_away_is_seen_afterwards(cache: Cache, room: Room, line: Line) -> None:
    """Made, changed and deleted while nothing could be heard: all three are known once the line is back, and the bell rings."""
    for name in ("stays", "changes", "goes"):
        room.api.create(CONFIG_MAPS, config_map(name, "before"))
    soon(lambda: len(names(cache)) == 3)
    line.cut(for_good=True)
    room.api.create(CONFIG_MAPS, config_map("comes"))
    room.api.merge(CONFIG_MAPS, "changes", {"data": {"text": "after"}})
    room.api.delete(CONFIG_MAPS, "goes")
    time.sleep(1.0)
    assert names(cache) == ["changes", "goes", "stays"]
    bell = cache.bell(MODEL)
    bell.clear()
    line.mend()
    soon(lambda: names(cache) == ["changes", "comes", "stays"])
    changed = next(each for each in cache.seen(MODEL).config_maps if each["metadata"]["name"] == "changes")
    assert changed["data"]["text"] == "after"
    assert bell.is_set()


def test_a_server_that_is_away_is_not_stormed(cache: Cache, line: Line) -> None:
    """Six mirrors ask less and less often: a server that comes back is not met by a flood."""
    line.cut(for_good=True)
    time.sleep(1.0)
    before = line.dialled
    time.sleep(3.0)
    assert line.dialled - before <= 6 * 4


def test_a_model_that_is_deleted_and_made_again_is_another(cache: Cache, room: Room) -> None:
    """Same name, other uid: what is seen is the new one."""
    old = cache.seen(MODEL).resource
    assert old
    room.api.delete(MODEL_DEPLOYMENTS, MODEL)
    room.api.create(MODEL_DEPLOYMENTS, model_deployment("fraud:v2"))

    def is_new() -> bool:
        seen = cache.seen(MODEL).resource
        return seen is not None and seen["metadata"]["uid"] != old["metadata"]["uid"]

    soon(is_new)
    assert cache.models() == [MODEL]


def test_a_moment_that_the_server_has_forgotten_is_no_end(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """410 Gone: it lists again and goes on, as often as it takes."""
    # A server remembers a resource from when it first knew its definition, which is never the first moment of a cluster.
    api, resource = room.another_api(), MODEL_DEPLOYMENTS
    listed = api.list
    forgotten: list[str] = []

    def long_ago(resource: Resource, namespace: str = "", selector: str = "") -> tuple[list[Object], str]:
        found, version = listed(resource, namespace, selector)
        if len(forgotten) < 3:
            forgotten.append(version)
            return found, "1"
        return found, version

    monkeypatch.setattr(api, "list", long_ago)
    with pytest.raises(TooOld):
        next(iter(room.api.watch(resource, "1", room.namespace)))
    mirror, ending = Mirror(api, resource, room.namespace, "", lambda _: None), threading.Event()
    mirror.start(ending)
    soon(lambda: len(forgotten) == 3)
    room.api.create(resource, model_deployment(name="later"))
    soon(lambda: mirror.get("later") is not None)
    ending.set()


def test_an_object_that_nobody_expected_does_not_end_a_watch(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong inside, the mirror comes back instead of showing the past for ever."""
    api = room.another_api()
    failed = threading.Event()

    def trips(changed: Object) -> None:
        if changed["metadata"]["name"] == "odd" and not failed.is_set():
            failed.set()
            raise KeyError("something")

    monkeypatch.setattr("canario.platforms.kubernetes.cache.LONGEST_DELAY_SECONDS", 0.2)
    mirror, ending = Mirror(api, CONFIG_MAPS, room.namespace, MODEL_LABEL, trips), threading.Event()
    mirror.start(ending)
    assert mirror.wait(10.0)
    room.api.create(CONFIG_MAPS, config_map("odd"))
    soon(failed.is_set)
    room.api.create(CONFIG_MAPS, config_map("next"))
    soon(lambda: mirror.get("next") is not None)
    ending.set()


def test_what_is_gone_cannot_be_changed(room: Room) -> None:
    """An error of its own, so that it is not taken for a refusal."""
    with pytest.raises(NotFound):
        room.api.merge(CONFIG_MAPS, "never-was", {"data": {}})
