"""Whatever happens in whatever order, the engine never promotes on silence, never sends to who is not ready, and always ends."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from canario.model.evidence import Command, CommandKind, Comparison, Counts, Evidence
from canario.model.journal import JournalEntry
from canario.model.orders import AskForRetraining, Conclude, Order, SetSplit, StartVersion, StopVersion
from canario.model.rollout import Gate, GateKind, OnTimeout, Phase, RolloutSpec, RolloutState, Step
from canario.model.split import Split
from canario.model.verdict import Answer
from canario.rollout.counting import seen
from canario.rollout.decide import Decision, begin, decide
from canario.rollout.explain import explain
from canario.rollout.plan import blue_green, canary, shadow, undo
from canario.rollout.replay import entry_of, replay
from canario.rollout.steering import active_phase, is_last, share_of, step_of

SHORT = (
    Step(weight_percent=10.0, longest_seconds=60.0),
    Step(weight_percent=50.0, approval=True, longest_seconds=60.0),
    Step(weight_percent=100.0),
)
ASKING = (
    *canary().gates,
    Gate(kind=GateKind.RECALL, margin_percent=10.0, blocking=False),
    Gate(kind=GateKind.QUERY, name="psi", query="psi", pass_at_most=0.1, fail_above=0.2, for_seconds=20.0),
    Gate(kind=GateKind.QUERY, name="up", query="up", fail_below=1.0, for_seconds=0.0, blocking=False),
)
LATE = replace(
    canary(), gates=ASKING, steps=SHORT, watch_seconds=30.0, watch_missed_percent=20.0, watch_wrong_percent=20.0
)
PLANS = (
    replace(canary(), watch_seconds=30.0, watch_missed_percent=20.0),
    replace(canary(), steps=SHORT, watch_seconds=0.0, on_timeout=OnTimeout.ROLL_BACK),
    replace(canary(), sticky_header="x-user", watch_seconds=30.0, on_timeout=OnTimeout.ROLL_BACK),
    replace(blue_green(), watch_missed_percent=20.0),
    shadow(),
    shadow(promote=True),
    undo(),
    LATE,
)
VERSIONS = ("v1", "v2")
READ_ENTRY = msgspec.json.Decoder(JournalEntry)
READ_STATE = msgspec.json.Decoder(RolloutState)


class AnyWorld(RuleBasedStateMachine):
    """A rollout in a world where everything may happen between two looks, and a look may die between any two orders."""

    @initialize(spec=st.sampled_from(PLANS), servers=st.integers(1, 11), is_promoted=st.booleans())
    def begin_rollout(self, spec: RolloutSpec, servers: int, is_promoted: bool) -> None:  # noqa: FBT001 - drawn
        self.spec = spec
        self.now_seconds = 1_000_000.0
        self.split = Split(stable="v1")
        self.ready = {"v1": servers}
        self.broken: set[str] = set()
        self.counts = {"v1": Counts(requests=10_000, errors=10)}
        self.comparison = Comparison()
        self.measurements: dict[str, float] = {}
        self.counts_readable = self.split_readable = True
        self.commands: list[Command] = []
        self.concluded: list[Conclude] = []
        self.state = begin(spec, "r1", "v1", "v2", self.now_seconds)
        if is_promoted:  # most of what labels do happens there, and few random ways lead there
            self.ready["v2"] = servers
            self.command(CommandKind.PROMOTE, whole=True)
            for _ in range(3):
                self.look()

    def evidence(self) -> Evidence:
        return Evidence(
            counts=dict(self.counts) if self.counts_readable else None,
            comparison=self.comparison if self.counts_readable else None,
            router_split=self.split if self.split_readable else None,
            ready=dict(self.ready),
            running=tuple(self.ready),
            failures={version: "it cannot be loaded" for version in self.broken if self.ready.get(version) == 0},
            commands=tuple(self.commands),
            measurements={name: value for name, value in self.measurements.items() if isfinite(value)},
            unmeasured={"psi": "it is away"} if "psi" not in self.measurements else {},
        )

    def carry_out(self, order: Order) -> None:
        match order:
            case StartVersion(version=version, servers=servers):
                came_up = version in self.ready and version not in self.broken
                self.ready[version] = max(servers or 1, self.ready[version]) if came_up else 0
            case SetSplit(split=split):
                self.split = split
            case StopVersion(version=version):
                self.ready.pop(version, None)
            case Conclude():
                self.concluded.append(order)

    @rule(
        seconds=st.floats(0.05, 30.0), requests=st.integers(0, 800), bad=st.tuples(st.integers(0, 4), st.integers(0, 4))
    )
    def traffic(self, seconds: float, requests: int, bad: tuple[int, int]) -> None:
        """Time passes, and requests are answered as the router deals them."""
        self.now_seconds += seconds
        to_candidate = round(requests * (self.split.weight_percent + self.split.shadow_percent) / 100)
        shares = {self.split.stable: requests - round(requests * self.split.weight_percent / 100), "v2": to_candidate}
        for (version, dealt), errors in zip(shares.items(), bad, strict=False):
            old = self.counts.get(version, Counts())
            self.counts[version] = replace(old, requests=old.requests + dealt, errors=old.errors + min(errors, dealt))
        pairs = round(requests * self.split.shadow_percent / 100)
        flips = min(bad[0], pairs)
        self.comparison = Comparison(
            pairs=self.comparison.pairs + pairs,
            flips=self.comparison.flips + flips,
            distance_sum=self.comparison.distance_sum + flips,
        )

    @rule(
        version=st.sampled_from(VERSIONS),
        positives=st.integers(0, 60),
        missed=st.integers(0, 60),
        more=st.integers(0, 50),
    )
    def truths(self, version: str, positives: int, missed: int, more: int) -> None:
        """Truths arrive."""
        old, missed = self.counts.get(version, Counts()), min(positives, missed)
        self.counts[version] = replace(
            old,
            labelled=old.labelled + positives + more,
            wrong=old.wrong + missed,
            positives=old.positives + positives,
            missed=old.missed + missed,
        )

    @precondition(lambda self: self.state.phase is Phase.WATCHING and self.spec.watch_missed_percent)
    @rule(old=st.integers(0, 200), new=st.integers(80, 200))
    def the_world_changes(self, old: int, new: int) -> None:
        """What both versions miss grows, and its truths arrive."""
        self.truths("v1", 200, old, 0)
        self.truths("v2", 200, new, 0)
        self.look()

    @rule(values=st.dictionaries(st.sampled_from(("psi", "up")), st.sampled_from((0.0, 0.05, 0.15, 0.5, 1.0, inf))))
    def measure(self, values: dict[str, float]) -> None:
        """Prometheus says something else, or nothing."""
        self.measurements = values

    @rule(requests=st.integers(1, 200))
    def preview(self, requests: int) -> None:
        """People ask for the candidate by its header."""
        if self.ready.get("v2"):
            old = self.counts.get("v2", Counts())
            self.counts["v2"] = replace(old, requests=old.requests + requests)

    @rule(seconds=st.sampled_from([-1e9, -3600.0, -1.0, 3600.0, 1e9]))
    def clock_jump(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.now_seconds = max(0.0, self.now_seconds + seconds)

    @rule(counts=st.booleans(), split=st.booleans())
    def readability(self, counts: bool, split: bool) -> None:  # noqa: FBT001 - drawn
        """Sources of evidence come and go."""
        self.counts_readable, self.split_readable = counts, split

    @rule(version=st.sampled_from(VERSIONS))
    def die(self, version: str) -> None:
        """All servers of a version die."""
        if version in self.ready:
            self.ready[version] = 0

    @rule(version=st.sampled_from(VERSIONS), servers=st.integers(1, 12))
    def scale(self, version: str, servers: int) -> None:
        """Some servers of a version come or go, by themselves or by an autoscaler."""
        if self.ready.get(version):
            self.ready[version] = servers

    @rule(version=st.sampled_from(VERSIONS), is_broken=st.booleans())
    def break_or_mend(self, version: str, is_broken: bool) -> None:  # noqa: FBT001 - drawn
        """A version can no longer be started, or can again."""
        (self.broken.add if is_broken else self.broken.discard)(version)

    @rule()
    def counters_restart(self) -> None:
        """The router forgets its counts."""
        self.counts = {version: Counts() for version in self.counts}
        self.comparison = Comparison()

    @precondition(lambda self: active_phase(self.state) is not Phase.STARTING and not self.state.phase.has_ended)
    @rule(weight=st.sampled_from([0.0, 10.0, 100.0]))
    def router_restart(self, weight: float) -> None:
        """The router comes up with a split of its own choice."""
        self.split = Split(stable="v1", candidate="v2", weight_percent=weight)

    @rule(kind=st.sampled_from(CommandKind), whole=st.booleans())
    def command(self, kind: CommandKind, whole: bool) -> None:  # noqa: FBT001 - drawn
        """A person asks for something."""
        self.commands.append(
            Command(number=len(self.commands) + 1, kind=kind, whole=whole and kind is CommandKind.PROMOTE)
        )

    @rule(carried_out=st.lists(st.booleans(), min_size=4, max_size=4))
    def look_and_die(self, carried_out: list[bool]) -> None:
        """A look stores its state and loses any of its orders."""
        decision = self.decided()
        for order, happens in zip(decision.orders, carried_out, strict=False):
            if happens:
                self.carry_out(order)

    @rule()
    def look(self) -> None:
        """A look as it should be; afterwards nobody is sent to a version without a ready server, if there is a ready one to send to."""
        ready = {version for version in VERSIONS if self.ready.get(version)}
        for order in self.decided().orders:
            self.carry_out(order)
        if self.state.phase.has_ended or active_phase(self.state) is Phase.STARTING:
            return
        shares = {"v2": self.split.weight_percent, self.split.stable: 100 - self.split.weight_percent}
        if "v2" not in ready and "v1" in ready:
            assert shares["v2"] == 0 or self.split.stable != "v1"
            assert self.split.shadow_percent == 0
        chosen = is_last(self.spec, self.state) or step_of(self.spec, self.state).weight_percent > 0
        if "v1" not in ready and "v2" in ready and chosen and self.state.outcome is None:
            assert shares.get("v1", 0) == 0

    def decided(self) -> Decision:
        """Decide, check what must hold of every decision, and store its state as a file would."""
        evidence, before = self.evidence(), self.state
        decision = decide(self.spec, before, evidence, self.now_seconds)
        entry = entry_of(1, self.spec, before, evidence, decision, self.now_seconds)
        assert replay([READ_ENTRY.decode(msgspec.json.encode(entry))]) == ()
        assert all(explain(entry))
        self.check_orders(decision)
        self.check_capacity(before, decision)
        self.check_retraining(before, decision)
        self.check_promotion(before, evidence, decision)
        self.state = READ_STATE.decode(msgspec.json.encode(decision.state))
        assert self.state == decision.state
        return decision

    def check_orders(self, decision: Decision) -> None:
        for order in decision.orders:
            match order:
                case SetSplit(split=split):
                    assert split.weight_percent == 0 or self.ready.get(split.candidate), (
                        "sent to a candidate that is not ready"
                    )
                    assert split.shadow_percent == 0 or self.ready.get(split.candidate), (
                        "copied to a candidate that is not ready"
                    )
                    assert split.weight_percent == 100 or self.ready.get(split.stable), (
                        "sent to a stable that is not ready"
                    )
                case StopVersion(version=version):
                    assert version not in (self.split.stable, self.split.candidate), (
                        "stopped while the router may send to it"
                    )
                case _:
                    pass

    def check_capacity(self, before: RolloutState, decision: Decision) -> None:
        """No asked split raises a candidate's share above its servers while stable can answer, and nothing waits on the way back."""
        servers = decision.state.stable_servers
        assert servers >= self.ready.get("v1", 0) or before.phase.has_ended
        for order in decision.orders:
            if isinstance(order, SetSplit) and self.ready.get("v1") and order.split.candidate == "v2":
                share = share_of(order.split)
                assert share <= share_of(before.asked) or self.ready["v2"] * 100 >= servers * share - 1e-6
        if decision.state.outcome is Phase.ROLLED_BACK and self.ready.get("v1") and not decision.state.phase.has_ended:
            assert decision.state.asked == Split(stable="v1")

    def check_retraining(self, before: RolloutState, decision: Decision) -> None:
        """It is asked for in the watch alone, with one reason for good, and told again in every look."""
        asked = [order for order in decision.orders if isinstance(order, AskForRetraining)]
        assert len(asked) == bool(decision.state.retraining_reason)
        if before.retraining_reason:
            assert decision.state.retraining_reason == before.retraining_reason
        elif asked:
            assert Phase.WATCHING in (before.phase, before.paused_phase, decision.state.phase)
            assert is_last(self.spec, decision.state)

    def check_promotion(self, before: RolloutState, evidence: Evidence, decision: Decision) -> None:
        """Each step up rests on a verdict with its minimum of requests, or on a person's word taken now."""
        after = decision.state
        promoted_by_person = any(
            command.kind is CommandKind.PROMOTE and before.last_command < command.number <= after.last_command
            for command in self.commands
        )
        if promoted_by_person or before.phase is Phase.STARTING:
            return
        if after.step_index > before.step_index:
            assert before.passed or before.next_index is not None or decision.verdict.answer is Answer.PASS
        if after.outcome in (Phase.PROMOTED, Phase.COMPLETED) and before.outcome is None and self.spec.watch_seconds:
            assert evidence.counts is not None
            assert evidence.router_split is not None
            if after.outcome is Phase.PROMOTED:
                assert seen(before, evidence, "v2").requests >= step_of(self.spec, before).minimum_requests
        if decision.verdict.answer is Answer.PASS:
            assert evidence.counts is not None
            assert evidence.router_split in (before.asked, after.asked)

    @invariant()
    def an_end_is_final(self) -> None:
        """Once concluded, a rollout says one and the same thing."""
        if hasattr(self, "concluded"):
            assert len({(conclude.phase, conclude.stable) for conclude in self.concluded}) <= 1

    def teardown(self) -> None:
        """When the world is well again and time passes, the rollout ends, with a person's word if it waits for one."""
        if not hasattr(self, "state"):
            return
        self.broken.clear()
        self.measurements = {"psi": 0.05, "up": 1.0}
        self.counts_readable = self.split_readable = True
        for turn in range(100):
            self.look()
            if self.state.phase.has_ended:
                break
            if turn > 30 and turn % 10 == 0:
                self.command(CommandKind.PROMOTE, whole=True)
            self.traffic(25.0, 2000, (0, 0))
        assert self.state.phase.has_ended, self.state
        self.look()
        kept, dropped = ("v2", "v1") if self.state.phase is Phase.PROMOTED else ("v1", "v2")
        assert (self.concluded[-1].phase, self.concluded[-1].stable) == (self.state.phase, kept)
        assert self.split == Split(stable=kept)
        assert dropped not in self.ready


AnyWorld.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAnyWorld = AnyWorld.TestCase
