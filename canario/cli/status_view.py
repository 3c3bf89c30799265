"""A model on its platform drawn for a person: who answers, how far the rollout is, what each gate says, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from canario.cli.figures import age, clock_time, count, duration, percent
from canario.cli.printing import pairs, table
from canario.model.address import Address, PlatformKind
from canario.model.deployment import PastRollout, Rollout, Status
from canario.model.journal import JournalEntry
from canario.model.resource_status import BatchStatus
from canario.model.rollout import Phase, RolloutSpec
from canario.model.split import Split
from canario.model.verdict import Answer, Verdict
from canario.rollout.steering import is_last, last_index, step_of

if TYPE_CHECKING:
    from rich.console import RenderableType

MOMENTS_SHOWN = 6
HERE = Address()
NOTICES = {
    "Ready": "not ready",
    "Accepted": "spec",
    "EvidenceReadable": "evidence",
    "Scaling": "scaling",
    "Stream": "workers",
    "Batch": "batch",
}
"""How the conditions of a resource that do not hold are called."""
COLOURS = {Answer.PASS: "green", Answer.FAIL: "red", Answer.UNKNOWN: "yellow"}


def status_page(status: Status, now_seconds: float, address: Address = HERE) -> RenderableType:
    """Everything about one model, from the address to the commands that make sense now."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_facts(status, now_seconds, address)]
    if status.is_up:
        parts += [Text(), _servers(status, address)]
    if status.rollout and status.verdict and status.verdict.gates:
        parts += [Text(), _gates(status.rollout.spec, status.verdict)]
    if status.batch:
        parts += [Text(), _batch(status.batch)]
    parts += [Text(), _closing(status, address)]
    return Group(*parts)


def _facts(status: Status, now_seconds: float, address: Address) -> RenderableType:
    drawn = pairs()
    is_in_a_cluster = address.on is PlatformKind.KUBERNETES
    drawn.add_row("model", f"{status.model} in namespace {status.namespace}" if is_in_a_cluster else status.model)
    drawn.add_row("url", f"{status.url} (REST and gRPC)" if status.is_up else "not up")
    rollout = status.rollout
    if rollout:
        drawn.add_row("rollout", f"{rollout.state.rollout}, {rollout.spec.strategy}")
        drawn.add_row(
            "phase", f"{rollout.state.phase}, for {duration(now_seconds - rollout.state.phase_since_seconds)}"
        )
        drawn.add_row("step", _step(rollout))
    elif status.past:
        drawn.add_row("last rollout", past_words(status.past[-1]))
    if is_in_a_cluster and not status.is_supervised:
        last = f", last seen {duration(status.heartbeat_age_seconds)} ago" if status.heartbeat_age_seconds else ""
        drawn.add_row("controller", f"not running{last}: routers go on with the last split, and nothing is decided")
    elif status.is_up and not status.is_supervised:
        drawn.add_row("supervisor", "not running: the router goes on with the last split, and nothing is decided")
    for condition, message in status.notices.items():
        drawn.add_row(NOTICES.get(condition, condition), message)
    if status.last_error:
        drawn.add_row("last error", status.last_error)
    return drawn


def _step(rollout: Rollout) -> str:
    """`2 of 3, 50 %`, with what it waits for; the last leg is the watch."""
    spec, state = rollout.spec, rollout.state
    total = last_index(spec) + 1
    if is_last(spec, state):
        return f"{total} of {total}, the watch, for {duration(spec.watch_seconds)}"
    step = step_of(spec, state)
    words = (
        f"{state.step_index + 1} of {total}, {percent(step.weight_percent)}, {count(step.minimum_requests)} requests"
    )
    if step.minimum_seconds:
        words += f", {duration(step.minimum_seconds)}"
    if step.approval:
        words += ", approved" if state.approved else ", needs `canario promote`"
    return words


def past_words(past: PastRollout) -> str:
    """A rollout that has ended, in one line."""
    return f"{past.rollout}: {past.candidate} over {past.stable}, {past.phase} {age(past.ended_at_seconds)} ago: {past.reason}"


def moment(decision: JournalEntry) -> tuple[str, str, str, str, str]:
    """A decision in five words or phrases: when, phase, the candidate's weight, verdict, reason."""
    after = decision.after
    weight = _share(after.candidate, after.asked) if after.asked else "-"
    return clock_time(decision.at_seconds), after.phase, weight, decision.verdict.answer, after.reason


def live_page(
    status: Status, recorded: Sequence[JournalEntry], now_seconds: float, address: Address = HERE
) -> RenderableType:
    """The status, and below it what was decided last."""
    from rich.console import Group
    from rich.text import Text

    drawn = table("time", "phase", "weight", "verdict", "why")
    for decision in recorded[-MOMENTS_SHOWN:]:
        *words, why = moment(decision)
        drawn.add_row(*words, Text(why, no_wrap=True, overflow="ellipsis"))
    return Group(status_page(status, now_seconds, address), Text(), drawn)


