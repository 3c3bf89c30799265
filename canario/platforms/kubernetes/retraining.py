"""What a retraining needs of a cluster: the database for labels and record, a volume for the version, a wish for its rollout."""

from __future__ import annotations

import os
from pathlib import Path

from canario.errors import CanarioError, Conflict, UsageError
from canario.feedback.opening import open_history
from canario.feedback.settings import URL_VARIABLE, feedback_url, kept_name
from canario.packaging.archives import export_version
from canario.packaging.publishing import Draft, publish_draft
from canario.packaging.rooms import Room
from canario.platforms.kubernetes.objects import ARCHIVES_FOLDER
from canario.platforms.kubernetes.platform import KubernetesPlatform
from canario.platforms.kubernetes.resource import ARCHIVE_SUFFIX
from canario.retraining.act import Surroundings
from canario.retraining.postgres_records import PostgresRetrainings

ARCHIVES_VARIABLE = "CANARIO_ARCHIVES"
"""Where the volume of archives is mounted for writing; /archives unless it is said."""
ACTOR = "retraining"


def cluster_record(model: str, namespace: str) -> PostgresRetrainings:
    """The record of a model's retrainings. Raises UsageError when no database is named."""
    url = feedback_url()
    if not url:
        raise UsageError(
            "a retraining in a cluster learns from the database of feedback, and none is named",
            at=URL_VARIABLE,
            hint="set it to the address that the model's `feedbackSecret` holds",
        )
    return PostgresRetrainings(url, kept_name(model, namespace))


def cluster_surroundings(
    platform: KubernetesPlatform, room: Room, *, wants_rollout: bool, reason: str = ""
) -> Surroundings:
    """The surroundings of a retraining of the platform's model. Raises UsageError when there is no database, or no volume."""
    namespace = platform.address.namespace
    record = cluster_record(room.name, namespace)
    archives = Path(os.environ.get(ARCHIVES_VARIABLE) or ARCHIVES_FOLDER)
    if wants_rollout and not archives.is_dir():
        raise UsageError(
            "the new version needs a volume from which the model's servers read it",
            at=str(archives),
            hint=f"mount the claim of `archivesClaim` there, or name its folder in {ARCHIVES_VARIABLE}",
        )
    shelf = _Shelf(platform, archives, reason)
    return Surroundings(
        history=open_history(room.name, room.card.label, space=namespace),
        record=record,
        stable=lambda: _stable(platform),
        publish=shelf.publish,
        begin=shelf.begin if wants_rollout else None,
    )


def _stable(platform: KubernetesPlatform) -> str:
    """The version that answers by default. Raises Conflict while a rollout is under way."""
    deployment = platform.deployment()
    if deployment.rollout is not None:
        running = deployment.rollout.state
        raise Conflict(f"the rollout of {running.candidate} is under way ({running.phase.value})")
    return deployment.stable


class _Shelf:
    """The archives of one model on the volume, and how one of them is rolled out."""

    def __init__(self, platform: KubernetesPlatform, archives: Path, reason: str) -> None:
        self._platform, self._archives, self._reason = platform, archives, reason
        self._places: dict[str, str] = {}

    def publish(self, draft: Draft) -> str:
        """Put a version on the volume, whole or not at all; its tag."""
        version = publish_draft(draft)
        name = version.record.name
        place = f"{self._platform.model}/{name.model}-{name.tag}{ARCHIVE_SUFFIX}"
        file = self._archives / place
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            export_version(version, file).chmod(0o644)  # servers may run as somebody else
        except OSError as failed:
            raise CanarioError(f"{name} cannot be put on the volume: {failed.strerror}", at=str(file)) from failed
        self._places[name.tag] = f"{place}#{version.record.digest}"
        return name.tag

    def begin(self, tag: str) -> str:
        """Begin the rollout of what was published, by the resource's own plan; its name. Raises Conflict."""
        return self._platform.start_rollout(None, tag, archive=self._places[tag], actor=ACTOR, reason=self._reason)
