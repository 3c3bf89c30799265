"""Whatever a spec, people, servers, routers and controllers do in whatever order: one rollout at a time, none promoted on silence, and then quiet."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from canario.model.deployment import Deployment
from canario.model.evidence import Counts
from canario.model.rollout import OnTimeout, Phase, Step
from canario.model.verdict import Answer
from canario.platforms.kubernetes.state import Record
from canario.platforms.kubernetes.wishes import Wish, WishKind
from canario.rollout.plan import undo
from canario.rollout.replay import replay
from tests.platforms.kubernetes.small_cluster import PLAN, SmallCluster, is_quiet

VERSIONS = ("v1", "v2", "v3", "v4")
PLANS = (
    PLAN,
    replace(PLAN, watch_seconds=0.0, on_timeout=OnTimeout.ROLL_BACK),
    replace(PLAN, steps=(Step(weight_percent=20.0, minimum_requests=20, approval=True), *PLAN.steps)),
)


class AnyCluster(RuleBasedStateMachine):
    """A model in a cluster where everything may happen between two turns, and a turn may end between any two of its parts."""

    @initialize(plan=st.sampled_from(PLANS), lag=st.integers(0, 4))
    def begin(self, plan: object, lag: int) -> None:
        self.cluster = SmallCluster(plan=plan, router_lag_turns=lag)  # type: ignore[arg-type]
        self.asked_versions = {"v1"}
        self.wishes = 0
        self.thrown_back: dict[str, int] = {}
        """By version: how often the spec had been edited when its trial was last given up."""
        self.promoted_by_hand: set[str] = set()
        self.before = self.cluster.record
        self.counts_at_start: dict[str, Counts] = {}

    def turn(self, *, dies_before_storing: bool = False, dies_before_following: bool = False) -> None:
        cluster = self.cluster
        cluster.turn(dies_before_storing=dies_before_storing, dies_before_following=dies_before_following)
        before, after = self.before, cluster.record
        self.before = after
        self.check_what_began(before, after)
        self.check_what_ended(before.deployment, after.deployment)
        self.check_what_was_taken(before, after)

    def check_what_began(self, before: Record, after: Record) -> None:
        """A rollout begins only where none was, and never again of what was thrown back, without a new word."""
        rollout, earlier = after.deployment.rollout, before.deployment.rollout
        if rollout is None or (earlier and earlier.state.rollout == rollout.state.rollout):
            return
        assert earlier is None, "two rollouts at once"
        start = self.cluster.starts[-1]
        assert start.version == rollout.state.candidate
        if start.by == "the spec":
            assert start.edits > self.thrown_back.get(start.version, -1), f"{start.version} again, by the same spec"
        self.counts_at_start = dict(self.cluster.counts)

    def check_what_ended(self, before: Deployment, after: Deployment) -> None:
        """Who is promoted has answered, was judged good or was promoted by a person; who goes back is remembered."""
        if before.rollout is None:
            return
        state = before.rollout.state
        now = after.rollout.state if after.rollout else None
        if state.outcome is None and now and now.outcome is Phase.ROLLED_BACK:
            self.thrown_back[state.candidate] = self.cluster.edits
        if after.rollout is not None:
            return
        past = after.past[-1]
        assert (past.rollout, past.candidate) == (state.rollout, state.candidate)
        if past.phase is not Phase.PROMOTED:
            assert after.stable == state.stable
            return
        assert after.stable == state.candidate
        if before.rollout.spec == undo() or past.rollout in self.promoted_by_hand:
            return
        entries = [entry for entry in self.cluster.journal if entry.after.rollout == past.rollout]
        assert any(entry.verdict.answer is Answer.PASS for entry in entries), "promoted on silence"
        answered = self.cluster.counts[past.candidate] - self.counts_at_start.get(past.candidate, Counts())
        assert answered.requests >= before.rollout.spec.steps[0].minimum_requests, "promoted on silence"

    def check_what_was_taken(self, before: Record, after: Record) -> None:
        """What counts as acted upon is what the spec has said; nothing, once it has called its own rollout off."""
        if after.taken_version != before.taken_version:
            assert after.taken_version in self.asked_versions | {""}
        assert [*before.answered] == [*after.answered][: len(before.answered)] or len(after.answered) == 20

    @rule(turns=st.integers(1, 12), seconds=st.sampled_from([0.25, 1.0, 5.0]))
    def turns_and_time(self, turns: int, seconds: float) -> None:
        """The loop goes round."""
        for _ in range(turns):
            self.turn()
            self.cluster.passes(seconds)

    @rule()
    def dies_before_storing(self) -> None:
        """A controller decides, and dies before the world can know."""
        self.turn(dies_before_storing=True)

    @rule()
    def dies_before_following(self) -> None:
        """A controller stores, and dies before the cluster follows."""
        self.turn(dies_before_following=True)

    @rule(version=st.sampled_from(VERSIONS))
    def spec_is_edited(self, version: str) -> None:
        """Somebody applies a spec; perhaps the same again."""
        self.cluster.edit(version)
        self.asked_versions.add(version)

    @rule(is_readable=st.booleans())
    def spec_is_broken_or_mended(self, is_readable: bool) -> None:  # noqa: FBT001 - drawn
        """A spec that cannot be honoured asks for nothing; once it is mended, it is a new word."""
        self.cluster.edits += is_readable and not self.cluster.is_spec_readable
        self.cluster.is_spec_readable = is_readable

    @rule(
        kind=st.sampled_from([WishKind.PAUSE, WishKind.RESUME, WishKind.ABORT, WishKind.PROMOTE]), whole=st.booleans()
    )
    def wish(self, kind: WishKind, whole: bool) -> None:  # noqa: FBT001 - drawn
        """A person steers. What is asked for stays in its place until another takes it."""
        self.wishes += 1
        self.cluster.wish = Wish(
            id=f"wish-{self.wishes}", kind=kind, whole=whole and kind is WishKind.PROMOTE, actor="ana"
        )
        rollout = self.cluster.deployment.rollout
        if kind is WishKind.PROMOTE:
            # Also one that has yet to begin: the wish is taken by whatever runs in the next turn.
            self.promoted_by_hand |= {rollout.state.rollout} if rollout else set()

    @rule(version=st.sampled_from(VERSIONS), is_undo=st.booleans())
    def start_by_hand(self, version: str, is_undo: bool) -> None:  # noqa: FBT001 - drawn
        """A person begins a rollout, or is told why not."""
        self.wishes += 1
        self.cluster.wish = Wish(
            id=f"wish-{self.wishes}",
            kind=WishKind.START,
            version=version,
            image=f"fraud:{version}",
            plan=undo() if is_undo else None,
            actor="ana",
        )

    @rule(version=st.sampled_from(VERSIONS[1:]), is_broken=st.booleans(), fails=st.booleans())
    def version_is_broken_or_mended(self, version: str, is_broken: bool, fails: bool) -> None:  # noqa: FBT001 - drawn
        """A version cannot start, or starts and fails."""
        (self.cluster.broken.add if is_broken else self.cluster.broken.discard)(version)
        (self.cluster.failing.add if fails else self.cluster.failing.discard)(version)

    @rule(counts=st.booleans(), split=st.booleans(), requests=st.sampled_from([0, 100]))
    def evidence_comes_and_goes(self, counts: bool, split: bool, requests: int) -> None:  # noqa: FBT001 - drawn
        """Routers cannot be read, or nobody asks anything."""
        self.cluster.counts_readable, self.cluster.split_readable = counts, split
        self.cluster.requests_per_second = requests

    @rule()
    def servers_die(self) -> None:
        """Every server is gone for a moment."""
        self.cluster.servers = dict.fromkeys(self.cluster.servers, 0)

    @invariant()
    def stable_can_always_be_started(self) -> None:
        """Whatever is wanted or answers has a known image, and who answers by default is wanted or still there."""
        if hasattr(self, "cluster"):
            deployment = self.cluster.deployment
            assert {deployment.stable, *deployment.wanted, deployment.split.stable} <= {*deployment.served}
            assert deployment.split.stable in {*deployment.wanted, *self.cluster.servers}

    @invariant()
    def no_rollout_is_forgotten(self) -> None:
        """Every rollout that began is under way or in the history, in its order and under its own name."""
        if hasattr(self, "cluster"):
            deployment = self.cluster.deployment
            known = [past.candidate for past in deployment.past]
            known += [deployment.rollout.state.candidate] if deployment.rollout else []
            assert known == [start.version for start in self.cluster.starts][-len(known) or None :]
            names = [past.rollout for past in deployment.past]
            assert len(set(names)) == len(names)

    @invariant()
    def nobody_is_sent_to_a_version_that_has_no_servers_at_all(self) -> None:
        """What the routers run names only versions that are wanted or still there."""
        if hasattr(self, "cluster"):
            router = self.cluster.router
            dealt = {router.stable} if router.weight_percent < 100 else set()
            dealt |= {router.candidate} if router.weight_percent > 0 else set()
            assert dealt <= {*self.cluster.servers, *self.cluster.deployment.wanted}

    def teardown(self) -> None:
        """With the same spec for good, a cluster that works and people who ask: in the end nothing changes any more."""
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        self.spec_is_broken_or_mended(is_readable=True)
        cluster.counts_readable = cluster.split_readable = True
        cluster.requests_per_second, cluster.wish = 100, None
        cluster.broken.clear()
        cluster.failing.discard(cluster.deployment.stable)
        quiet_turns = 0
        for _ in range(700):
            what_was = _what_matters(cluster)
            self.turn()
            cluster.passes(1.0)
            quiet_turns = quiet_turns + 1 if _what_matters(cluster) == what_was else 0
            rollout = cluster.deployment.rollout
            if is_quiet(cluster) and quiet_turns > 5:
                break
            if rollout and rollout.state.phase is Phase.PAUSED and quiet_turns > 100:
                break  # held until a person says otherwise
            if rollout and rollout.state.passed and quiet_turns > 100:
                break  # a step that waits for its approval
        else:
            raise AssertionError(f"never quiet: {cluster.record}")
        assert not [*replay(cluster.journal)], "a decision, taken again from the journal, is another"


def _what_matters(cluster: SmallCluster) -> object:
    deployment = cluster.deployment
    state = deployment.rollout.state if deployment.rollout else None
    return (
        state and (state.rollout, state.phase, state.step_index),
        deployment.stable,
        deployment.split,
        deployment.wanted,
        cluster.router,
        sorted(cluster.servers),
        cluster.record.taken_version,
    )


TestAnyCluster = AnyCluster.TestCase
TestAnyCluster.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
