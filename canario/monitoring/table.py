"""The table of objectives, windows and thresholds, and what makes one sound; what follows from it is for the other modules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from canario.adapters.documents import read_document
from canario.errors import UsageError
from canario.model.stream import WAIT_BOUNDS_SECONDS

DEFAULT_TABLE = Path(__file__).with_name("objectives.yaml")
FEWEST_SCRAPES_PER_WINDOW = 4
"""Two are the least from which a rise can be told; one may be lost, and one stands at the edge."""
MOST_DRIFT_WINDOWS = 4
"""So many looks at once are in the versions' budget of false alarms (canario.drift.budget)."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+)([smhdw])")


class Severity(StrEnum):
    """Who is told."""

    PAGE = "page"
    """A person, now."""
    TICKET = "ticket"
    """A person, in working hours."""


class Speed(StrEnum):
    """How fast a budget burns, as alerts' names have it."""

    FAST = "fast"
    SLOWLY = "slowly"


class Alert(StrEnum):
    """Every alert; each has a row in the table, a rule, a runbook and tests."""

    ERROR_BUDGET_BURNS_FAST = "CanarioErrorBudgetBurnsFast"
    ERROR_BUDGET_BURNS_SLOWLY = "CanarioErrorBudgetBurnsSlowly"
    LATENCY_BUDGET_BURNS_FAST = "CanarioLatencyBudgetBurnsFast"
    LATENCY_BUDGET_BURNS_SLOWLY = "CanarioLatencyBudgetBurnsSlowly"
    INPUT_DRIFT = "CanarioInputDrift"
    SCORE_DRIFT = "CanarioScoreDrift"
    ESTIMATED_DEGRADATION = "CanarioEstimatedDegradation"
    DEGRADATION = "CanarioDegradation"
    LABELS_MISSING = "CanarioLabelsMissing"
    ROLLOUT_STUCK = "CanarioRolloutStuck"
    NO_TRAFFIC = "CanarioNoTraffic"
    NO_METRICS = "CanarioNoMetrics"
    RETRAINING_FAILED = "CanarioRetrainingFailed"
    BATCH_FAILED = "CanarioBatchFailed"
    AUTOSCALER_AT_LIMIT = "CanarioAutoscalerAtLimit"
    URGENT_MESSAGES_LATE = "CanarioUrgentMessagesLate"
    MESSAGES_STUCK = "CanarioMessagesStuck"
    MESSAGES_DEAD = "CanarioMessagesDead"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectivesRow:
    """What is promised where a card says nothing, in percent of the requests."""

    error_percent: float
    slow_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """So many times the allowed speed, over a long window and a short one."""

    speed: Speed
    factor: float
    long: str
    short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Burns:
    """Every burn rate that is told."""

    rows: tuple[Burn, ...]
    minimum_bad_answers: int

    @property
    def windows(self) -> list[str]:
        """Each window once, the shortest first."""
        return sorted({window for row in self.rows for window in (row.long, row.short)}, key=seconds_of)

    def of(self, speed: Speed) -> list[Burn]:
        return [row for row in self.rows if row.speed is speed]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """When inputs and scores have moved away."""

    windows: tuple[str, ...]
    minimum_rows: int
    material_psi: float
    material_novel_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRow:
    """When answers have become worse, and when nobody can tell any more."""

    minimum_labels: int
    estimated_recall_drop: float
    estimated_minimum_positives: float
    coverage_share_of_usual: float
    usual_window: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """When a rollout waits for somebody."""

    stuck_after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRow:
    """When silence is unusual."""

    quiet: str
    usual: str
    minimum_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """When messages wait too long, and when they are given up."""

    urgent_wait_seconds: float
    urgent_late_percent: float
    window: str
    minimum_messages: int
    stuck_after: str
    dead_window: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """Who is told of an alert, and how patiently."""

    severity: Severity
    after: str
    kept: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingRow:
    """How Alertmanager gathers and repeats."""

    wait: str
    interval: str
    repeat: str
    retraining_repeat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The whole table, as objectives.yaml has it."""

    scrape: str
    evaluate: str
    runbooks: str
    objectives: ObjectivesRow
    burns: Burns
    drift: DriftRow
    quality: QualityRow
    rollout: RolloutRow
    traffic: TrafficRow
    stream: StreamRow
    alerts: dict[Alert, AlertRow]
    telling: TellingRow


def seconds_of(duration: str) -> int:
    """A duration as Prometheus writes it (`1h30m`), in seconds. Raises UsageError when it is none."""
    if not re.fullmatch(rf"({_DURATION.pattern})+", duration):
        raise UsageError(f"{duration!r} is no duration", hint="such as 30s, 5m, 1h or 7d")
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


def read_table(path: Path | None = None) -> Table:
    """The table in a file, or canario's own. Raises UsageError, with the place, for one that cannot be honoured."""
    path = path or DEFAULT_TABLE
    hint = f"{DEFAULT_TABLE} is a whole one, with comments: copy it and change the copy"
    table = read_document(Table, path, hint=hint)
    try:
        _refuse_unsound(table)
    except UsageError as wrong:
        raise UsageError(wrong.message, at=f"{path}: {wrong.at}".removesuffix(": "), hint=wrong.hint or hint) from wrong
    return table


