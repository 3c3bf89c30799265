"""Whether inputs and scores have moved away from the reference, computed over all servers of a version as one.

The figures are those of canario.drift: PSI on the reference's bins with half a row added to each, and a limit that knows
how many rows there were. Which quantile is a column's part of the budget of false alarms is told by the servers.
"""

from __future__ import annotations

from collections.abc import Sequence

from canario.monitoring.rule import VERSION, AlertRule, Group, Record, counted, labels, one
from canario.monitoring.table import Alert, Table

COLUMN = (*VERSION, "column")
_SCORE_BINS = (*VERSION, "bin", "answer")
_ANSWERED_AS_POSITIVE = '{answer="positive"}'
_ROW_ADDED_TO_EACH_BIN = 0.5
_NOVEL_AT_REFERENCE = one("canario_column_reference_novel_rows", COLUMN)
_JUDGED_AT_REFERENCE = one("canario_column_reference_judged_rows", COLUMN)
_NEARLY_NONE = "1e-9"
"""In place of 0 rows within a logarithm that is multiplied by 0."""


def drift_rules(table: Table) -> Group:
    """Shares, PSI and limits of columns and scores; words that are new; recall estimated without labels; alerts."""
    windows = table.drift.windows
    return Group(
        name="canario-drift",
        rules=[
            *_references("column", COLUMN),
            *_references("score", VERSION),
            Record(
                name="canario:reference_recall:ratio",
                query=_share_answered_as_positive("canario_score_reference_positives"),
            ),
            Record(
                name="canario:column_novel_limit:ratio",
                query=f"{_NOVEL_AT_REFERENCE} / {_JUDGED_AT_REFERENCE} + {table.drift.material_novel_ratio:g}",
            ),
            *(rule for window in windows for rule in _psi("column", COLUMN, window, table)),
            *(rule for window in windows for rule in _psi("score", VERSION, window, table)),
            *(rule for window in windows for rule in _novelty(window, table)),
            *(rule for window in windows for rule in _estimated_recall(window)),
            _input_drift(windows),
            _score_drift(windows),
            _estimated_degradation(table),
        ],
    )


def _beyond(series: str, limit: str, windows: Sequence[str]) -> str:
    """What has passed its limit over any of the windows; the shortest of them is told."""
    return "\n  or ".join(f"{series}:{window} > {limit}:{window}" for window in windows)


def _input_drift(windows: Sequence[str]) -> AlertRule:
    """One alert a column and detector, whatever the window."""
    psi = _beyond("canario:column_psi", "canario:column_psi_limit", windows)
    novelty = "\n  or ".join(
        f"(canario:column_novel_ratio:{window} > canario:column_novel_limit:ratio and\n"
        f"      canario:column_novel_evidence:{window} > {one('canario_column_novelty_evidence_limit', COLUMN)})"
        for window in windows
    )
    return AlertRule(
        alert=Alert.INPUT_DRIFT,
        query=(
            f'label_replace(\n  {psi},\n  "detector", "psi", "", ""\n)\nor\n'
            f'label_replace(\n  {novelty},\n  "detector", "novelty", "", ""\n)'
        ),
        concern="inputs",
        summary="{{ $labels.model }}: {{ $labels.column }} is no longer what {{ $labels.version }} was trained on",
        description=(
            '{{ if eq $labels.detector "novelty" }}{{ $value | humanizePercentage }} of the rows hold a word in '
            "{{ $labels.column }} that no training row held: more than at the reference, and more than chance."
            '{{ else }}The PSI of {{ $labels.column }} is {{ $value | printf "%.3f" }}: more than matters, and more than '
            "chance.{{ end }}"
        ),
    )


def _score_drift(windows: Sequence[str]) -> AlertRule:
    return AlertRule(
        alert=Alert.SCORE_DRIFT,
        query=_beyond("canario:score_psi", "canario:score_psi_limit", windows),
        concern="inputs",
        summary="{{ $labels.model }}: the scores of {{ $labels.version }} have moved",
        description='The PSI of its scores is {{ $value | printf "%.3f" }}: more than matters, and more than chance.',
    )


def _estimated_degradation(table: Table) -> AlertRule:
    quality = table.quality
    return AlertRule(
        alert=Alert.ESTIMATED_DEGRADATION,
        query="\nor\n".join(
            f"(\n"
            f"    canario:estimated_recall:{window} < canario:reference_recall:ratio - {quality.estimated_recall_drop:g}\n"
            f"  and\n"
            f"    sum by {labels(VERSION)} (canario:expected_positives:{window}) >= {quality.estimated_minimum_positives:g}\n"
            f"  and\n"
            f"    sum by {labels(VERSION)} (canario:score_rows:{window}) >= {table.drift.minimum_rows}\n"
            f")"
            for window in table.drift.windows
        ),
        concern="quality",
        summary="{{ $labels.model }}: {{ $labels.version }} probably finds fewer of what it is for",
        description=(
            "By its own scores, and before any label has come, {{ $labels.model }}:{{ $labels.version }} finds "
            "{{ $value | humanizePercentage }} of the positives, "
            f"more than {quality.estimated_recall_drop * 100:g} points less than at the reference."
        ),
    )


