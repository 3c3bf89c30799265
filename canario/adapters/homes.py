"""Where things lie on this machine; everybody who needs a folder asks here, so that one variable moves them all."""

from __future__ import annotations

import os
from pathlib import Path


def canario_home() -> Path:
    """The folder of running platforms, feedback and predictions: `CANARIO_HOME`, otherwise `~/.canario`."""
    return Path(os.environ.get("CANARIO_HOME") or Path.home() / ".canario").absolute()


def bentoml_home() -> Path:
    """The folder of BentoML's stores: `BENTOML_HOME`, otherwise `~/bentoml`, as BentoML itself has it."""
    return Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml").absolute()


def model_store() -> Path:
    """The folder of all versions: `<model>/<tag>/`."""
    return bentoml_home() / "models"


def bento_store() -> Path:
    """The folder of all packed versions: `<model>/<tag>/`."""
    return bentoml_home() / "bentos"


def platform_folder(model: str) -> Path:
    """What the local platform keeps of one model: state, journal, router files, logs."""
    return canario_home() / "local" / model


def predictions_folder(model: str) -> Path:
    """The logs of what was predicted, a file a server process."""
    return canario_home() / "predictions" / model


def unpacked_folder() -> Path:
    """The versions that a server has unpacked from archives, a folder a version and record."""
    return canario_home() / "unpacked"


def feedback_file(model: str) -> Path:
    """The database of late truths."""
    return canario_home() / "feedback" / f"{model}.sqlite"


def join_file(model: str) -> Path:
    """The record of how far predictions and truths have been joined."""
    return canario_home() / "feedback" / f"{model}.joined.sqlite"


def stream_file(model: str) -> Path:
    """The queues of a model's messages, where no broker is named."""
    return canario_home() / "stream" / f"{model}.sqlite"


def ledger_file(model: str) -> Path:
    """What this machine's workers remember of messages."""
    return canario_home() / "stream" / f"{model}.ledger.sqlite"


def monitoring_folder() -> Path:
    """What this machine's Prometheus and Alertmanager read and keep."""
    return canario_home() / "monitoring"


def targets_file(model: str) -> Path:
    """Where Prometheus reads which of a model's processes it may ask."""
    return monitoring_folder() / "targets" / f"{model}.json"


def retraining_folder() -> Path:
    """The records of retrainings, and the wishes for them."""
    return canario_home() / "retraining"


def preflights_folder(model: str) -> Path:
    """The records of candidates that were compared with stable on a file, before a rollout."""
    return canario_home() / "preflights" / model


def rooms_folder() -> Path:
    """The folder of the model rooms: `CANARIO_ROOMS`, otherwise `bentos` where the command was started."""
    return Path(os.environ.get("CANARIO_ROOMS") or "bentos").absolute()
