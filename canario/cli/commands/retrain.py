"""`canario retrain`: a new version from fresh labels, rolled out when it is shown to be better; by hand, or whenever an alert asks."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import room_choice
from canario.cli.printing import Output, output_option, print_document, say
from canario.errors import UsageError
from canario.model.address import Address, PlatformKind
from canario.model.retraining import Outcome, RetrainingRequest, Trigger

if TYPE_CHECKING:
    from canario.packaging.rooms import Room
    from canario.ports.platform import Platform
    from canario.retraining.act import Surroundings
    from canario.retraining.alerts import Call

LISTENING_COOL_DOWN_SECONDS = 6 * 3600.0
PORT = click.IntRange(1, 65_535)
POSITIVE = click.FloatRange(0, min_open=True)

EXAMPLES = [
    "canario retrain fraud",
    "canario retrain fraud --days 30 --wait",
    "canario retrain fraud --dry-run",
    "canario retrain fraud --history",
    "canario retrain --listen 9099 --every 24",
    "canario retrain fraud --on kubernetes -n models",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flags:
    """What the command line says."""

    model: str
    days: float
    estimator: str
    seed: int
    maturity: float | None
    cool_down: float | None
    plan: Path | None
    no_rollout: bool
    reason: str
    wait: bool
    dry_run: bool
    history: bool
    listen: int | None
    models: str
    every: float | None
    trigger: str
    wish: str
    output: Output
    address: Address

    def request(self, maturity_seconds: float) -> RetrainingRequest:
        """What is asked for."""
        return RetrainingRequest(
            trigger=Trigger(self.trigger),
            reason=self.reason or "asked for by hand",
            wish=self.wish,
            days=self.days,
            estimator=self.estimator,
            seed=self.seed,
            cool_down_seconds=self.cool_down or 0.0,
            maturity_seconds=maturity_seconds,
        )


@click.command("retrain", cls=Documented, examples=EXAMPLES)
@room_choice
@click.option("--days", type=POSITIVE, default=90.0, show_default=True, help="How far back answers are learned from.")
@click.option("--estimator", default="", metavar="NAME", help="One of the room's estimators; its first one otherwise.")
@click.option("--seed", default=0, show_default=True, help="The same labels and seed give the same version.")
@click.option(
    "--maturity",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="The age from which an answer's label counts; otherwise as the delays of the labels say.",
)
@click.option(
    "--cool-down",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Do nothing so soon after the last training; 0, and 6 hours with --listen.",
)
@click.option(
    "--plan",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The rollout's plan, in place of the model's own rollout.yaml.",
)
@click.option("--no-rollout", is_flag=True, help="Publish a better version, and roll nothing out.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@click.option("--wait", is_flag=True, help="Follow the rollout to its end; exit code 3 when it was judged bad.")
@click.option("--dry-run", is_flag=True, help="Train and compare; keep nothing.")
@click.option("--history", is_flag=True, help="List the retrainings there have been, newest first; train nothing.")
@click.option(
    "--listen", type=PORT, metavar="PORT", help="Take Alertmanager's webhooks at /alerts on this port until Ctrl-C."
)
@click.option("--models", default="", metavar="A,B", help="With --listen: these and no others.")
@click.option("--every", type=POSITIVE, metavar="HOURS", help="With --listen: also retrain each model this often.")
@click.option(
    "--trigger", type=click.Choice([each.value for each in Trigger]), default="hand", hidden=True, help="Who asks."
)
@click.option("--wish", default="", hidden=True, help="The rollout that asks.")
@output_option
@address_options
def command(**given: Any) -> None:
    """Train a new version of MODEL on fresh labels, and roll it out if it is better.

    What was answered and what turned out to be true become rows: the older ones teach, and by the newest the candidate is
    compared with what the stable version really answered. Only a candidate that is shown to be better becomes a version;
    any other is remembered, and not tried again on the same labels (exit code 3).

    With --listen, whenever an alert with the label answer=retrain fires, a rollout asks for it, or it is time.

    In a cluster the answers come from the database that CANARIO_FEEDBACK_URL names, and the version goes as an archive to
    the folder that CANARIO_ARCHIVES names; the chart's CronJob does just that.
    """
    flags = _Flags(**given)
    if flags.address.on is PlatformKind.KUBERNETES:
        _refuse_what_a_cluster_has_not(flags)
    if flags.listen is not None:
        _listen(flags, flags.listen)
        return
    if flags.models or flags.every:
        raise click.UsageError("--models and --every need --listen")
    if not flags.model:
        raise click.UsageError("say which model, or --listen PORT")
    if flags.history:
        _tell_history(flags)
    elif flags.dry_run:
        _rehearse(flags)
    else:
        _retrain(flags)


def _retrain(flags: _Flags) -> None:
    from canario.cli.following import conclude, until_it_ends
    from canario.cli.progress import working
    from canario.cli.retraining import conclude_retraining, drawn, present_maturity
    from canario.cli.status_view import past_words
    from canario.packaging.rooms import load_room
    from canario.retraining.act import retrain

    room = load_room(flags.model)
    request = flags.request(present_maturity(room, flags.maturity, flags.address))
    with working(f"retraining {room.name}") as tell:
        platform, around = _surroundings(flags, room, tell, rolls_out=not flags.no_rollout)
        done = retrain(room, request, around, tell)
    past = until_it_ends(platform, done.rollout, flags.output) if flags.wait and done.rollout else None
    print_document(flags.output, done, lambda: drawn(done))
    if flags.trigger != Trigger.HAND.value and done.outcome in (Outcome.REJECTED, Outcome.REFUSED):
        say(done.reason)  # nobody waits for an exit code, and a Job that found nothing to do has not failed
        return
    conclude_retraining(done)
    if past is not None:
        say(past_words(past))
        conclude(platform, past)
    elif done.outcome is Outcome.ROLLED_OUT:
        say(f"next: `{flags.address.command(f'watch {room.name}')}` follows {done.rollout}")
    else:
        say(f"next: `{flags.address.command(f'rollout {room.name}:{done.candidate}')}` puts it on trial")


def _surroundings(
    flags: _Flags, room: Room, tell: Callable[[str], None], *, rolls_out: bool
) -> tuple[Platform, Surroundings]:
    """Where the model is, and what a retraining there works with."""
    from canario.cli.platforms import cluster_platform, local_platform
    from canario.cli.retraining import local_surroundings

    if flags.address.on is PlatformKind.LOCAL:
        here = local_platform(room.name)
        return here, local_surroundings(room, here, flags.plan, tell, rolls_out=rolls_out)
    from canario.platforms.kubernetes.retraining import cluster_surroundings

    there = cluster_platform(flags.address, room.name)
    return there, cluster_surroundings(there, room, wants_rollout=rolls_out, reason=flags.reason)


def _refuse_what_a_cluster_has_not(flags: _Flags) -> None:
    for option, given, instead in (
        ("--listen", flags.listen is not None, "the controller takes alerts there: `retraining.enabled` of its chart"),
        ("--plan", flags.plan is not None, "the plan is the resource's own"),
    ):
        if given:
            raise UsageError(f"{option} is for this machine", at=option, hint=f"leave it out: {instead}")


def _rehearse(flags: _Flags) -> None:
    from canario.cli.progress import working
    from canario.cli.retraining import present_maturity
    from canario.errors import Conflict
    from canario.packaging.rooms import load_room
    from canario.retraining.act import rehearse

    room = load_room(flags.model)
    request = flags.request(present_maturity(room, flags.maturity, flags.address))
    with working(f"retraining {room.name}") as tell:
        _, around = _surroundings(flags, room, tell, rolls_out=False)
        found = rehearse(room, request, around, tell)
    if isinstance(found, str):
        raise Conflict(f"nothing was trained: {found}", hint=f"`canario retrain {room.name} --history` shows what was")
    print_document(flags.output, found, lambda: found.reason)
    say(f"nothing was kept; it would be {'published' if found.is_better else 'rejected'}")


def _tell_history(flags: _Flags) -> None:
    from canario.cli.retraining import history_table, record_of

    record = record_of(flags.model, flags.address)
    past = record.all()
    if past or flags.output == "json":
        is_under_way = record.is_under_way()
        print_document(flags.output, past[::-1], lambda: history_table(past, is_under_way=is_under_way))
    else:
        say(f"{flags.model} has not been retrained yet; `canario retrain {flags.model}` does it")


def _listen(flags: _Flags, port: int) -> None:
    from canario.retraining.listening import Listener

    if flags.model or flags.history or flags.dry_run or flags.wait:
        raise click.UsageError("with --listen, models are named by --models, and nothing is waited for")
    only = [name.strip() for name in flags.models.split(",") if name.strip()]
    listener = Listener(
        models=lambda: [name for name in _models_here() if not only or name in only],
        command=lambda call: _command_for(call, flags),
        every_seconds=flags.every * 3600 if flags.every else None,
        tell=say,
    )
    signal.signal(signal.SIGTERM, lambda _number, _frame: listener.end())
    say(f"taking alerts at http://127.0.0.1:{port}/alerts; Ctrl-C ends it")
    try:
        listener.run(port)
    except OSError as failed:
        raise UsageError(
            f"port {port} cannot be listened on: {failed.strerror}", at="--listen", hint="choose another port"
        ) from failed


def _models_here() -> list[str]:
    """The models that are up here and have a room that can train."""
    from canario.cli.platforms import HERE, all_statuses
    from canario.packaging.rooms import room_names

    rooms = set(room_names())
    return [status.model for _, status in all_statuses(HERE) if status.model in rooms]


def _command_for(call: Call, flags: _Flags) -> Sequence[str]:
    """A process of its own for one retraining."""
    cool_down = LISTENING_COOL_DOWN_SECONDS if flags.cool_down is None else flags.cool_down
    words = [
        *(sys.executable, "-c", "from canario.cli.main import main; main()", "retrain", call.model),
        *("--trigger", call.trigger.value, "--wish", call.wish, "--reason", call.reason),
        *("--days", str(flags.days), "--seed", str(flags.seed), "--cool-down", str(cool_down)),
    ]
    if flags.estimator:
        words += ["--estimator", flags.estimator]
    if flags.maturity is not None:
        words += ["--maturity", str(flags.maturity)]
    if flags.plan is not None:
        words += ["--plan", str(flags.plan)]
    return [*words, "--no-rollout"] if flags.no_rollout else words
