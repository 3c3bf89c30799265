"""What a model's dashboards show: how it serves, how its rollouts go, whether its answers are still good."""

from __future__ import annotations

from collections.abc import Sequence

from canario.monitoring.panels import Dashboard, Panel, Query
from canario.monitoring.table import Table

_WHOSE = 'namespace=~"$namespace", model="$model"'
_CLIENTS = f"envoy_canario_clients_answers{{{_WHOSE}}}"
_DURATIONS = f"canario_request_duration_seconds_bucket{{{_WHOSE}}}"
_RATE = "$__rate_interval"


def dashboards(table: Table) -> list[Dashboard]:
    """All of them."""
    return [_service(table), _rollouts(), _quality(), _messages(table)]


def _panel(title: str, unit: str, about: str, *queries: Query, needs: str = "") -> Panel:
    return Panel(title=title, unit=unit, about=about, queries=queries, needs=needs)


def _service(table: Table) -> Dashboard:
    return Dashboard(
        name="canario-service",
        title="Canario: a model's service",
        panels=[*_promises(table), *_servers()],
    )


def _promises(table: Table) -> list[Panel]:
    """What clients saw, beside what they were promised."""
    long, short = table.burns.rows[0].long, table.burns.rows[0].short

    def burn(what: str) -> Sequence[Query]:
        return [
            Query(
                f"canario:{what}_ratio:{window}{{{_WHOSE}}} / canario:{what}_objective:ratio{{{_WHOSE}}}",
                f"over {window}",
            )
            for window in (short, long)
        ]

    return [
        _panel(
            "Requests by version",
            "reqps",
            "As clients saw them answered, at the router.",
            Query(f"sum by (version) (rate({_CLIENTS}[{_RATE}]))", "{{version}}"),
        ),
        _panel(
            "Failed requests",
            "percentunit",
            "The share that clients saw fail, after every retry, beside what is promised.",
            Query(f"canario:error_ratio:{short}{{{_WHOSE}}}", "failed"),
            Query(f"canario:error_objective:ratio{{{_WHOSE}}}", "promised"),
        ),
        _panel(
            "Slow answers",
            "percentunit",
            "The share that took longer than the card promises, beside what is promised.",
            Query(f"canario:slow_ratio:{short}{{{_WHOSE}}}", "slow"),
            Query(f"canario:slow_objective:ratio{{{_WHOSE}}}", "promised"),
        ),
        _panel(
            "How fast the error budget burns",
            "short",
            "1 spends exactly the budget; the highest limit pages.",
            *burn("error"),
        ),
        _panel("How fast the latency budget burns", "short", "The same for slow answers.", *burn("slow")),
    ]


def _servers() -> list[Panel]:
    """What the servers say of themselves."""

    def quantile(share: float) -> Query:
        return Query(
            f"histogram_quantile({share:g}, sum by (le, version) (rate({_DURATIONS}[{_RATE}])))",
            f"{{{{version}}}} p{share * 100:g}",
        )

    return [
        _panel(
            "Duration in the servers",
            "s",
            "Half of the answers, and 99 in 100, beside the card's objective.",
            quantile(0.5),
            quantile(0.99),
            Query(f"max(canario_objective_seconds{{{_WHOSE}}})", "objective"),
        ),
        _panel(
            "Requests by protocol and outcome",
            "reqps",
            "What the servers answered, refusals of bad input included.",
            Query(
                f"sum by (protocol, outcome) (rate(canario_requests_total{{{_WHOSE}}}[{_RATE}]))",
                "{{protocol}} {{outcome}}",
            ),
        ),
        _panel(
            "Rows by version",
            "short",
            "Rows answered to users, a second.",
            Query(f"sum by (version) (rate(canario_rows_total{{{_WHOSE}}}[{_RATE}]))", "{{version}}"),
        ),
        _panel(
            "Servers, and requests that wait",
            "short",
            "Wanted and ready servers; waiting requests say that they are too few.",
            Query(
                f"max by (version, kind) (canario_servers{{{_WHOSE}}})",
                "{{version}} {{kind}}",
            ),
            Query(f"sum by (version) (canario_waiting_requests{{{_WHOSE}}})", "{{version}} waiting"),
        ),
    ]


