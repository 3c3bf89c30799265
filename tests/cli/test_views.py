"""What people read: figures, the status page, the live page, drawn from nouns as a platform gives them."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from canario.cli import figures
from canario.cli.following import conclude
from canario.cli.status_view import live_page, next_commands, status_page
from canario.errors import CanarioError, RolledBack
from canario.model.deployment import PastRollout, Rollout, ServerStatus, Status
from canario.model.evidence import Evidence
from canario.model.journal import JournalEntry
from canario.model.resource_status import BatchRunStatus, BatchStatus
from canario.model.rollout import Gate, GateKind, Phase, RolloutSpec, RolloutState, Step, StrategyKind
from canario.model.split import Split
from canario.model.verdict import Answer, GateVerdict, Method, Verdict
from canario.platforms.local.platform import LocalPlatform

NOW = 1_700_000_000.0
SPEC = RolloutSpec(
    steps=(Step(weight_percent=10, minimum_requests=1500), Step(weight_percent=100)),
    gates=(Gate(kind=GateKind.ERRORS), Gate(kind=GateKind.WRONG_LABELS, blocking=False)),
)
STATE = RolloutState(
    rollout="fraud-0003",
    stable="v1",
    candidate="v2",
    phase=Phase.STEPPING,
    asked=Split(stable="v1", candidate="v2", weight_percent=10),
    phase_since_seconds=NOW - 192,
    reason="v2 is ready (2 of 2 servers); v2 gets 10 % of the requests",
)
VERDICT = Verdict(
    answer=Answer.UNKNOWN,
    gates=(
        GateVerdict(
            gate=GateKind.ERRORS,
            answer=Answer.UNKNOWN,
            method=Method.SEQUENTIAL,
            reason="errors: v2 1 of 40 (2.5 %), v1 3 of 360 (0.83 %); at most 9.1 points worse, and the margin is 1 point",
            requests_needed=1260,
        ),
        GateVerdict(
            gate=GateKind.WRONG_LABELS,
            answer=Answer.UNKNOWN,
            method=Method.NONE,
            reason="wrong-labels: v2 none, v1 none",
            requests_needed=266,
        ),
    ),
)
STATUS = Status(
    model="fraud",
    is_up=True,
    url="http://127.0.0.1:8080",
    stable="v1",
    is_supervised=True,
    processes=2,
    asked=STATE.asked,
    actual=Split(stable="v1"),
    servers=tuple(
        ServerStatus(version=version, slot=slot, stage=stage, pid=1, http_port=1, grpc_port=2, restarts=restarts)
        for version, slot, stage, restarts in (
            ("v1", 0, "ready", 1),
            ("v1", 1, "ready", 2),
            ("v2", 0, "ready", 0),
            ("v2", 1, "cold", 0),
        )
    ),
    rollout=Rollout(spec=SPEC, state=STATE),
    verdict=VERDICT,
)
PAST = PastRollout(
    rollout="fraud-0002",
    strategy=StrategyKind.CANARY,
    stable="v0",
    candidate="v1",
    phase=Phase.PROMOTED,
    reason="promoted: as asked",
    started_at_seconds=NOW - 900,
    ended_at_seconds=NOW - 600,
)


def drawn(page: RenderableType, *, width: int = 160, colour: bool = False) -> str:
    """A page as a terminal of that width shows it, without spaces at the ends of lines."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    with console.capture() as captured:
        console.print(page)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def test_the_status_of_a_running_rollout_answers_every_question() -> None:
    """Who answers, with what share asked and actual, how many servers, which step, what each gate says and needs, why, what next."""
    assert drawn(status_page(STATUS, NOW)) == (
        "model     fraud\n"
        "url       http://127.0.0.1:8080 (REST and gRPC)\n"
        "rollout   fraud-0003, canary\n"
        "phase     stepping, for 3m12s\n"
        "step      1 of 2, 10 %, 1,500 requests\n"
        "\n"
        "VERSION   ROLE        ASKED   ACTUAL   SERVERS\n"
        "v1        stable      90 %    100 %    2 ready, restarts: 3\n"
        "v2        candidate   10 %    0 %      1 ready, 1 cold\n"
        "\n"
        "GATE           ANSWER    NEEDS              WHY\n"
        "errors         unknown   about 1,260 more   v2 1 of 40 (2.5 %), v1 3 of 360 (0.83 %); at most 9.1 points worse, and the margin is 1 point\n"
        "wrong-labels   unknown   not waited for     v2 none, v1 none\n"
        "\n"
        "why    v2 is ready (2 of 2 servers); v2 gets 10 % of the requests\n"
        "next   canario watch fraud\n"
        "       canario pause fraud\n"
        "       canario abort fraud"
    )


def test_rows_on_a_schedule_stand_below_the_versions() -> None:
    """Each schedule with its last run: with which version, how many partitions are done, which failed, and what a run takes now."""
    run = BatchRunStatus(
        job="fraud-score-weekly-now",
        version="v1",
        phase="failed",
        indexes=8,
        completed=7,
        failed=1,
        completed_indexes="0-2,4-7",
        failed_indexes="3",
    )
    weekly = BatchStatus(name="weekly", cron_job="fraud-score-weekly", version="v2", runs=(run,))
    page = drawn(status_page(replace(STATUS, batch=(weekly, replace(weekly, name="daily", runs=()))), NOW))
    assert (
        "BATCH    LAST RUN                 VERSION   PHASE    DONE     FAILED   NEXT TAKES\n"
        "weekly   fraud-score-weekly-now   v1        failed   7 of 8   3        v2\n"
        "daily    none yet                 -         -        -        -        v2\n"
    ) in page


