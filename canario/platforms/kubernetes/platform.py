"""One model in a cluster, as the commands use it; it tells, and it asks by a wish that the controller takes. It decides nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec

from canario.adapters.kubernetes_api import LEASES, MODEL_DEPLOYMENTS, PODS, KubernetesApi, Object
from canario.errors import ClusterRefused, Conflict, IntegrityError, NotFound, Unavailable, UsageError
from canario.model.address import Address, PlatformKind
from canario.model.deployment import Deployment, Status
from canario.model.evidence import CommandKind
from canario.model.journal import JournalEntry
from canario.model.resource import ModelDeploymentSpec
from canario.model.rollout import RolloutSpec
from canario.platforms.kubernetes.naming import LEASE_NAME, MODEL_LABEL, state_object
from canario.platforms.kubernetes.resource import image_of, read_spec
from canario.platforms.kubernetes.state import Record, StateStore, journal_lines
from canario.platforms.kubernetes.telling import Kept, status_of
from canario.platforms.kubernetes.wishes import REQUEST_ANNOTATION, Wish, WishKind, parse_wish, write_wish
from canario.rollout.plan import undo
from canario.rollout.turns import stable_before

Progress = Callable[[str], None]

TAKEN_SECONDS = 10.0
"""The longest that a wish waits to be taken; a controller takes one within about a second."""

_POLL_SECONDS = 0.1


def _silent(_: str) -> None:
    """Nobody wants to know."""


class KubernetesPlatform:
    """The platform of one model in one namespace."""

    def __init__(self, api: KubernetesApi, namespace: str, model: str, address: Address | None = None) -> None:
        """`address` is how the person came here, for the commands that errors name."""
        self.model = model
        self.address = replace(address or Address(on=PlatformKind.KUBERNETES), namespace=namespace)
        self._api, self._namespace = api, namespace

    def status(self) -> Status:
        """What is known now. Raises NotFound when the namespace has no such model."""
        resource = self._resource()
        store, record = self._load()
        lease, is_hidden = None, False
        try:
            lease = self._api.get(LEASES, LEASE_NAME, store.controller_namespace)
        except ClusterRefused:
            is_hidden = True  # a right that people who only roll out need not have
        pods, _ = self._api.list(PODS, self._namespace, f"{MODEL_LABEL}={self.model}")
        kept = Kept(
            resource=resource,
            record=record,
            pods=pods,
            lease=lease,
            lease_namespace=store.controller_namespace,
            lease_is_hidden=is_hidden,
        )
        return status_of(kept, time.time())

    def journal(self) -> Iterator[JournalEntry]:
        """Every decision that is kept, oldest first. Raises IntegrityError, naming the entry, at one that is not whole."""
        self._resource()
        for line in journal_lines(self._api, self._namespace, self.model):
            try:
                yield msgspec.json.decode(line, type=JournalEntry)
            except msgspec.DecodeError as broken:
                raise IntegrityError(
                    f"this is no decision: {broken}: {line[:80].decode(errors='replace')}",
                    at=f"configmaps {self.model}-journal-* and {state_object(self.model)}",
                    hint=self.address.kubectl(f"get configmaps -l {MODEL_LABEL}={self.model}"),
                ) from broken

    def deployment(self) -> Deployment:
        """What the controller remembers. Raises NotFound, or Conflict for a model that none has taken up yet."""
        return self._running()

    def spec(self) -> ModelDeploymentSpec:
        """What the resource asks for. Raises NotFound, or UsageError when it cannot be read."""
        return read_spec(self._resource()["spec"])

    def image_for(self, version: str) -> tuple[str, str]:
        """The image of a version that nobody has named, and how it was found: as it was served before, or the spec's with another tag.

        Raises UsageError when the spec's image has no tag.
        """
        record = self._load()[1]
        known = record.deployment.served.get(version) if record else None
        if known and known.image:
            return known.image, "as it was served before"
        image = image_of(self.spec())
        name, colon, tag = image.rpartition(":")
        if not colon or "/" in tag or "@" in image:
            raise UsageError(
                f"which image {self.model}:{version} has cannot be told from the spec's, {image}, which has no tag",
                at="--image",
                hint=f"name it: `{self.address.command(f'rollout {self.model}:{version} --image IMAGE')}`",
            )
        return f"{name}:{version}", "the spec's image with this version as its tag"

    def start_rollout(
        self,
        spec: RolloutSpec | None,
        version: str,
        image: str = "",
        archive: str = "",
        *,
        actor: str = "",
        reason: str = "",
        progress: Progress = _silent,
    ) -> str:
        """Begin a rollout by a plan, the resource's own when None; its name.

        `image` may be left out for a version that was served before, or for an archive, which the image at hand serves. Raises PlanError for a plan that cannot be honoured,
        Conflict when the rollout may not begin.
        """
        deployment = self._running()
        if deployment.rollout is not None:
            running = deployment.rollout.state
            raise Conflict(
                f"the rollout of {running.candidate} is under way ({running.phase.value})",
                hint=f"{self._line('status')} shows it, {self._line('abort')} ends it",
            )
        if version == deployment.stable:
            raise Conflict(f"{version} is the stable version already", hint=f"{self._line('history')} shows the others")
        wish = Wish(
            id=uuid.uuid4().hex,
            kind=WishKind.START,
            version=version,
            image=image,
            archive=archive,
            plan=spec,
            actor=actor,
            reason=reason,
        )
        after = self._ask(wish, progress)
        if after.rollout is not None:
            return after.rollout.state.rollout
        ended = next((past for past in reversed(after.past) if past.candidate == version), None)
        if ended is None:
            raise Unavailable(f"the rollout of {version} has ended already", hint=self._line("history"))
        return ended.rollout

    def send(
        self,
        kind: CommandKind,
        *,
        whole: bool = False,
        actor: str = "",
        reason: str = "",
        progress: Progress = _silent,
    ) -> None:
        """Give the rollout under way a command; returns once it has been taken. Raises Conflict when there is no rollout."""
        self._running()
        wish = Wish(id=uuid.uuid4().hex, kind=WishKind(kind.value), whole=whole, actor=actor, reason=reason)
        self._ask(wish, progress)

    def rollback(self, version: str = "", *, actor: str = "", reason: str = "", progress: Progress = _silent) -> str:
        """Undo: abort the rollout under way, its watch included, or else begin one back to a version; the rollout's name.

        `version` left out means the version that was stable before. Raises NotFound when there is none.
        """
        deployment = self._running()
        if deployment.rollout is not None and version in ("", deployment.rollout.state.stable):
            self.send(CommandKind.ABORT, actor=actor, reason=reason or "rolled back by hand", progress=progress)
            return deployment.rollout.state.rollout
        target = version or stable_before(deployment)
        if not target:
            raise NotFound(
                f"{self.model} has had no other stable version here",
                hint=f"name the version: `{self.address.command(f'rollback {self.model} VERSION')}`",
            )
        if target not in deployment.served and deployment.rollout is None:
            raise NotFound(
                f"{self.model} was never served as {target} here; known: {', '.join(sorted(deployment.served))}",
                hint=f"`{self.address.command(f'rollout {self.model}:{target} --image IMAGE')}` tries it, judged step by step",
            )
        return self.start_rollout(undo(), target, actor=actor, reason=reason, progress=progress)

    def _line(self, verb: str) -> str:
        return f"`{self.address.command(f'{verb} {self.model}')}`"

    def _resource(self) -> Object:
        resource = self._api.get(MODEL_DEPLOYMENTS, self.model, self._namespace)
        if resource is None:
            known = ", ".join(models_in(self._api, self._namespace)) or "none"
            raise NotFound(
                f"there is no ModelDeployment {self.model} in namespace {self._namespace}; there: {known}",
                hint=f"`{self.address.command('status')}` shows them; "
                f"`{self.address.helm(f'install {self.model} helm/model --set image=IMAGE')}` makes one",
            )
        return resource

    def _load(self) -> tuple[StateStore, Record | None]:
        store = StateStore(self._api, self._namespace, self.model)
        return store, store.load()

    def _running(self) -> Deployment:
        """What the controller remembers of the model; a model that it has not taken up yet cannot be told anything."""
        self._resource()
        record = self._load()[1]
        if record is None:
            raise Conflict(
                f"{self.model} has not been taken up by a controller yet",
                hint=f"{self._line('status')} shows what stands in the way",
            )
        return record.deployment

    def _ask(self, wish: Wish, progress: Progress) -> Deployment:
        """Leave a wish and wait until it has been taken; the deployment then. Raises Conflict when it was refused."""
        text = write_wish(wish)
        parse_wish(text)  # what the controller would refuse without an answer is refused here
        self._leave(text, progress)
        deadline = time.monotonic() + TAKEN_SECONDS
        while True:
            record = self._load()[1]
            if record is not None and wish.id in record.answered:
                break
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the {wish.kind} has not been taken yet; it is kept, and will be when a controller runs",
                    at=self._place,
                    hint=f"{self._line('status')} shows whether one runs; {self._withdrawal} takes it back",
                )
            time.sleep(_POLL_SECONDS)
        answer = record.answered[wish.id]
        if answer:
            raise Conflict(answer, hint=f"{self._line('status')} shows how it stands")
        return record.deployment

    def _leave(self, text: str, progress: Progress) -> None:
        """Write the wish once no other one waits: compare and swap, so that of two people neither overwrites the other."""
        deadline, told = time.monotonic() + TAKEN_SECONDS, False
        while True:
            resource = self._resource()
            waiting = self._waiting(resource)
            if waiting is None:
                changed = {"resourceVersion": resource["metadata"]["resourceVersion"]}
                content = {"metadata": {**changed, "annotations": {REQUEST_ANNOTATION: text}}}
                try:
                    self._api.merge(MODEL_DEPLOYMENTS, self.model, content, self._namespace)
                except Conflict as changed_since:  # it is looked at again
                    if time.monotonic() > deadline:
                        raise Unavailable(
                            f"modeldeployment/{self.model} changes all the time, so nothing was asked", hint="try again"
                        ) from changed_since
                    continue
                return
            if not told:
                progress(f"a {waiting.kind} by {waiting.actor or 'somebody'} is taken first")
                told = True
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"a {waiting.kind} by {waiting.actor or 'somebody'} has not been taken yet, so nothing was asked",
                    at=self._place,
                    hint=f"{self._line('status')} shows whether a controller runs; {self._withdrawal} takes the other one back",
                )
            time.sleep(_POLL_SECONDS)

    def _waiting(self, resource: Object) -> Wish | None:
        """The wish that nobody has taken yet; one that is no wish waits for nothing."""
        text = (resource["metadata"].get("annotations") or {}).get(REQUEST_ANNOTATION, "")
        if not text:
            return None
        try:
            wish = parse_wish(text)
        except UsageError:
            return None
        record = self._load()[1]
        return None if record is not None and wish.id in record.answered else wish

    @property
    def _place(self) -> str:
        return f"annotation {REQUEST_ANNOTATION} of modeldeployment/{self.model}"

    @property
    def _withdrawal(self) -> str:
        return f"`{self.address.kubectl(f'annotate modeldeployment {self.model} {REQUEST_ANNOTATION}-')}`"


def models_in(api: KubernetesApi, namespace: str) -> list[str]:
    """The names of the ModelDeployments of a namespace. Raises NotFound when the cluster does not know what that is."""
    try:
        found, _ = api.list(MODEL_DEPLOYMENTS, namespace)
    except NotFound as unknown:
        raise NotFound(
            "this cluster knows no ModelDeployments",
            at=unknown.at,
            hint="`helm install canario helm/canario -n canario --create-namespace` brings them, and the controller",
        ) from unknown
    return sorted(each["metadata"]["name"] for each in found)
