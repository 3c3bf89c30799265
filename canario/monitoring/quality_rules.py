"""Whether answers have become worse, by the truths that came back, and whether enough of them come back to tell."""

from __future__ import annotations

from canario.monitoring.rule import VERSION, AlertRule, Group, Record, labels, one
from canario.monitoring.table import Alert, Table

ANSWER_RETRAIN = "retrain"
"""The value of an alert's label `answer` that Alertmanager takes to the webhook."""
_MEASURE = (*VERSION, "measure")
_ON_MEASURE = f"on {labels(_MEASURE)}"
_IN_CHARGE = f"and on {labels(VERSION)} {one('canario_stable_info', VERSION)}"


def quality_rules(table: Table) -> Group:
    """Degradation with labels, and labels that no longer come; both of the version that answers by default."""
    quality = table.quality
    coverage = "canario:label_coverage:ratio"
    usual = f"quantile_over_time(0.9, {coverage}[{quality.usual_window}])"
    return Group(
        name="canario-quality",
        rules=[
            Record(name=coverage, query=one("canario_label_coverage_ratio", VERSION)),
            Record(name="canario:working_quality:low", query=_working("low")),
            Record(name="canario:working_quality:value", query=_working("value")),
            Record(name="canario:working_quality:high", query=_working("high")),
            AlertRule(
                alert=Alert.DEGRADATION,
                query=(
                    f"(\n"
                    f'  canario:working_quality:high{{measure!="mean-absolute-error"}}\n'
                    f"    < {_ON_MEASURE} {_reference('low')}\n"
                    f"or\n"
                    f'  canario:working_quality:low{{measure="mean-absolute-error"}}\n'
                    f"    > {_ON_MEASURE} {_reference('high')}\n"
                    f")\n"
                    f"and {_ON_MEASURE} ({one('canario_quality_labels', _MEASURE)} >= {quality.minimum_labels})\n"
                    f"{_IN_CHARGE}"
                ),
                concern="quality",
                summary="{{ $labels.model }}: {{ $labels.version }} is worse than it was when it was trained",
                description=(
                    "With the labels that have come, {{ $labels.measure }} of {{ $labels.model }}:{{ $labels.version }} is "
                    f"{_told('canario:working_quality:value')} (95 % of certainty reaches to {{{{ $value | printf "
                    '"%.3f" }}); when it was trained it was '
                    f"{_told('canario_reference_quality', bound='value')}. It is to be trained again."
                ),
                labels={"answer": ANSWER_RETRAIN},
            ),
            AlertRule(
                alert=Alert.LABELS_MISSING,
                query=f"{coverage} < {quality.coverage_share_of_usual:g} * {usual}\n{_IN_CHARGE}",
                concern="labels",
                summary="{{ $labels.model }}: truths no longer come back as they used to",
                description=(
                    "Only {{ $value | humanizePercentage }} of the predictions of {{ $labels.model }}:{{ $labels.version }} "
                    "that are old enough have a label, far less than usual: nobody would see its answers become worse."
                ),
            ),
        ],
    )


def _working(bound: str) -> str:
    """The measure that a model works by: recall for two classes, else accuracy, else the mean absolute error."""
    quality = one(f'canario_quality{{bound="{bound}", measure=~"recall|accuracy|mean-absolute-error"}}', _MEASURE)
    has_recall = one('canario_quality{measure="recall"}', VERSION)
    chosen = f'{one(f"""canario_quality{{bound="{bound}", measure="recall"}}""", _MEASURE)}'
    return f"{chosen}\nor ({quality} unless on {labels(VERSION)} {has_recall})"


def _reference(bound: str) -> str:
    return one(f'canario_reference_quality{{bound="{bound}"}}', _MEASURE)


def _told(series: str, bound: str = "") -> str:
    """Another figure of the alert's model, version and measure, in a template; "unknown" when there is none."""
    matchers = ",".join(
        [
            *(f"{name}='%s'" for name in _MEASURE),
            *([f"bound='{bound}'"] if bound else []),
        ]
    )
    words = " ".join(f"$labels.{name}" for name in _MEASURE)
    query = f'printf "{series}{{{matchers}}}" {words} | query'
    return f'{{{{ with {query} }}}}{{{{ . | first | value | printf "%.3f" }}}}{{{{ else }}}}unknown{{{{ end }}}}'
