"""Messages that wait: urgent ones that are taken up late, queues that nobody empties, and what could not be answered."""

from __future__ import annotations

from canario.model.stream import DEAD, Priority
from canario.monitoring.rule import MODEL, AlertRule, Group, Record, counted, labels
from canario.monitoring.table import Alert, Table

_ON_MODEL = f"on {labels(MODEL)}"
_URGENT = f'priority="{Priority.URGENT}"'
_DEALT_WITH = "canario_messages_total"
_DIED = f'{_DEALT_WITH}{{outcome="{DEAD}"}}'
_QUEUES = "|".join(Priority)


def message_rules(table: Table) -> Group:
    """Urgent messages and how many of them were late; the alerts."""
    stream = table.stream
    taken, late = f"canario:urgent_messages:{stream.window}", f"canario:urgent_late_ratio:{stream.window}"
    in_time = counted(
        f'canario_message_wait_seconds_bucket{{{_URGENT}, le="{float(stream.urgent_wait_seconds)}"}}',
        stream.window,
        MODEL,
    )
    return Group(
        name="canario-messages",
        rules=[
            Record(name=taken, query=counted(f"canario_message_wait_seconds_count{{{_URGENT}}}", stream.window, MODEL)),
            Record(name=late, query=f"1 - {in_time} / ({taken} > 0)"),
            AlertRule(
                alert=Alert.URGENT_MESSAGES_LATE,
                query=f"{late} > {stream.urgent_late_percent / 100:g}\nand {taken} >= {stream.minimum_messages}",
                concern="messages",
                summary="{{ $labels.model }}: urgent messages wait too long",
                description=(
                    f"{{{{ $value | humanizePercentage }}}} of the urgent messages of {{{{ $labels.model }}}} waited for more than "
                    f"{stream.urgent_wait_seconds:g} s in the last {stream.window}."
                ),
            ),
            _stuck(table),
            AlertRule(
                alert=Alert.MESSAGES_DEAD,
                query=f"round({counted(_DIED, stream.dead_window, MODEL)}) >= 1",
                concern="messages-dead",
                summary="{{ $labels.model }}: messages could not be answered",
                description=(
                    f"{{{{ $value | humanize }}}} messages of {{{{ $labels.model }}}} were put with the dead in the last "
                    f"{stream.dead_window}; each has its reason with it."
                ),
            ),
        ],
    )


def _stuck(table: Table) -> AlertRule:
    """What waits in any of the queues by what the workers themselves see, and nothing that any of them has dealt with."""
    after = table.stream.stuck_after
    waiting = (
        f'max by {labels((*MODEL, "queue"))} (min_over_time(canario_waiting_messages{{queue=~"{_QUEUES}"}}[{after}]))'
    )
    return AlertRule(
        alert=Alert.MESSAGES_STUCK,
        query=f"sum by {labels(MODEL)} ({waiting}) > 0\nunless {_ON_MODEL} ({counted(_DEALT_WITH, after, MODEL)} > 0)",
        concern="messages",
        summary="{{ $labels.model }}: messages wait, and none is answered",
        description=(
            f"{{{{ $value | humanize }}}} messages of {{{{ $labels.model }}}} or more have waited for {after}, and its workers have "
            f"answered none."
        ),
    )
