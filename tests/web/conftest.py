"""A real Chromium, and real server processes of real versions for it to visit."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # for the helpers of tests/serving, when pytest was not started by `python -m`

from canario.packaging.rooms import load_room  # noqa: E402 - after the path above
from canario.packaging.training import TrainingRequest, train  # noqa: E402 - the same
from tests.parts import missing  # noqa: E402 - the same
from tests.serving.server_processes import Server, running  # noqa: E402 - the same
from tests.serving.small_versions import make_iris, make_moody  # noqa: E402 - the same
from tests.web.hostile_version import make_hostile  # noqa: E402 - the same

FIRST_DAY, LAST_DAY = dt.date(2026, 6, 1), dt.date(2026, 6, 14)
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's own Chromium; tests are skipped where there is none, but not in continuous integration.

    For a module and not for the session: while Playwright runs, no other test of this process can run an event loop.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("the form is tested in Chromium, which is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A reader of English at a desk."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Their tab; an error in the page's script fails the test."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


def trained_server(name: str, estimator: str, folder: Path) -> Iterator[Server]:
    """A server process of a version that was trained as a person would train it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(folder / "bentoml"))
        patch.setenv("CANARIO_ROOMS", str(ROOT / "bentos"))
        request = TrainingRequest(estimator=estimator, first_day=FIRST_DAY, last_day=LAST_DAY, tag="v1")
        version = train(load_room(name), request)
    with running(version.folder, folder / "canario") as server:
        yield server


@pytest.fixture(scope="session")
def fraud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two classes, every kind of column."""
    yield from trained_server("fraud", "logistic-regression", tmp_path_factory.mktemp("fraud"))


@pytest.fixture(scope="session")
def loan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A regression."""
    yield from trained_server("loan", "ridge", tmp_path_factory.mktemp("loan"))


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three classes, no examples."""
    folder = tmp_path_factory.mktemp("iris")
    with running(make_iris(folder), folder / "canario") as server:
        yield server


@pytest.fixture(scope="session")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A model that fails when asked to."""
    folder = tmp_path_factory.mktemp("moody")
    with running(make_moody(folder), folder / "canario") as server:
        yield server


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A card whose every text tries to be markup or script."""
    folder = tmp_path_factory.mktemp("hostile")
    with running(make_hostile(folder), folder / "canario") as server:
        yield server