def _references(what: str, by: Sequence[str]) -> list[Record]:
    """The bins are the reference's; what falls into none of them is the servers' affair."""
    reference, bins = f"canario:{what}_reference_rows:count", (*by, "bin")
    added = f"{_ROW_ADDED_TO_EACH_BIN:g}"
    return [
        Record(
            name=reference,
            query=f"sum by {labels(bins)} ({one(f'canario_{what}_reference_rows', _bins(what, by))})",
        ),
        Record(
            name=f"canario:{what}_reference_share:ratio",
            query=(
                f"({reference} + {added})\n/ on {labels(by)} group_left ()\n"
                f"(sum by {labels(by)} ({reference}) + {added} * count by {labels(by)} ({reference}))"
            ),
        ),
    ]


def _bins(what: str, by: Sequence[str]) -> tuple[str, ...]:
    """The labels of the servers' own counters."""
    return (*by, "bin") if what == "column" else _SCORE_BINS


def _psi(what: str, by: Sequence[str], window: str, table: Table) -> list[Record]:
    """How far the shares of the bins lie from the reference's, and how far they may."""
    bins, added = (*by, "bin"), f"{_ROW_ADDED_TO_EACH_BIN:g}"
    rows, reference = f"canario:{what}_rows:{window}", f"canario:{what}_reference_rows:count"
    share, its_share = f"canario:{what}_share:{window}", f"canario:{what}_reference_share:ratio"
    total = f"sum by {labels(by)} ({rows})"
    return [
        Record(name=rows, query=counted(f"canario_{what}_rows_total", window, _bins(what, by))),
        Record(
            name=share,
            query=(
                f"(sum by {labels(bins)} ({rows}) + {added})\n/ on {labels(by)} group_left ()\n"
                f"(({total} >= {table.drift.minimum_rows}) + {added} * count by {labels(by)} ({reference}))"
            ),
        ),
        Record(
            name=f"canario:{what}_psi:{window}",
            query=f"sum by {labels(by)} (({share} - {its_share}) * ln({share} / {its_share}))",
        ),
        Record(
            name=f"canario:{what}_psi_limit:{window}",
            query=(
                f"clamp_min(\n"
                f"  (1 / ({total} > 0) + 1 / sum by {labels(by)} ({reference}))\n"
                f"    * {one(f'canario_{what}_drift_quantile', by)},\n"
                f"  {table.drift.material_psi:g}\n"
                f")"
            ),
        ),
    ]


def _novelty(window: str, table: Table) -> list[Record]:
    """Words that no training row held: their share of the rows, and how strongly it speaks for more of them than before.

    The evidence is that of canario.drift.novelty: exact for one novel row as for thousands.
    """
    k, rk, m = f"canario:column_novel_rows:{window}", _NOVEL_AT_REFERENCE, _JUDGED_AT_REFERENCE
    n = f"sum by {labels(COLUMN)} (canario:column_rows:{window})"
    ours = f"({n} / ({n} + {m}))"
    return [
        Record(name=k, query=counted("canario_column_novel_rows_total", window, COLUMN)),
        Record(name=f"canario:column_novel_ratio:{window}", query=f"{k} / ({n} >= {table.drift.minimum_rows})"),
        Record(
            name=f"canario:column_novel_evidence:{window}",
            query=(
                f"(\n"
                f"    {k} * ln(clamp_min({k}, {_NEARLY_NONE}) / (({k} + {rk} > 0) * {ours}))\n"
                f"  + {rk} * ln(clamp_min({rk}, {_NEARLY_NONE}) / (({k} + {rk} > 0) * (1 - {ours})))\n"
                f")\n"
                f"and {k} * {m} > {rk} * {n}"
            ),
        ),
    ]


def _estimated_recall(window: str) -> list[Record]:
    """In each bin of the scores so many positives are expected as were among the reference's rows of that bin.

    It holds while what a score means stays the same: for inputs that move, not for a truth that changes.
    """
    expected = f"canario:expected_positives:{window}"
    share = (
        f"{one('canario_score_reference_positives', _SCORE_BINS)}\n"
        f"    / clamp_min({one('canario_score_reference_rows', _SCORE_BINS)}, 1)"
    )
    return [
        Record(
            name=expected,
            query=(
                f"sum by {labels((*VERSION, 'answer'))} (\n"
                f"  canario:score_rows:{window} * on {labels(_SCORE_BINS)} (\n    {share}\n  )\n)"
            ),
        ),
        Record(name=f"canario:estimated_recall:{window}", query=_share_answered_as_positive(expected)),
    ]


def _share_answered_as_positive(series: str) -> str:
    """Recall: of the positives, those that are in bins that are answered as positive."""
    found, all_of_them = (
        f"sum by {labels(VERSION)} ({one(f'{series}{which}', _SCORE_BINS)})" for which in (_ANSWERED_AS_POSITIVE, "")
    )
    return f"{found}\n/ ({all_of_them} > 0)"
