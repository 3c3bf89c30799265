"""What the controller must never lose of a model: the record and the journal, in ConfigMaps, swapped whole and only by who saw the last ones.

The newest part of the journal lies in the same object as the record, so a decision and its note are one write: no gap, and
nothing twice, whoever dies or wakes up when. A part that has grown long is first sealed in an object of its own, named by its
first entry's number; a writer that dies in between does the same again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from canario.adapters.kubernetes_api import CONFIG_MAPS, KubernetesApi, Object
from canario.errors import Conflict, IntegrityError, NotFound, Unavailable
from canario.model.deployment import Deployment
from canario.model.journal import JournalEntry
from canario.platforms.kubernetes.naming import (
    COMPONENT_LABEL,
    CONTROLLER_ANNOTATION,
    EPOCH_ANNOTATION,
    MODEL_LABEL,
    STATE,
    journal_object,
    labels,
    state_object,
)
from canario.platforms.kubernetes.objects import is_owned, owner_of
from canario.router.evidence import RouterTallies

RECORD_KEY, JOURNAL_KEY = "state.json", "journal.jsonl"
LONGEST_PART_BYTES = 64 * 1024
"""What each write of the record carries along at most; an object may hold 1 MiB."""
KEPT_PARTS = 24
KEPT_ANSWERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that a new leader needs, and nothing that it can read from the cluster."""

    deployment: Deployment
    taken_version: str
    """The version in the resource's spec that was last acted upon: another one there is news, the same one again is not.
    Empty once the spec has called its own rollout off."""
    refused: str = ""
    """Why the spec's version was not taken up, in words; empty when it was."""
    answered: Mapping[str, str] = field(default_factory=dict)
    """The last wishes that were taken, by their id, with the reason of those that were refused."""
    tallies: RouterTallies = field(default_factory=RouterTallies)
    """What the routers had counted, so that a router that is gone takes nothing with it."""


