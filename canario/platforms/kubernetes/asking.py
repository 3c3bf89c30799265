"""What a rollout asks for when both of its versions fail: a retraining, asked until a Job was made for it, and told in an event."""

from __future__ import annotations

from canario.adapters.kubernetes_api import Object
from canario.model.deployment import RetrainingWish
from canario.model.retraining import Trigger
from canario.platforms.kubernetes.events import Teller
from canario.platforms.kubernetes.jobs import ASKED_ALREADY, RetrainingJobs
from canario.retraining.alerts import Call

AGAIN_SECONDS = 60.0
"""A wish that cannot be granted now is looked at again after this."""
LONGEST_AGE_SECONDS = 24 * 3600.0
"""A wish that is older has had its chance: what came of it may be forgotten by now."""
_NOBODY = "nobody retrains here: `retraining.enabled` of the controller's chart lets it"


class RetrainingAsked:
    """The wishes of one model's rollouts."""

    def __init__(self, jobs: RetrainingJobs | None, teller: Teller, namespace: str, model: str) -> None:
        self._jobs, self._teller, self._namespace, self._model = jobs, teller, namespace, model
        self._done = ""
        """The rollout whose wish was granted, or never will be."""
        self._next_at = 0.0
        self._told = ""
        """The rollout of which it has been told that its wish waits."""

    def follow(self, resource: Object, wish: RetrainingWish | None, now_seconds: float) -> None:
        """Grant the wish if there is one and it is the time. Raises Unavailable while the cluster cannot be asked."""
        if wish is None or wish.rollout == self._done or now_seconds < self._next_at:
            return
        if now_seconds - wish.at_seconds > LONGEST_AGE_SECONDS:
            self._done = wish.rollout
            return
        call = Call(
            model=self._model,
            trigger=Trigger.ROLLOUT,
            reason=wish.reason,
            wish=wish.rollout,
            namespace=self._namespace,
        )
        answer = self._jobs.ask(call, now_seconds) if self._jobs else _NOBODY
        self._next_at = now_seconds + AGAIN_SECONDS
        if answer in ("", ASKED_ALREADY, _NOBODY):
            self._done = wish.rollout
        if not answer:
            self._teller.tell(resource, "RetrainingStarted", f"{wish.rollout} asked for it: {wish.reason}")
        elif answer != ASKED_ALREADY and self._told != wish.rollout:
            self._told = wish.rollout
            note = f"{wish.rollout} asks for a retraining ({wish.reason}), and there is none now: {answer}"
            self._teller.tell(resource, "RetrainingWaits", note, is_warning=True)
