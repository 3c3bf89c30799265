"""How often the judge throws an equal candidate back, how soon it throws a bad one back, and what threshold rules do with the same streams.

    python benchmarks/judge.py [--rollouts 10000] [--seeds 20]

Nothing runs here but arithmetic: streams of requests are drawn from a printed seed and given to canario.rollout's own functions. A
stream holds, for either version, when a request would fail there, each with the draw that deals it; so every rule sees the same one,
whatever weights it chooses. Threshold rules are as their manuals show them:

    Flagger   interval 60 s, threshold 5: a check fails when the success rate of the last interval is below 99 %; the weight rises
              with every check that passes, and the fifth that fails rolls back (docs.flagger.app, "How it works").
    Argo      successCondition result[0] >= 0.95 over the last 5 minutes, failureLimit 3, so the fourth failure aborts; the analysis
              runs beside steps with pauses (argo-rollouts.readthedocs.io, "Analysis"): every minute beside pauses of 5 minutes, or
              every 5 minutes beside pauses of 10 minutes.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import log

import numpy as np
import scipy
from scipy.stats import beta

import canario
from canario.model.evidence import Counts, Evidence
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec, RolloutState, Step
from canario.model.split import Split
from canario.model.verdict import Answer
from canario.rollout.chance import log_e_above
from canario.rollout.decide import begin, decide
from canario.rollout.judge import judge
from canario.rollout.plan import canary

SEED = 20260101
REQUESTS_PER_SECOND = 200
WEIGHTS = (10.0, 50.0)
LONGEST_STEP_SECONDS = 600.0
WATCH_SECONDS = 300.0
POLL_SECONDS = 0.1
STREAM_SECONDS = 2 * LONGEST_STEP_SECONDS + WATCH_SECONDS  # nobody's rollout is longer
ALPHAS = (0.01, 0.001)


@dataclass(frozen=True, slots=True)
class Stream:
    """One rollout's luck: when either version would fail a request, in seconds, and the draw (0 to 1) that deals each."""

    candidate_times: np.ndarray
    candidate_draws: np.ndarray
    stable_times: np.ndarray
    stable_draws: np.ndarray
    dice: np.random.Generator

    def bad(self, start: float, end: float, weight: float) -> tuple[np.ndarray, np.ndarray]:
        """The times of the candidate's and of stable's bad answers between two moments at a weight (0 to 1)."""
        on_candidate = slice(*np.searchsorted(self.candidate_times, (start, end)))
        on_stable = slice(*np.searchsorted(self.stable_times, (start, end)))
        return (
            self.candidate_times[on_candidate][self.candidate_draws[on_candidate] < weight],
            self.stable_times[on_stable][self.stable_draws[on_stable] >= weight],
        )

    def requests(self, seconds: float, weight: float) -> int:
        """How many requests the candidate gets in so many seconds."""
        return int(self.dice.binomial(round(seconds * REQUESTS_PER_SECOND), weight))


