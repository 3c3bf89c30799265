"""The application by itself, as another server would mount it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from canario.serving.app import build_app
from tests.serving import sample_requests as samples

FORBIDDEN = {"sklearn", "pandas", "scipy", "joblib", "cloudpickle", "bentoml", "skl2onnx"}
IMPORTED = """
import sys
from pathlib import Path
from canario.serving.app import build_app
import canario.serving.process
build_app(Path(sys.argv[1])).served.close()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions and feedback stay in the test's own folder."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))


def test_it_answers_where_no_lifespan_is_run(shop_folder: Path) -> None:
    """A server that mounts the application without its lifespan gets a loaded and warm version with the first request."""
    app = build_app(shop_folder)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://mounted") as client:
            return [await client.get("/readyz"), await client.post("/predict", json=samples.CUSTOMER)]

    assert [answer.status_code for answer in asyncio.run(ask())] == [200, 200]
    app.served.close()


def test_a_version_that_cannot_be_served_fails_the_start(shop_folder: Path, tmp_path: Path) -> None:
    """The lifespan fails with the reason, so that the server around it does not start."""
    said = asyncio.run(start(build_app(tmp_path)))
    assert said["type"] == "lifespan.startup.failed"
    assert "version.json" in said["message"]
    app = build_app(shop_folder)
    assert asyncio.run(start(app)) == {"type": "lifespan.startup.complete"}
    app.served.close()


async def start(app: Any) -> dict[str, Any]:
    """What the application answers to the start of its lifespan."""
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    await heard.put({"type": "lifespan.startup"})
    running = asyncio.create_task(app({"type": "lifespan"}, heard.get, said.put))
    answer = await said.get()
    running.cancel()
    return answer


def test_serving_a_compiled_version_imports_nothing_that_unpickles(shop_folder: Path) -> None:
    """A compiled version is loaded, warmed up and answered without scikit-learn, pandas, joblib or BentoML."""
    command = [sys.executable, "-c", IMPORTED, str(shop_folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "onnxruntime" in said
    assert FORBIDDEN.isdisjoint(said), FORBIDDEN & set(said)
