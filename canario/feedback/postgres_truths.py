"""Late truths in PostgreSQL, as every server of every pod writes them; joining them is for postgres_history.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from canario.feedback.postgres import Connection, PostgresDatabase, value_of, word_and_number
from canario.feedback.store import checked_truth
from canario.model.feedback import Feedback, Received


class PostgresTruths:
    """The truths of one model. Opens its connection with the first use."""

    def __init__(self, url: str, model: str) -> None:
        self._database = PostgresDatabase(url)
        self._model = model

    def add(self, feedback: Feedback) -> Received:
        """Keep a truth; it is on the database's disk when this returns. The same truth may be sent any number of times.

        Raises InputError when the truth is a number that is not finite, Unavailable when it cannot be kept now.
        """
        return self.add_many([feedback])[0]

    def add_many(self, feedback: Sequence[Feedback]) -> list[Received]:
        """The same of many, all or none: what each of them was, in their order. Raises as `add` does."""
        truths = [checked_truth(each) for each in feedback]

        def write(connection: Connection) -> list[Received]:
            received: dict[int, Received] = {}
            for places in _rounds(feedback):
                sent = {feedback[place].prediction: (truths[place], feedback[place].at_seconds) for place in places}
                found = _add(connection, self._model, sent)
                received |= {place: found[feedback[place].prediction] for place in places}
            return [received[place] for place in range(len(feedback))]

        return self._database.run(write)

    def close(self) -> None:
        """Let go of the connection; a later use would open it again."""
        self._database.close()


def _rounds(feedback: Sequence[Feedback]) -> Iterator[list[int]]:
    """Places, so that each round has every prediction once and the truths of one prediction keep their order."""
    rounds: defaultdict[int, list[int]] = defaultdict(list)
    seen: defaultdict[str, int] = defaultdict(int)
    for place, each in enumerate(feedback):
        rounds[seen[each.prediction]].append(place)
        seen[each.prediction] += 1
    for number in range(len(rounds)):
        yield rounds[number]


def _add(connection: Connection, model: str, sent: Mapping[str, tuple[str | float, float]]) -> dict[str, Received]:
    # Everybody locks in one order, so that two writers of the same truths wait for each other instead of clashing.
    names = sorted(sent)
    words, numbers = zip(*(word_and_number(sent[name][0]) for name in names), strict=True)
    times = [sent[name][1] for name in names]
    added = connection.execute(
        "INSERT INTO truths (model, prediction, word, number, at_seconds, first_word, first_number, first_at_seconds)"
        " SELECT %s, prediction, word, number, at_seconds, word, number, at_seconds"
        " FROM unnest(%s::text[], %s::text[], %s::float8[], %s::float8[]) AS sent (prediction, word, number, at_seconds)"
        ' ORDER BY prediction COLLATE "C" ON CONFLICT DO NOTHING RETURNING prediction',
        (model, names, list(words), list(numbers), times),
    )
    received = {str(prediction): Received.NEW for (prediction,) in added}
    known = connection.execute(
        "SELECT prediction, revision, word, number, at_seconds FROM truths WHERE model = %s AND prediction = ANY(%s)"
        ' ORDER BY prediction COLLATE "C" FOR UPDATE',
        (model, [name for name in names if name not in received]),
    ).fetchall()
    changed = [row for row in known if value_of(row[2], row[3]) != sent[row[0]][0]]
    received |= {row[0]: Received.REPEATED for row in known} | {row[0]: Received.CHANGED for row in changed}
    if changed:
        _change(connection, model, sent, changed)
    return received


def _change(
    connection: Connection,
    model: str,
    sent: Mapping[str, tuple[str | float, float]],
    changed: Sequence[tuple[str, int, str | None, float | None, float]],
) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO earlier_truths VALUES (%s, %s, %s, %s, %s, %s)", [(model, *row) for row in changed]
        )
        cursor.executemany(
            "UPDATE truths SET revision = revision + 1, word = %s, number = %s, at_seconds = %s, look_at_seconds = 0, looks = 0"
            " WHERE model = %s AND prediction = %s",
            [(*word_and_number(sent[row[0]][0]), sent[row[0]][1], model, row[0]) for row in changed],
        )