def streams(
    rollouts: int, candidate_share: float, stable_share: float, seconds: float = STREAM_SECONDS
) -> Iterator[Stream]:
    """Independent streams for two versions with given shares of failing requests (0 to 1)."""
    for seed in np.random.SeedSequence(SEED).spawn(rollouts):
        dice = np.random.default_rng(seed)
        drawn = []
        for share in (candidate_share, stable_share):
            times = np.sort(dice.random(dice.binomial(round(seconds * REQUESTS_PER_SECOND), share))) * seconds
            drawn += [times, dice.random(len(times))]
        yield Stream(drawn[0], drawn[1], drawn[2], drawn[3], dice)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one rollout ended under one rule."""

    is_promoted: bool
    seconds: float
    bad_answers: int
    log_e_value: float = 0.0
    """The highest that the judge saw."""


Rule = Callable[[Stream], Outcome]


@dataclass(slots=True)
class Climb:
    """A rollout by the real step plan whose judge looks after every event; `alpha` 0 lets it go on whatever it sees."""

    spec: RolloutSpec
    alpha: float
    earned: float = 0.0
    highest: float = 0.0
    bad_answers: int = 0

    def run(self, stream: Stream) -> Outcome:
        now = 0.0
        for index, weight in enumerate((*WEIGHTS, 100.0)):
            state = self.state(index, weight)
            failed, now = self.watch(stream, now) if weight == 100 else self.step(stream, now, state, weight / 100)
            if failed:
                return Outcome(is_promoted=False, seconds=now, bad_answers=self.bad_answers, log_e_value=self.highest)
        return Outcome(is_promoted=True, seconds=now, bad_answers=self.bad_answers, log_e_value=self.highest)

    def state(self, index: int, weight: float) -> RolloutState:
        split = Split(stable="v1", candidate="v2", weight_percent=weight)
        return replace(
            begin(self.spec, "r", "v1", "v2", 0.0),
            phase=Phase.STEPPING,
            step_index=index,
            asked=split,
            step_since_seconds=0.0,
        )

    def step(self, stream: Stream, start: float, state: RolloutState, weight: float) -> tuple[bool, float]:
        """Stay at a weight until the judge passes it, asked at growing intervals, and look at every bad event on the way."""
        mine, other = stream.bad(start, start + LONGEST_STEP_SECONDS, weight)
        lasted, requests = 0.0, 0
        while lasted < LONGEST_STEP_SECONDS:
            wait = max(5.0, lasted / 2)
            failed_at = self.look_at_every_event(mine, other, weight, start + lasted, start + lasted + wait)
            if failed_at is not None:
                return True, failed_at
            requests += stream.requests(wait, weight)
            lasted += wait
            bad, good = int(np.searchsorted(mine, start + lasted)), int(np.searchsorted(other, start + lasted))
            total = round(lasted * REQUESTS_PER_SECOND)
            counts = {"v2": Counts(requests=requests, errors=bad), "v1": Counts(requests=total - requests, errors=good)}
            if judge(self.spec, state, Evidence(counts=counts, router_split=state.asked), lasted).answer is Answer.PASS:
                break
        bad, good = int(np.searchsorted(mine, start + lasted)), int(np.searchsorted(other, start + lasted))
        self.earned += log_e_above(bad, good, weight)
        self.bad_answers += bad
        return False, start + lasted

    def look_at_every_event(
        self, mine: np.ndarray, other: np.ndarray, weight: float, start: float, end: float
    ) -> float | None:
        """The moment between two at which the gate fails, if it does: evidence can only rise with a bad event of the candidate."""
        for s in range(int(np.searchsorted(mine, start)), int(np.searchsorted(mine, end))):
            if self.fails(log_e_above(s + 1, int(np.searchsorted(other, mine[s])), weight)):
                self.bad_answers += s + 1
                return float(mine[s])
        return None

    def watch(self, stream: Stream, start: float) -> tuple[bool, float]:
        """Everybody is on the candidate; its share is held against the plan's limit after every event."""
        mine, _ = stream.bad(start, start + WATCH_SECONDS, 1.0)
        limit = self.spec.watch_error_percent / 100
        for s, moment in enumerate(mine, start=1):
            total = round((moment - start) * REQUESTS_PER_SECOND) + 1
            # Below the limit the e-value is below 1: nothing to see.
            if s > limit * total and self.fails(log_e_above(s, max(0, total - s), limit)):
                self.bad_answers += s
                return True, float(moment)
        self.bad_answers += len(mine)
        return False, start + WATCH_SECONDS

    def fails(self, log_e_value: float) -> bool:
        self.highest = max(self.highest, self.earned + log_e_value)
        return self.alpha > 0 and self.earned + log_e_value >= -log(self.alpha)


def flagger(stream: Stream) -> Outcome:
    now, failed, bad_answers = 0.0, 0, 0
    weights = list(WEIGHTS)
    while weights:
        bad = len(stream.bad(now, now + 60, weights[0] / 100)[0])
        requests = stream.requests(60, weights[0] / 100)
        now, bad_answers = now + 60, bad_answers + bad
        if bad <= 0.01 * requests:
            weights.pop(0)
        elif (failed := failed + 1) == 5:
            return Outcome(is_promoted=False, seconds=now, bad_answers=bad_answers)
    return Outcome(is_promoted=True, seconds=now, bad_answers=bad_answers)


