"""The two records of a platform: the deployment, which must never be lost, and the observation, which is only ever fresh."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from canario.adapters.documents import read_record, write_record
from canario.adapters.homes import platform_folder
from canario.errors import IntegrityError, NotFound
from canario.model.deployment import Deployment, Observation
from canario.platforms.local.journal import FileJournal
from canario.platforms.local.requests import RequestFolder


@dataclass(frozen=True, slots=True)
class PlatformFiles:
    """What lies in the folder of one model's local platform."""

    folder: Path

    @classmethod
    def of(cls, model: str) -> PlatformFiles:
        """The files of a model on this machine, whether they exist or not."""
        return cls(platform_folder(model))

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def observed(self) -> Path:
        return self.folder / "observed.json"

    @property
    def router(self) -> Path:
        """The router's configuration."""
        return self.folder / "router"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def journal(self) -> FileJournal:
        return FileJournal(self.folder / "journal")

    @property
    def requests(self) -> RequestFolder:
        return RequestFolder(self.folder / "requests")

    def deployment(self) -> Deployment | None:
        """What was kept of the model, None if it was never up. Raises IntegrityError when it cannot be understood."""
        try:
            return read_record(Deployment, self.state)
        except NotFound:
            return None
        except IntegrityError as broken:
            hint = f"`canario down {self.folder.name}` stops what runs and puts this file aside"
            raise IntegrityError(broken.message, at=broken.at, hint=hint) from broken

    def keep(self, deployment: Deployment) -> None:
        """Write the deployment, whole and durable before this returns."""
        write_record(self.state, deployment)

    def put_state_aside(self) -> None:
        """Keep a state that nobody can read, under another name, and be without one."""
        with contextlib.suppress(FileNotFoundError):
            self.state.rename(self.state.with_suffix(".unreadable"))

    def observation(self) -> Observation | None:
        """The supervisor's last heartbeat, None when there is none to read."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self.observed.read_bytes(), type=Observation)
        return None

    def show(self, observation: Observation) -> None:
        """Replace the heartbeat; whole for every reader, but not worth a write to the disk."""
        staging = self.observed.with_name(f".observed-{os.getpid()}")
        staging.write_bytes(msgspec.json.encode(observation))
        staging.replace(self.observed)

    def last_request(self) -> int:
        """The number of the last request taken."""
        deployment = self.deployment()
        return deployment.last_request if deployment else 0