def _rollouts() -> Dashboard:
    attempts = f"envoy_canario_attempts{{{_WHOSE}"
    return Dashboard(
        name="canario-rollouts",
        title="Canario: a model's rollouts",
        panels=[
            _panel(
                "Share by version",
                "percent",
                "Asked for, and what the router really runs.",
                Query(
                    f"max by (version, kind) (canario_split_percent{{{_WHOSE}}})",
                    "{{version}} {{kind}}",
                ),
            ),
            _panel(
                "Phase",
                "short",
                "A line while a rollout is in that phase.",
                Query(
                    f"max by (rollout, candidate, phase) (canario_rollout_info{{{_WHOSE}}})",
                    "{{rollout}} {{candidate}} {{phase}}",
                ),
                needs="a rollout",
            ),
            _panel(
                "How long it has been in its phase",
                "s",
                "A rollout that waits for somebody is told as CanarioRolloutStuck.",
                Query(f"time() - max(canario_rollout_since_timestamp_seconds{{{_WHOSE}}})", "in this phase"),
                needs="a rollout",
            ),
            _panel(
                "First attempts by version",
                "reqps",
                "The evidence of the judge: before any retry or rescue.",
                Query(f"sum by (version) (rate({attempts}}}[{_RATE}]))", "{{version}}"),
            ),
            _panel(
                "Failed first attempts by version",
                "reqps",
                "A candidate's failures are seen here, and not by clients.",
                Query(f'sum by (version) (rate({attempts}, code=~"5.."}}[{_RATE}]))', "{{version}}"),
                needs="a version that fails",
            ),
            _panel(
                "Retraining",
                "s",
                "How long ago the last of each outcome was.",
                Query(f"time() - max by (outcome) (canario_retraining_timestamp_seconds{{{_WHOSE}}})", "{{outcome}}"),
                needs="a retraining",
            ),
        ],
    )


def _quality() -> Dashboard:
    return Dashboard(
        name="canario-quality",
        title="Canario: a model's quality and drift",
        panels=[*_labels(), *_drift()],
    )


def _labels() -> list[Panel]:
    """What the truths say that came back."""
    bound = "{{version}} {{measure}} {{bound}}"
    return [
        _panel(
            "Quality with labels",
            "short",
            "The working measure with its 95 % interval, of answers old enough to be judged.",
            *(
                Query(
                    f"canario:working_quality:{bound}{{{_WHOSE}}}",
                    f"{{{{version}}}} {{{{measure}}}} {bound}",
                )
                for bound in ("high", "value", "low")
            ),
            needs="labels that are old enough to be judged",
        ),
        _panel(
            "Quality when it was trained",
            "short",
            "What degradation is measured against.",
            Query(
                f"max by (version, measure, bound) "
                f'(canario_reference_quality{{{_WHOSE}, measure=~"recall|accuracy|mean-absolute-error"}})',
                bound,
            ),
        ),
        _panel(
            "Labels",
            "short",
            "Truths that arrived, a second, by whether the answer was right.",
            Query(
                f"sum by (version, result) (rate(canario_labels_total{{{_WHOSE}}}[{_RATE}]))",
                "{{version}} {{result}}",
            ),
        ),
        _panel(
            "Coverage of labels",
            "percentunit",
            "The share of the answers old enough that have a label.",
            Query(f"max by (version) (canario_label_coverage_ratio{{{_WHOSE}}})", "{{version}}"),
            needs="labels that are old enough to be judged",
        ),
        _panel(
            "How late labels come",
            "s",
            "From the answer to its truth: half of them, and 95 in 100.",
            *(
                Query(
                    f"histogram_quantile({share:g}, sum by (le) (canario_feedback_delay_seconds_bucket{{{_WHOSE}}}))",
                    f"p{share * 100:g}",
                )
                for share in (0.5, 0.95)
            ),
        ),
    ]