def argo(interval_seconds: float, pause_seconds: float) -> Rule:
    def rule(stream: Stream) -> Outcome:
        failed = 0
        window: list[tuple[int, int]] = []
        bad_answers, now = 0, 0.0
        for weight in WEIGHTS:
            for _ in range(round(pause_seconds / interval_seconds)):
                bad = len(stream.bad(now, now + interval_seconds, weight / 100)[0])
                window.append((bad, stream.requests(interval_seconds, weight / 100)))
                now, bad_answers = now + interval_seconds, bad_answers + bad
                recent = window[-round(300 / interval_seconds) :]
                success = 1 - sum(bad for bad, _ in recent) / max(1, sum(requests for _, requests in recent))
                failed += success < 0.95
                if failed > 3:
                    return Outcome(is_promoted=False, seconds=now, bad_answers=bad_answers)
        return Outcome(is_promoted=True, seconds=now, bad_answers=bad_answers)

    return rule


def our_plan(watch_error_percent: float) -> RolloutSpec:
    return replace(
        canary((*WEIGHTS, 100.0)), gates=(Gate(kind=GateKind.ERRORS),), watch_error_percent=watch_error_percent
    )


def climb(watch_error_percent: float, alpha: float) -> Rule:
    spec = our_plan(watch_error_percent)
    return lambda stream: Climb(spec, alpha).run(stream)


PEERS = {"Flagger, 60 s x 5": flagger, "Argo, every 60 s": argo(60, 300), "Argo, every 5 min": argo(300, 600)}


def clopper_pearson(events: int, trials: int, confidence: float = 0.99) -> str:
    """The exact interval of a share, in percent."""
    tail = (1 - confidence) / 2
    low = beta.ppf(tail, events, trials - events + 1) if events else 0.0
    high = beta.ppf(1 - tail, events + 1, trials - events) if events < trials else 1.0
    return f"{100 * events / trials:7.3f} %   [{100 * low:.3f} %, {100 * high:.3f} %]"


def surely_at_most(alpha: float, events: int, trials: int) -> bool:
    """Whether so many events do not speak, at 99 %, for a chance above alpha."""
    return events == 0 or float(beta.ppf(0.01, events, trials - events + 1)) <= alpha