def test_the_status_of_a_model_at_rest_is_short() -> None:
    """Without a rollout: who answers, how the last rollout ended, what can be done."""
    rest = replace(STATUS, rollout=None, verdict=None, asked=Split(stable="v1"), servers=(), past=(PAST,))
    page = drawn(status_page(rest, NOW))
    assert "last rollout   fraud-0002: v1 over v0, promoted" in page
    assert "v1        stable   100 %   100 %    none" in page
    assert page.splitlines()[-3:] == [
        "next   canario rollout fraud",
        "       canario rollback fraud",
        "       canario down fraud",
    ]


def test_a_missing_supervisor_and_an_unreadable_router_are_told() -> None:
    """Without a supervisor `status` says that nothing is decided and how to start it; a split that cannot be read is unknown."""
    alone = replace(STATUS, is_supervised=False, actual=None, verdict=None)
    page = drawn(status_page(alone, NOW))
    assert "supervisor   not running: the router goes on with the last split, and nothing is decided" in page
    assert "v2        candidate   10 %    unknown" in page
    assert page.splitlines()[-1] == "next   canario up fraud"


def test_a_model_that_is_down_says_so() -> None:
    """A model that was taken down shows no servers and the command that brings it up."""
    down = replace(STATUS, is_up=False, is_supervised=False, rollout=None, servers=())
    assert drawn(status_page(down, NOW)) == "model   fraud\nurl     not up\n\nnext   canario up fraud"


@pytest.mark.parametrize(
    ("phase", "commands"),
    [
        (Phase.STARTING, ["watch", "pause", "abort"]),
        (Phase.STEPPING, ["watch", "pause", "abort"]),
        (Phase.PAUSED, ["resume", "promote", "abort"]),
        (Phase.WATCHING, ["watch", "abort"]),
        (Phase.RETURNING, ["watch"]),
        (Phase.FINISHING, ["watch"]),
    ],
)
def test_the_next_commands_fit_the_phase(phase: Phase, commands: list[str]) -> None:
    """In every phase of a rollout only commands are offered that the phase obeys."""
    state = replace(STATE, phase=phase)
    offered = next_commands(replace(STATUS, rollout=Rollout(spec=SPEC, state=state)))
    assert list(offered) == [f"canario {command} fraud" for command in commands]


def test_approval_is_offered_first_where_it_is_waited_for() -> None:
    """A step that needs a person says so, and once approved no longer."""
    spec = replace(SPEC, steps=(replace(SPEC.steps[0], approval=True), SPEC.steps[1]))
    waiting = replace(STATUS, rollout=Rollout(spec=spec, state=STATE))
    assert "10 %, 1,500 requests, needs `canario promote`" in drawn(status_page(waiting, NOW))
    assert next_commands(waiting)[0] == "canario promote fraud"
    approved = replace(STATUS, rollout=Rollout(spec=spec, state=replace(STATE, approved=True)))
    assert "10 %, 1,500 requests, approved" in drawn(status_page(approved, NOW))
    assert next_commands(approved)[0] == "canario watch fraud"


def test_shadow_copies_are_not_called_a_weight() -> None:
    """A shadow's candidate gets copies, and the page says how many."""
    split = Split(stable="v1", candidate="v2", shadow_percent=50)
    page = drawn(status_page(replace(STATUS, asked=split, actual=split), NOW))
    assert "v1        stable      100 %         100 %" in page
    assert "v2        candidate   50 % copied   50 % copied" in page


def test_the_live_page_keeps_a_moment_to_a_line() -> None:
    """The last decisions stand below the status, a line each however long the reason, so that the page stays calm."""
    entry = JournalEntry(
        number=1,
        at_seconds=NOW,
        spec=SPEC,
        state=STATE,
        evidence=Evidence(),
        verdict=VERDICT,
        orders=(),
        after=replace(STATE, reason="a long reason " * 30),
    )
    lines = drawn(live_page(STATUS, [entry] * 20, NOW), width=100).splitlines()
    heading = next(number for number, line in enumerate(lines) if line.startswith("TIME"))
    assert lines[heading].split() == ["TIME", "PHASE", "WEIGHT", "VERDICT", "WHY"]
    assert len(lines[heading + 1 :]) == 6
    assert all(figures.clock_time(NOW) in line and line.endswith("…") for line in lines[heading + 1 :])


def test_colour_says_nothing_that_words_do_not_say() -> None:
    """The page with colours and the page without hold the same words."""
    coloured = drawn(status_page(STATUS, NOW), colour=True)
    assert "\x1b[33munknown" in coloured
    assert (
        Console(width=160).render_str(drawn(status_page(STATUS, NOW))).plain.split() == _without_codes(coloured).split()
    )


def _without_codes(text: str) -> str:
    from rich.text import Text

    return Text.from_ansi(text).plain


@pytest.mark.parametrize(
    ("reason", "error"),
    [("rolled back: errors: v2 9 of 10", RolledBack), ("aborted by ana: too late", CanarioError)],
)
def test_only_a_judgement_ends_with_3(reason: str, error: type[CanarioError]) -> None:
    """A version that the judge threw back is exit code 3, one that a person took back is 1."""
    with pytest.raises(CanarioError) as raised:
        conclude(LocalPlatform("fraud"), replace(PAST, phase=Phase.ROLLED_BACK, reason=reason))
    assert type(raised.value) is error
    conclude(LocalPlatform("fraud"), PAST)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0s"), (0.25, "0.2s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (7505, "2h05m"), (200_000, "2d")],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    """A duration is as exact as a person needs it."""
    assert figures.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.91349, "0.913"), (0.00444, "0.00444"), (1234.5, "1,234"), (20000, "20,000"), (float("nan"), "-"), (12, "12")],
)
def test_figures_have_three_digits(value: float, words: str) -> None:
    """A measured value has the digits that are worth comparing."""
    assert figures.figure(value) == words