def _refuse_unsound(table: Table) -> None:
    missing = [alert.value for alert in Alert if alert not in table.alerts]
    if missing:
        raise UsageError(f"{missing[0]} has no row", at="alerts", hint="each alert says who is told, and when")
    for alert, row in table.alerts.items():
        _in_place(f"alerts.{alert.value}", row.after, *([row.kept] if row.kept else []))
    _in_place(
        "telling", *(getattr(table.telling, name) for name in ("wait", "interval", "repeat", "retraining_repeat"))
    )
    _in_place("rollout", table.rollout.stuck_after)
    _in_place("evaluate", table.evaluate)
    shortest = FEWEST_SCRAPES_PER_WINDOW * seconds_of(table.scrape)
    windows = {
        **{f"drift.windows.{number}": window for number, window in enumerate(table.drift.windows)},
        "traffic.quiet": table.traffic.quiet,
        "traffic.usual": table.traffic.usual,
        "quality.usual_window": table.quality.usual_window,
        **{f"stream.{name}": getattr(table.stream, name) for name in ("window", "stuck_after", "dead_window")},
        **{f"burns.rows.{number}.short": burn.short for number, burn in enumerate(table.burns.rows)},
    }
    for place, window in windows.items():
        _in_place(place, window)
        if seconds_of(window) < shortest:
            raise UsageError(
                f"{window} is too short to tell a rise: targets are read every {table.scrape}",
                at=place,
                hint=f"at least {shortest}s, or another `scrape`",
            )
    if table.stream.urgent_wait_seconds not in WAIT_BOUNDS_SECONDS:
        raise UsageError(
            f"waits are not counted up to {table.stream.urgent_wait_seconds:g} s",
            at="stream.urgent_wait_seconds",
            hint=f"one of {', '.join(f'{bound:g}' for bound in WAIT_BOUNDS_SECONDS)}",
        )
    for number, burn in enumerate(table.burns.rows):
        if seconds_of(burn.short) >= seconds_of(burn.long):
            raise UsageError("the short window is not shorter than the long one", at=f"burns.rows.{number}")
    if not 1 <= len(table.drift.windows) <= MOST_DRIFT_WINDOWS:
        raise UsageError(
            f"{len(table.drift.windows)} windows are not what the budget of false alarms reckons with",
            at="drift.windows",
            hint=f"1 to {MOST_DRIFT_WINDOWS}",
        )
    if not all(table.burns.of(speed) for speed in Speed):
        raise UsageError(
            "there is no row for one of the speeds", at="burns.rows", hint="at least a fast and a slow one"
        )


def _in_place(place: str, *durations: str) -> None:
    for duration in durations:
        try:
            seconds_of(duration)
        except UsageError as wrong:
            raise UsageError(wrong.message, at=place, hint=wrong.hint) from wrong