class StateStore:
    """The record of one model. Raises Conflict when somebody else has written since it was loaded: load again."""

    def __init__(self, api: KubernetesApi, namespace: str, model: str) -> None:
        self._api, self._namespace, self._model = api, namespace, model
        self._version = ""
        self._lines: tuple[bytes, ...] = ()
        self.epoch = -1
        """Whose fencing token the stored record carries; -1: nobody's."""
        self._next_number: int | None = 1
        """None: nobody has asked yet how far the finished parts go."""
        self.controller_namespace = namespace
        """Where the controller that wrote last has its lease."""

    def load(self, resource: Object | None = None) -> Record | None:
        """The record as it is stored now, or None when there is none. Raises IntegrityError when it is not what was written.

        With a resource: raises Unavailable while what an earlier one of this name has left is still being removed.
        """
        stored = self._api.get(CONFIG_MAPS, state_object(self._model), self._namespace)
        if stored is None:
            self._version, self._lines, self.epoch, self._next_number = "", (), -1, None
            return None
        if resource is not None and not is_owned(stored, resource):
            raise Unavailable(
                f"what an earlier {self._model} has left is still being removed",
                at=f"configmap/{state_object(self._model)}",
                hint=f"if that lasts: `kubectl delete configmap {state_object(self._model)}`",
            )
        self._version = stored["metadata"]["resourceVersion"]
        annotations = stored["metadata"].get("annotations") or {}
        self.controller_namespace = annotations.get(CONTROLLER_ANNOTATION, self._namespace)
        data = stored.get("data") or {}
        self._lines = tuple(data.get(JOURNAL_KEY, "").encode().splitlines())
        try:
            self.epoch = int(annotations.get(EPOCH_ANNOTATION, -1))
            self._next_number = _number(self._lines[-1]) + 1 if self._lines else None
            return msgspec.json.decode(data.get(RECORD_KEY) or "", type=Record)
        except (msgspec.DecodeError, ValueError) as broken:
            raise IntegrityError(
                f"the state of {self._model} is not what was written: {broken}",
                at=f"configmap/{state_object(self._model)}",
                hint=f"`kubectl delete configmap {state_object(self._model)}` begins anew with the stable version in the status",
            ) from broken

    @property
    def next_number(self) -> int:
        """The number of the journal's next entry."""
        if self._next_number is None:
            self._next_number = self._last_sealed() + 1
        return self._next_number

    def save(self, record: Record, resource: Object, epoch: int, entry: JournalEntry | None = None) -> None:
        """Store the record and, in the same write, a decision; its number is `next_number`."""
        lines = self._lines
        if entry is not None:
            line = msgspec.json.encode(entry)
            if lines and sum(map(len, lines)) + len(line) > LONGEST_PART_BYTES:
                lines = self._seal(lines, resource)
            lines = (*lines, line)
        annotations = {EPOCH_ANNOTATION: str(epoch), CONTROLLER_ANNOTATION: self._api.namespace}
        content: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self._metadata(state_object(self._model), resource, annotations),
            "data": {RECORD_KEY: msgspec.json.encode(record).decode(), JOURNAL_KEY: _text(lines)},
        }
        if self._version:
            content["metadata"]["resourceVersion"] = self._version
            try:
                stored = self._api.replace(CONFIG_MAPS, content, self._namespace)
            except NotFound as removed:
                raise Conflict(f"somebody has removed the state of {self._model}", at=removed.at) from removed
        else:
            stored = self._api.create(CONFIG_MAPS, content, self._namespace)
        self._version, self._lines, self.epoch = stored["metadata"]["resourceVersion"], lines, epoch
        self._next_number = self.next_number + (entry is not None)

    def _seal(self, lines: Sequence[bytes], resource: Object) -> tuple[bytes, ...]:
        """Put a part into an object of its own; what is left over, if a late writer had sealed only its beginning."""
        name = journal_object(self._model, _number(lines[0]))
        content: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self._metadata(name, resource, {}),
            "immutable": True,
            "data": {JOURNAL_KEY: _text(lines)},
        }
        try:
            self._api.create(CONFIG_MAPS, content, self._namespace)
        except Conflict:
            sealed = self._api.get(CONFIG_MAPS, name, self._namespace)
            if sealed is None:
                raise
            last = _number(sealed["data"][JOURNAL_KEY].encode().splitlines()[-1])
            return tuple(line for line in lines if _number(line) > last)
        for oldest in sealed_parts(self._api, self._namespace, self._model)[:-KEPT_PARTS]:
            self._api.delete(CONFIG_MAPS, oldest["metadata"]["name"], namespace=self._namespace)
        return ()

    def _metadata(self, name: str, resource: Object, annotations: Mapping[str, str]) -> Object:
        return {
            "name": name,
            "labels": labels(self._model, STATE),
            "annotations": dict(annotations),
            "ownerReferences": owner_of(resource),
        }

    def _last_sealed(self) -> int:
        parts = sealed_parts(self._api, self._namespace, self._model)
        return _number(parts[-1]["data"][JOURNAL_KEY].encode().splitlines()[-1]) if parts else 0


def journal_lines(api: KubernetesApi, namespace: str, model: str) -> list[bytes]:
    """Every decision that is kept of a model, oldest first."""
    # In this order: what is sealed between the two reads is in both, instead of in neither.
    newest = api.get(CONFIG_MAPS, state_object(model), namespace)
    parts = sealed_parts(api, namespace, model)
    texts = [part["data"][JOURNAL_KEY] for part in (*parts, *([newest] if newest else []))]
    lines: dict[int, bytes] = {}
    for line in "".join(texts).encode().splitlines():
        lines[_number(line)] = line  # a part may be sealed and still be in the newest one
    return [lines[number] for number in sorted(lines)]


def sealed_parts(api: KubernetesApi, namespace: str, model: str) -> list[Object]:
    """The finished parts of a model's journal, oldest first."""
    found, _ = api.list(CONFIG_MAPS, namespace, f"{MODEL_LABEL}={model},{COMPONENT_LABEL}={STATE}")
    prefix = journal_object(model, 0)[:-10]
    return sorted(
        (each for each in found if each["metadata"]["name"].startswith(prefix)),
        key=lambda each: each["metadata"]["name"],
    )


def _text(lines: Sequence[bytes]) -> str:
    return "".join(f"{line.decode()}\n" for line in lines)


class _Numbered(msgspec.Struct):
    number: int


def _number(line: bytes) -> int:
    return msgspec.json.decode(line, type=_Numbered).number