def _drift() -> list[Panel]:
    """What inputs and scores say before any truth has come."""
    return [
        _panel(
            "Recall estimated without labels",
            "percentunit",
            "By the scores alone, beside the reference's own.",
            Query(f"canario:estimated_recall:$window{{{_WHOSE}}}", "{{version}} estimated"),
            Query(f"canario:reference_recall:ratio{{{_WHOSE}}}", "{{version}} at the reference"),
        ),
        _panel(
            "Drift of the columns (PSI)",
            "short",
            "How far each column lies from the reference.",
            Query(f"canario:column_psi:$window{{{_WHOSE}}}", "{{version}} {{column}}"),
        ),
        _panel(
            "Drift beside its limit",
            "percentunit",
            "PSI as a share of the limit of its column: 100 % is told.",
            Query(
                f"canario:column_psi:$window{{{_WHOSE}}} / canario:column_psi_limit:$window{{{_WHOSE}}}",
                "{{version}} {{column}}",
            ),
        ),
        _panel(
            "Drift of the scores",
            "short",
            "PSI of the scores, and its limit.",
            Query(f"canario:score_psi:$window{{{_WHOSE}}}", "{{version}}"),
            Query(f"canario:score_psi_limit:$window{{{_WHOSE}}}", "{{version}} limit"),
        ),
        _panel(
            "Rows with new words",
            "percentunit",
            "The share of rows with a word that no training row held, and its limit.",
            Query(f"canario:column_novel_ratio:$window{{{_WHOSE}}}", "{{version}} {{column}}"),
            Query(f"canario:column_novel_limit:ratio{{{_WHOSE}}}", "{{version}} {{column}} limit"),
            needs="a model with a text column",
        ),
        _panel(
            "Where the scores fall",
            "percentunit",
            "The share of each bin of the scores.",
            Query(f"canario:score_share:$window{{{_WHOSE}}}", "{{version}} bin {{bin}}"),
        ),
        _panel(
            "Refused cells",
            "short",
            "Values that do not fit the card, a second, by column.",
            Query(f"sum by (column) (rate(canario_column_refused_total{{{_WHOSE}}}[{_RATE}]))", "{{column}}"),
        ),
    ]


def _messages(table: Table) -> Dashboard:
    return Dashboard(
        name="canario-messages",
        title="Canario: a model's messages",
        panels=[*_queues(), *_waits(table)],
    )


def _queues() -> list[Panel]:
    """What waits, what became of what was taken up, and who does it."""
    return [
        _panel(
            "Messages that wait",
            "short",
            "By queue, those that no worker has in its hands. Bulk may pile up; urgent should not.",
            Query(f"max by (queue) (canario_waiting_messages{{{_WHOSE}}})", "{{queue}}"),
            needs="a worker",
        ),
        _panel(
            "Messages dealt with",
            "short",
            "A second, by priority and by what became of them.",
            Query(
                f"sum by (priority, outcome) (rate(canario_messages_total{{{_WHOSE}}}[{_RATE}]))",
                "{{priority}} {{outcome}}",
            ),
            needs="a worker",
        ),
        _panel(
            "Workers, and what they hold",
            "short",
            "Workers that are read, and the messages that they have not acknowledged yet.",
            Query(f'count(up{{{_WHOSE}, part="worker"}} == 1)', "workers"),
            Query(f"sum(canario_messages_in_flight{{{_WHOSE}}})", "in flight"),
            Query(f"sum(increase(canario_worker_reconnects_total{{{_WHOSE}}}[{_RATE}]))", "connected again"),
            needs="a worker",
        ),
    ]


def _waits(table: Table) -> list[Panel]:
    """How long messages waited, and what they cost."""

    def quantiles(family: str) -> list[Query]:
        buckets = f"{family}_bucket{{{_WHOSE}}}"
        return [
            Query(
                f"histogram_quantile({share:g}, sum by (le, priority) (rate({buckets}[{_RATE}])))",
                f"{{{{priority}}}} p{share * 100:g}",
            )
            for share in (0.5, 0.99)
        ]

    return [
        _panel(
            "From sent to taken up",
            "s",
            "Half of the messages, and 99 in 100, by priority.",
            *quantiles("canario_message_wait_seconds"),
            needs="messages",
        ),
        _panel(
            "From taken up to acknowledged",
            "s",
            "What a message costs: the ledger, the router, the answer, the broker's confirm.",
            *quantiles("canario_message_seconds"),
            needs="messages",
        ),
        _panel(
            "Urgent messages that were late",
            "percentunit",
            f"The share that waited for more than {table.stream.urgent_wait_seconds:g} s.",
            Query(f"canario:urgent_late_ratio:{table.stream.window}{{{_WHOSE}}}", "late"),
            needs="urgent messages",
        ),
    ]