def next_commands(status: Status, address: Address = HERE) -> tuple[str, ...]:
    """The commands that make sense now, the likeliest first."""
    model = status.model
    is_in_a_cluster = address.on is PlatformKind.KUBERNETES
    if is_in_a_cluster and not status.is_supervised:
        namespace, _, name = status.lease.partition("/")
        return (replace(address, namespace=namespace).kubectl(f"get lease {name}"),)
    if is_in_a_cluster and not status.is_up:
        return (address.kubectl(f"describe modeldeployment {model}"),)
    if not (status.is_up and status.is_supervised):
        return (address.command(f"up {model}"),)
    if status.rollout is not None:
        return tuple(address.command(f"{verb} {model}") for verb in _verbs(status.rollout))
    was_promoted = any(past.phase is Phase.PROMOTED for past in status.past)
    back = (address.command(f"rollback {model}"),) if was_promoted else ()
    if is_in_a_cluster:
        return (address.command(f"rollout {model}:TAG"), *back, address.command(f"history {model}"))
    return (address.command(f"rollout {model}"), *back, address.command(f"down {model}"))


def _verbs(rollout: Rollout) -> tuple[str, ...]:
    match rollout.state.phase:
        case Phase.PAUSED:
            return ("resume", "promote", "abort")
        case Phase.WATCHING:
            return ("watch", "abort")
        case Phase.RETURNING | Phase.FINISHING:
            return ("watch",)
    needs_approval = step_of(rollout.spec, rollout.state).approval and not rollout.state.approved
    return ("promote", "watch", "pause", "abort") if needs_approval else ("watch", "pause", "abort")


def _servers(status: Status, address: Address) -> RenderableType:
    drawn = table("version", "role", "asked", "actual", "pods" if address.on is PlatformKind.KUBERNETES else "servers")
    candidate = status.rollout.state.candidate if status.rollout else ""
    versions = dict.fromkeys([status.stable, candidate, *(server.version for server in status.servers)])
    for version in filter(None, versions):
        role = {status.stable: "stable", candidate: "candidate"}.get(version, "leaving")
        drawn.add_row(
            version, role, _share(version, status.asked), _share(version, status.actual), _ready(version, status)
        )
    return drawn


def _share(version: str, split: Split | None) -> str:
    if split is None:
        return "unknown"
    if version == split.candidate:
        return f"{percent(split.shadow_percent)} copied" if split.shadow_percent else percent(split.weight_percent)
    return percent(100 - split.weight_percent) if version == split.stable else percent(0)


def _ready(version: str, status: Status) -> str:
    servers = [server for server in status.servers if server.version == version]
    stages = Counter(server.stage for server in servers)
    words = ", ".join(f"{number} {stage}" for stage, number in sorted(stages.items(), reverse=True)) or "none"
    restarts = sum(server.restarts for server in servers)
    failures = next((f"; {server.failure}" for server in servers if server.failure), "")
    return words + (f", restarts: {restarts}" if restarts else "") + failures


def _gates(spec: RolloutSpec, verdict: Verdict) -> RenderableType:
    from rich.text import Text

    not_waited_for = {gate.name or gate.kind for gate in spec.gates if not gate.blocking}
    drawn = table("gate", "answer", "needs", "why")
    for gate in verdict.gates:
        needs = f"about {count(gate.requests_needed)} more" if gate.requests_needed else "-"
        name = gate.name or gate.gate
        drawn.add_row(
            name,
            Text(gate.answer, style=COLOURS[gate.answer]),
            "not waited for" if name in not_waited_for else needs,
            gate.reason.removeprefix(f"{name}: "),
        )
    return drawn


def _batch(told: Sequence[BatchStatus]) -> RenderableType:
    """Each schedule of rows with its last run, and what a run would take now."""
    drawn = table("batch", "last run", "version", "phase", "done", "failed", "next takes")
    for schedule in told:
        if not schedule.runs:
            drawn.add_row(schedule.name, "none yet", "-", "-", "-", "-", schedule.version)
            continue
        run = schedule.runs[0]
        done = f"{run.completed} of {run.indexes}"
        drawn.add_row(schedule.name, run.job, run.version, run.phase, done, run.failed_indexes or "-", schedule.version)
    return drawn


def _closing(status: Status, address: Address) -> RenderableType:
    drawn = pairs()
    if status.rollout and status.rollout.state.reason:
        drawn.add_row("why", status.rollout.state.reason)
    for number, line in enumerate(next_commands(status, address)):
        drawn.add_row("" if number else "next", line)
    return drawn
