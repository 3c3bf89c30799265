"""What needs a person though no answer is wrong yet: rollouts that wait, silence, blindness, failed runs, and what has come to its end."""

from __future__ import annotations

from canario.monitoring.rule import MODEL, VERSION, AlertRule, Group, labels, one
from canario.monitoring.table import Alert, Table, seconds_of

_ON_MODEL = f"on {labels(MODEL)}"
_UP = one("canario_stable_info", MODEL)
"""Somebody steers the model, so it is meant to answer."""


def operation_rules(table: Table) -> Group:
    """The alerts; they need no series of their own."""
    traffic = table.traffic
    return Group(
        name="canario-operation",
        rules=[
            _rollout_stuck(table),
            AlertRule(
                alert=Alert.NO_TRAFFIC,
                query=(
                    f"(canario:answers:{traffic.usual} >= {traffic.minimum_requests})\n"
                    f"unless {_ON_MODEL} (canario:answers:{traffic.quiet} > 0)\n"
                    f"and {_ON_MODEL} {_UP}"
                ),
                concern="traffic",
                summary="{{ $labels.model }}: no request arrives any more",
                description=(
                    f"{{{{ $labels.model }}}} has had no request for {traffic.quiet}, after {{{{ $value | humanize }}}} in the "
                    f"last {traffic.usual}."
                ),
            ),
            _no_metrics(),
            _retraining_failed(),
            _batch_failed(),
            _autoscaler_at_limit(table),
        ],
    )


def _rollout_stuck(table: Table) -> AlertRule:
    """A rollout as a value of the model: its phase, its candidate, and for how long it has been there."""
    info = one(
        'canario_rollout_info{phase=~"starting|stepping|paused|returning|finishing"}',
        (*MODEL, "rollout", "candidate", "phase"),
    )
    since = one("canario_rollout_since_timestamp_seconds", MODEL)
    return AlertRule(
        alert=Alert.ROLLOUT_STUCK,
        query=(
            f'label_replace(\n  {info} * {_ON_MODEL} group_left () (time() - {since}), "version", "$1", "candidate", "(.*)"\n'
            f") > {seconds_of(table.rollout.stuck_after)}"
        ),
        concern="rollout",
        summary="{{ $labels.model }}: the rollout of {{ $labels.candidate }} waits for somebody",
        description="It has been {{ $labels.phase }} for {{ $value | humanizeDuration }}.",
    )


def _no_metrics() -> AlertRule:
    """What steers a model says that it is up, and nothing tells of its servers or router; or the other way round."""

    def read(part: str) -> str:
        return f"({_up(part)} == 1)"

    blind = {
        "servers": f"{_UP} unless {_ON_MODEL} {read('server')}",
        "router": f"{_UP} unless {_ON_MODEL} {read('router')}",
        "supervisor or controller": f"{_up('server')} unless {_ON_MODEL} {_UP}",
    }
    return AlertRule(
        alert=Alert.NO_METRICS,
        query="\nor\n".join(f'label_replace({query}, "missing", "{part}", "", "")' for part, query in blind.items()),
        concern="metrics",
        summary="{{ $labels.model }}: no metrics of its {{ $labels.missing }}",
        description="Every other alert of {{ $labels.model }} may be silent because it sees nothing.",
    )


def _retraining_failed() -> AlertRule:
    return AlertRule(
        alert=Alert.RETRAINING_FAILED,
        query=_failed_last(
            "canario_retraining_timestamp_seconds",
            MODEL,
            'outcome=~"failed"',
            'outcome=~"rolled-out|published|rejected"',
        ),
        concern="retraining",
        summary="{{ $labels.model }}: its retraining has failed",
        description="It failed at {{ $value | humanizeTimestamp }}, and none has come to an end since.",
    )


def _batch_failed() -> AlertRule:
    whose = (*MODEL, "schedule")
    return AlertRule(
        alert=Alert.BATCH_FAILED,
        query=_failed_last("canario_batch_run_timestamp_seconds", whose, 'outcome="failed"', 'outcome="complete"'),
        concern="batch",
        summary="{{ $labels.model }}: the rows of {{ $labels.schedule }} have not all been scored",
        description="Its run failed at {{ $value | humanizeTimestamp }}, and none has been complete since.",
    )


def _failed_last(name: str, whose: tuple[str, ...], failed: str, well: str) -> str:
    """When the last failure was, of those that nothing has made up for since; `name` tells when each outcome was last seen."""
    last_failure, last_end = (one(f"{name}{{{outcome}}}", whose) for outcome in (failed, well))
    on_it = f"on {labels(whose)}"
    return f"{last_failure} > {on_it} ({last_end} or {on_it} 0 * {last_failure})"


def _autoscaler_at_limit(table: Table) -> AlertRule:
    def servers(kind: str) -> str:
        return one(f'canario_servers{{kind="{kind}"}}', VERSION)

    return AlertRule(
        alert=Alert.AUTOSCALER_AT_LIMIT,
        query=(f"{servers('wanted')} >= {servers('highest')}\nand {servers('highest')} > {servers('lowest')}"),
        concern="capacity",
        summary="{{ $labels.model }}: {{ $labels.version }} has all the servers that it may have",
        description=(
            f"For {table.alerts[Alert.AUTOSCALER_AT_LIMIT].after} it has had {{{{ $value }}}} servers, its highest number: more load "
            f"will make answers slow."
        ),
    )


def _up(part: str) -> str:
    """Whether any target of this kind is read: 1, 0, or nothing when there is none."""
    return one(f'up{{part="{part}"}}', MODEL)
