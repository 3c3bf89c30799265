"""What shadow copies showed: the servers' prediction logs are fetched to this machine and joined as on a laptop; judging is for the engine."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from canario.adapters.homes import feedback_file, join_file, predictions_folder
from canario.adapters.kubernetes_api import Object
from canario.errors import CanarioError
from canario.feedback.join import Joiner
from canario.model.card import Card
from canario.model.evidence import Comparison
from canario.platforms.kubernetes.naming import SERVER, SERVER_OPERATOR_PORT, VERSION_LABEL, is_component

FETCH_SECONDS = 1.0
"""Between two looks at the logs."""
_TIMEOUT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Shadows:
    """The comparison of one rollout at a time, brought up to date by a thread of its own."""

    def __init__(self, namespace: str, model: str) -> None:
        self._prefix = f"{namespace}.{model}."
        self._comparison: Comparison | None = None
        self._rollout = ""
        self._pods: tuple[tuple[str, str], ...] = ()
        self._ending = threading.Event()

    def comparison(self, pods: Iterable[Object], rollout: str, stable: str, candidate: str) -> Comparison | None:
        """What the copies of this rollout showed so far; cumulative, None while it cannot be read."""
        self._pods = tuple(
            (pod["metadata"]["name"], pod["status"]["podIP"])
            for pod in pods
            if is_component(pod, SERVER)
            and pod["metadata"]["labels"][VERSION_LABEL] in (stable, candidate)
            and (pod.get("status") or {}).get("podIP")
            and pod["status"].get("phase") == "Running"
        )
        if rollout != self._rollout:
            self.close()
            self._rollout, self._comparison, self._ending = rollout, None, threading.Event()
            threading.Thread(
                target=self._follow, args=(rollout, stable, candidate, self._ending), name="shadows", daemon=True
            ).start()
        return self._comparison

    def close(self) -> None:
        """Look no further."""
        self._ending.set()
        self._rollout = ""

    def _follow(self, rollout: str, stable: str, candidate: str, ending: threading.Event) -> None:
        name = f"{self._prefix}{rollout}"
        self._forget_others(name)
        joiner: Joiner | None = None
        told = ""
        with httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while not ending.wait(FETCH_SECONDS):
                try:
                    if joiner is None:
                        joiner = self._joiner(client, name)
                    for pod, address in self._pods:
                        _fetch(client, f"http://{address}:{SERVER_OPERATOR_PORT}", pod, predictions_folder(name))
                    found: Comparison | None = joiner.comparison(stable, candidate) if joiner else None
                except (CanarioError, httpx.HTTPError, msgspec.MsgspecError, OSError) as lost:
                    if str(lost) != told:
                        told = str(lost)
                        _log.warning("the copies of %s cannot be compared now: %s", rollout, lost)
                    found = None
                except Exception:  # noqa: BLE001 - figures that no longer move must not pass for evidence
                    _log.exception("the copies of %s cannot be compared", rollout)
                    found = None
                if not ending.is_set():
                    self._comparison = found
        if joiner is not None:
            joiner.close()

    def _joiner(self, client: httpx.Client, name: str) -> Joiner | None:
        """A joiner with the label of the model's card, as a server tells it."""
        for _, address in self._pods:
            answer = client.get(f"http://{address}:{SERVER_OPERATOR_PORT}/card")
            if answer.status_code == httpx.codes.OK:
                return Joiner(name, msgspec.json.decode(answer.content, type=Card).label, keeps_values=False)
        return None

    def _forget_others(self, name: str) -> None:
        """Remove what earlier rollouts of this model have left."""
        for folder in predictions_folder(name).parent.glob(f"{self._prefix}*"):
            if folder.name != name:
                shutil.rmtree(folder, ignore_errors=True)
        for file in (feedback_file(name), join_file(name)):
            for leftover in file.parent.glob(f"{self._prefix}*"):
                if not leftover.name.startswith(f"{name}."):
                    leftover.unlink(missing_ok=True)


def _fetch(client: httpx.Client, server: str, pod: str, folder: Path) -> None:
    """Bring this machine's copy of a server's logs up to date."""
    listed = client.get(f"{server}/log")
    listed.raise_for_status()
    files: list[dict[str, Any]] = msgspec.json.decode(listed.content)["files"]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / f"{pod}.{file['name']}"
        offset = path.stat().st_size if path.exists() else 0
        while offset < file["size"]:
            part = client.get(f"{server}/log/{file['name']}", params={"offset": offset})
            part.raise_for_status()
            if not part.content:
                break
            with path.open("ab") as stream:
                stream.write(part.content)
            offset += len(part.content)
