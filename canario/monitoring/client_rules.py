"""What clients were promised: failed and slow answers at the router, how fast they burn the budget, and when that is told."""

from __future__ import annotations

from canario.monitoring.rule import MODEL, AlertRule, Group, Record, counted, labels
from canario.monitoring.table import Alert, Speed, Table, seconds_of
from canario.router.bootstrap import ANSWERS, CLIENTS_STATISTICS, SLOW_ANSWERS
from canario.router.evidence import FAILING_GRPC_CODES

_ANSWERS = f"envoy_{CLIENTS_STATISTICS}_{ANSWERS}"
_SLOW_ANSWERS = f"envoy_{CLIENTS_STATISTICS}_{SLOW_ANSWERS}"
_FAILED = (
    f'{_ANSWERS}{{code=~"5.."}}',
    f'{_ANSWERS}{{code!~"5..", grpc=~"{"|".join(sorted(FAILING_GRPC_CODES, key=int))}"}}',
)
"""A client that left before the answer has no code: it was served neither well nor badly."""


def client_rules(table: Table) -> Group:
    """Requests, failures and slow answers by window; budgets; the alerts about both."""
    windows = sorted({*table.burns.windows, table.traffic.quiet, table.traffic.usual}, key=seconds_of)
    longest = table.burns.windows[-1]
    return Group(
        name="canario-clients",
        rules=[
            *(Record(name=f"canario:answers:{window}", query=counted(_ANSWERS, window, MODEL)) for window in windows),
            *_burns(table, "error", " or ".join(_FAILED)),
            *_burns(table, "slow", _SLOW_ANSWERS),
            Record(name="canario:error_objective:ratio", query=_objective("error", table, longest)),
            Record(name="canario:slow_objective:ratio", query=_objective("slow", table, longest)),
            *(_alert(table, speed) for speed in Speed),
            *(_alert(table, speed, slow=True) for speed in Speed),
        ],
    )


def _burns(table: Table, what: str, selectors: str) -> list[Record]:
    records = []
    for window in table.burns.windows:
        answers, bad = f"canario:answers:{window}", f"canario:{what}_answers:{window}"
        rises = " + ".join(
            f"({counted(selector, window, MODEL)} or 0 * {answers})" for selector in selectors.split(" or ")
        )
        records += [
            Record(name=bad, query=rises),
            Record(name=f"canario:{what}_ratio:{window}", query=f"{bad} / ({answers} > 0)"),
        ]
    return records


def _objective(what: str, table: Table, longest: str) -> str:
    """The card's share, and the table's for models whose servers do not tell one."""
    share = getattr(table.objectives, f"{what}_percent") / 100
    told = f"min by {labels(MODEL)} (canario_objective_{what}_ratio)"
    return f"{told}\nor on {labels(MODEL)} (0 * canario:answers:{longest} + {share:g})"


def _alert(table: Table, speed: Speed, *, slow: bool = False) -> AlertRule:
    what = "slow" if slow else "error"
    burning = [
        f"(\n"
        f"    canario:{what}_ratio:{row.long} / on {labels(MODEL)} canario:{what}_objective:ratio > {row.factor:g}\n"
        f"  and on {labels(MODEL)}\n"
        f"    canario:{what}_ratio:{row.short} / on {labels(MODEL)} canario:{what}_objective:ratio > {row.factor:g}\n"
        f"  and on {labels(MODEL)}\n"
        f"    canario:{what}_answers:{row.long} >= {table.burns.minimum_bad_answers}\n"
        f")"
        for row in table.burns.of(speed)
    ]
    alert = {
        ("error", Speed.FAST): Alert.ERROR_BUDGET_BURNS_FAST,
        ("error", Speed.SLOWLY): Alert.ERROR_BUDGET_BURNS_SLOWLY,
        ("slow", Speed.FAST): Alert.LATENCY_BUDGET_BURNS_FAST,
        ("slow", Speed.SLOWLY): Alert.LATENCY_BUDGET_BURNS_SLOWLY,
    }[what, speed]
    happens, whole = ("answers are too slow", "slow answers") if slow else ("requests fail", "failed requests")
    return AlertRule(
        alert=alert,
        query="\nor\n".join(burning),
        concern="latency" if slow else "availability",
        summary=f"{{{{ $labels.model }}}}: {happens}, and the budget burns {speed}",
        description=(
            f"The budget of {whole} of {{{{ $labels.model }}}} burns {{{{ $value | humanize }}}} times as fast as its "
            f"objective allows; clients see it."
        ),
    )