def run_all(rules: Mapping[str, Rule], drawn: Iterator[Stream]) -> dict[str, list[Outcome]]:
    """Every rule on every stream."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in rules}
    for stream in drawn:
        for name, rule in rules.items():
            outcomes[name].append(rule(stream))
    return outcomes


def false_alarms(rollouts: int) -> bool:
    """An equal candidate, judged after every event through all steps and the watch; and the threshold rules on the same streams."""
    print(f"(a) An equal candidate: share of {rollouts:,} rollouts thrown back, with the exact 99 % interval")
    is_within = True
    for share, watch_error_percent in ((0.001, 1.0), (0.01, 2.0)):
        print(
            f"\n  both fail {share:.1%} of their requests; steps 10, 50, 100 and a watch of {WATCH_SECONDS:.0f} s at a limit of {watch_error_percent:g} %"
        )
        rules = {"canario": climb(watch_error_percent, alpha=0.0), **PEERS}
        outcomes = run_all(rules, streams(rollouts, share, share))
        for alpha in ALPHAS:
            thrown_back = sum(outcome.log_e_value >= -log(alpha) for outcome in outcomes["canario"])
            is_within &= surely_at_most(alpha, thrown_back, rollouts)
            print(f"    {f'canario, alpha {alpha:g}':<26}{clopper_pearson(thrown_back, rollouts)}")
        for name in PEERS:
            thrown_back = sum(not outcome.is_promoted for outcome in outcomes[name])
            print(f"    {name:<26}{clopper_pearson(thrown_back, rollouts)}")
    hours = max(1, rollouts // 10)
    held = [an_hour_at_ten_percent(stream) for stream in streams(hours, 0.001, 0.001, 3600.0)]
    print(f"\n  both fail 0.1 %; {hours:,} rollouts held for an hour at 10 %")
    for alpha in ALPHAS:
        print(
            f"    canario, alpha {alpha:<6g}       {clopper_pearson(sum(value >= -log(alpha) for value in held), hours)}"
        )
    return is_within


def an_hour_at_ten_percent(stream: Stream) -> float:
    mine, other = stream.bad(0.0, 3600.0, 0.1)
    before = np.searchsorted(other, mine)
    return max((log_e_above(s, int(f), 0.1) for s, f in enumerate(before, start=1)), default=0.0)


def bad_candidates(rollouts: int) -> None:
    """Candidates that are truly bad, under the same rules."""
    print(
        f"\n    A bad candidate, stable fails 0.1 %: {rollouts:,} rollouts each; medians, and the largest number of bad answers"
    )
    print(f"    {'candidate fails':<16}{'rule':<24}{'promoted':>10}{'seconds':>10}{'bad answers':>13}{'most':>9}")
    for share in (1.0, 0.05, 0.02, 0.01):
        rules = {"canario, alpha 0.001": climb(1.0, alpha=0.001), **PEERS}
        for name, outcomes in run_all(rules, streams(rollouts, share, 0.001)).items():
            promoted = sum(outcome.is_promoted for outcome in outcomes) / rollouts
            ends = statistics.median(outcome.seconds for outcome in outcomes)
            bad = [outcome.bad_answers for outcome in outcomes]
            print(
                f"    {share:<16.1%}{name:<24}{promoted:>10.1%}{ends:>10.1f}{statistics.median(bad):>13,.0f}{max(bad):>9,}"
            )


def detection(seeds: int) -> bool:
    """The whole engine in a loop: a candidate at 10 %, held there, decide() every 0.1 s; seconds from the first request at 10 %."""
    print(
        f"\n(b) decide() every {POLL_SECONDS} s, {REQUESTS_PER_SECOND} requests/s, weight 10 %, alpha 0.001, stable fails 0.1 %, {seeds} seeds"
    )
    print(
        f"    {'candidate fails':<17}{'seconds: median':>16}{'max':>8}{'bad answers: median':>21}{'max':>6}{'wanted within':>22}"
    )
    is_met = True
    for share, target_seconds in ((1.0, 2.0), (0.05, 8.0), (0.01, 60.0)):
        found = [one_detection(np.random.default_rng((SEED, seed)), share) for seed in range(seeds)]
        seconds, bad = [seconds for seconds, _ in found], [bad for _, bad in found]
        is_met &= statistics.median(seconds) <= target_seconds and (share < 1 or statistics.median(bad) <= 10)
        wanted = f"{target_seconds:g} s" + (", 10 bad answers" if share == 1 else "")
        print(
            f"    {share:<17.1%}{statistics.median(seconds):>16.1f}{max(seconds):>8.1f}{statistics.median(bad):>21g}{max(bad):>6}{wanted:>22}"
        )
    return is_met


def one_detection(dice: np.random.Generator, share: float) -> tuple[float, int]:
    spec = replace(
        our_plan(1.0),
        steps=(Step(weight_percent=10.0, approval=True, longest_seconds=7200.0), Step(weight_percent=100.0)),
    )
    split = Split(stable="v1", candidate="v2", weight_percent=10.0)
    state = begin(spec, "r", "v1", "v2", 0.0)
    counts = {"v1": Counts(), "v2": Counts()}
    for tick in range(72_000):
        evidence = Evidence(counts=dict(counts), router_split=split, ready={"v1": 2, "v2": 2}, running=("v1", "v2"))
        state = decide(spec, state, evidence, tick * POLL_SECONDS).state
        if state.phase is Phase.RETURNING:
            return tick * POLL_SECONDS, counts["v2"].errors
        for version, bad_share, dealt in zip(counts, (0.001, share), _deal(dice), strict=True):
            old = counts[version]
            counts[version] = Counts(
                requests=old.requests + dealt, errors=old.errors + int(dice.binomial(dealt, bad_share))
            )
    raise SystemExit("not thrown back within two hours")


def _deal(dice: np.random.Generator) -> tuple[int, int]:
    """How many requests of one turn of the loop stable and the candidate get."""
    arrived = round(REQUESTS_PER_SECOND * POLL_SECONDS)
    to_candidate = int(dice.binomial(arrived, 0.1))
    return arrived - to_candidate, to_candidate


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rollouts", type=int, default=10_000, help="rollouts of an equal candidate (default 10000)")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the detection (default 20)")
    wanted = parser.parse_args()
    began = time.perf_counter()
    print(
        f"canario {canario.__version__}, Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, seed {SEED}\n"
    )
    is_within = false_alarms(wanted.rollouts)
    bad_candidates(max(1, wanted.rollouts // 20))
    is_met = detection(wanted.seeds)
    print(
        f"\nfalse alarms within alpha: {'yes' if is_within else 'NO'}; detection within its targets: {'yes' if is_met else 'NO'}"
    )
    print(f"{time.perf_counter() - began:.0f} s")
    raise SystemExit(not (is_within and is_met))


if __name__ == "__main__":
    main()
