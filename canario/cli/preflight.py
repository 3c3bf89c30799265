"""`--preflight FILE` of `canario rollout`: stable and candidate asked the same file first; the comparison itself is the batch room's."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from canario.cli.printing import Output, print_document, say
from canario.errors import Conflict, NotFound, PreflightFailed, UsageError
from canario.model.address import PlatformKind

if TYPE_CHECKING:
    from rich.console import RenderableType

    from canario.adapters.versions import StoredVersion
    from canario.batch.loading import LoadedVersion
    from canario.model.preflight import Preflight, PreflightLimits
    from canario.ports.platform import Telling


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFlags:
    """What the command line says of a preflight."""

    file: str
    """Empty: there is none."""
    disagreement_percent: float | None
    failed_percent: float | None
    class_factor: float | None
    score_distance: float | None

    def limits(self) -> PreflightLimits:
        """The limits, with the usual ones where nothing was said. Raises UsageError."""
        from canario.model.preflight import PreflightLimits
        from canario.quality.preflight import check_limits

        said = {
            "disagreement_percent": self.disagreement_percent,
            "failed_percent": self.failed_percent,
            "class_factor": self.class_factor,
            "score_distance": self.score_distance,
        }
        given = {name: value for name, value in said.items() if value is not None}
        if given and not self.file:
            raise UsageError(
                "a preflight's limits are given, and no file for it",
                at=f"--preflight-{next(iter(given)).replace('_', '-')}",
                hint="add --preflight FILE",
            )
        limits = PreflightLimits(**given)
        check_limits(limits)
        return limits


def preflight_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a preflight, which reach the command as one PreflightFlags named `preflight`."""

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> None:
        flags = PreflightFlags(
            file=arguments.pop("preflight_file"),
            disagreement_percent=arguments.pop("preflight_disagreement_percent"),
            failed_percent=arguments.pop("preflight_failed_percent"),
            class_factor=arguments.pop("preflight_class_factor"),
            score_distance=arguments.pop("preflight_score_distance"),
        )
        command(preflight=flags, **arguments)

    options = (
        click.option(
            "--preflight",
            "preflight_file",
            default="",
            metavar="FILE",
            help="First have stable and candidate answer these rows here (CSV, Parquet, Arrow); start nothing when they differ too much.",
        ),
        click.option(
            "--preflight-disagreement-percent",
            type=float,
            metavar="P",
            help="The largest share of changed answers; 5 when it is left out.",
        ),
        click.option(
            "--preflight-failed-percent",
            type=float,
            metavar="P",
            help="The largest share of rows that stable answers and the candidate does not; 0 when it is left out.",
        ),
        click.option(
            "--preflight-class-factor",
            type=float,
            metavar="F",
            help="How many times more or less often a class may be answered; 2 when it is left out.",
        ),
        click.option(
            "--preflight-score-distance",
            type=float,
            metavar="D",
            help="The largest mean distance of the scores; not judged when it is left out.",
        ),
    )
    for option in reversed(options):
        with_flags = option(with_flags)
    return with_flags


class PreflightRun:
    """One preflight of a candidate against what is stable where the rollout would be."""

    def __init__(self, platform: Telling, flags: PreflightFlags) -> None:
        self._platform = platform
        self._flags = flags
        self._limits = flags.limits()

    def judge(self, candidate: str, archive: str, tell: Callable[[str], None]) -> Preflight:
        """Compare, judge, and write down what came of it. `candidate` is a tag, its archive an http(s) address or empty.

        Raises Conflict when the candidate is stable already, NotFound when one of the versions is not stored here.
        """
        from canario.batch.comparing import compare
        from canario.batch.loading import load_version
        from canario.batch.preflights import keep
        from canario.model.preflight import Preflight
        from canario.quality.preflight import judge_preflight

        model, stable = self._platform.model, self._stable_to_compare(candidate)
        tell(f"loading {model}:{stable} and {model}:{candidate}")
        first = self._loaded(stable)
        second = load_version(f"{model}:{candidate}", archive=archive) if archive else self._loaded(candidate)
        comparison, inputs = compare(first, second, self._flags.file, tell)
        preflight = Preflight(
            at_seconds=time.time(),
            model=model,
            where=self._platform.address.namespace or PlatformKind.LOCAL.value,
            stable=stable,
            candidate=candidate,
            stable_digest=first.digest,
            candidate_digest=second.digest,
            input=self._flags.file,
            inputs=inputs,
            limits=self._limits,
            comparison=comparison,
            verdict=judge_preflight(comparison, self._limits),
        )
        keep(preflight)
        return preflight

    def refuse_unless_passed(self, preflight: Preflight, output: Output) -> None:
        """Raise PreflightFailed unless every limit is kept, with the whole comparison on stdout; Conflict when stable has changed since."""
        from canario.model.verdict import Answer

        model = preflight.model
        if preflight.verdict.answer is not Answer.PASS:
            print_document(output, preflight, lambda: drawn(preflight))
            unlike = "too unlike stable" if preflight.verdict.answer is Answer.FAIL else "not shown to be like stable"
            raise PreflightFailed(
                f"{model}:{preflight.candidate} is {unlike} on {preflight.input}, nothing was started:"
                f" {preflight.verdict.reason}",
                hint=f"`canario report preflight {model}` shows it again; another --preflight-... limit allows more",
            )
        say(f"preflight: passed; {'; '.join(gate.reason for gate in preflight.verdict.gates)}")
        stable = self._platform.status().stable
        if stable != preflight.stable:
            raise Conflict(
                f"{model}:{stable} has become stable since {preflight.stable} was compared",
                hint="run the same command again",
            )

    def _stable_to_compare(self, candidate: str) -> str:
        """What answers by default. Raises Conflict when no rollout of the candidate could begin now."""
        status = self._platform.status()
        model, address = status.model, self._platform.address
        if not status.is_up:
            raise Conflict(f"{model} is not up", hint=f"`{address.command(f'up {model}')}` brings it up")
        if status.rollout is not None:
            raise Conflict(
                f"the rollout of {status.rollout.state.candidate} is under way",
                hint=f"`{address.command(f'status {model}')}` shows it, `{address.command(f'abort {model}')}` ends it",
            )
        if status.stable == candidate:
            raise Conflict(f"{model}:{candidate} is the stable version already", hint="`canario list` shows others")
        return status.stable

    def _loaded(self, tag: str) -> LoadedVersion:
        """A version of this machine's store; a cluster's versions must be brought here."""
        from canario.batch.loading import LoadedVersion

        return LoadedVersion(self._stored(f"{self._platform.model}:{tag}"))

    def _stored(self, name: str) -> StoredVersion:
        from canario.adapters.versions import find_version

        try:
            found = find_version(name)
        except NotFound as missing:
            if self._platform.address.on is PlatformKind.LOCAL:
                raise
            raise NotFound(
                f"{name} is not stored on this machine, where the preflight is made",
                hint=f"`canario export {name}` where it was trained, `canario import FILE` here; or leave --preflight out",
            ) from missing
        if str(found.record.name) != name:
            raise NotFound(f"{name} is not stored here; {found.record.name} is", hint="`canario list` shows all")
        return found


def drawn(preflight: Preflight) -> RenderableType:
    """A preflight as a person reads it: the figures, the answer of each limit, and the rows to look at."""
    from rich.console import Group

    parts: list[RenderableType] = [_figures(preflight), *_rows(preflight)]
    return Group(*parts)


def _figures(preflight: Preflight) -> RenderableType:
    from canario.cli.figures import count, local_time, short_digest
    from canario.cli.printing import pairs

    found, table = preflight.comparison, pairs()
    table.add_row("stable", f"{preflight.model}:{preflight.stable}   {short_digest(preflight.stable_digest)}")
    table.add_row("candidate", f"{preflight.model}:{preflight.candidate}   {short_digest(preflight.candidate_digest)}")
    table.add_row("when", f"{local_time(preflight.at_seconds)}, {preflight.where}")
    cut = "" if found.is_whole else ", not read to its end: the model fails on too many rows"
    table.add_row("input", f"{preflight.input}: {count(found.rows)} rows{cut}")
    table.add_row("compared", f"{count(found.compared)} rows, {count(found.equal)} of them with the very same score")
    table.add_row(
        "changed",
        f"{count(found.changed)}" + "".join(f", {what}: {number:,}" for what, number in found.changes.items()),
    )
    for each in found.classes:
        table.add_row(f"answered {each.name}", f"by stable {each.stable:,}, by the candidate {each.candidate:,} times")
    table.add_row("score distance", f"mean {found.mean_distance:.4g}, largest {found.largest_distance:.4g}")
    failed = (found.only_stable_failed, found.only_candidate_failed, found.both_failed)
    table.add_row("not answered", "by stable only {:,}, by the candidate only {:,}, by neither {:,}".format(*failed))
    for gate in preflight.verdict.gates:
        table.add_row(gate.name.replace("_", " "), f"{gate.answer}: {gate.reason}")
    table.add_row(
        "answer", f"{preflight.verdict.answer}" + (f", began {preflight.rollout}" if preflight.rollout else "")
    )
    return table


def _rows(preflight: Preflight) -> Iterator[RenderableType]:
    from rich.text import Text

    from canario.cli.printing import table

    found = preflight.comparison
    if found.changed_rows:
        changed = table(
            "file", "row", "stable", "candidate", "score", "candidate's", numbers=("row", "score", "candidate's")
        )
        for each in found.changed_rows:
            words = [word if isinstance(word, str) else f"{word:.6g}" for word in (each.stable, each.candidate)]
            changed.add_row(each.file, str(each.row), *words, f"{each.stable_score:.6g}", f"{each.candidate_score:.6g}")
        yield Text("\nCHANGED ANSWERS WHOSE SCORES LIE FURTHEST APART (rows from 0)", style="bold")
        yield changed
    if found.failed_rows:
        failed = table("file", "row", "not answered by", "why", numbers=("row",))
        for each_failed in found.failed_rows:
            failed.add_row(each_failed.file, str(each_failed.row), each_failed.version, each_failed.reason)
        yield Text("\nTHE FIRST ROWS WITHOUT AN ANSWER", style="bold")
        yield failed


def began(preflight: Preflight, rollout: str) -> None:
    """Write down which rollout a preflight let begin; that it cannot be written stops nothing."""
    from dataclasses import replace

    from canario.batch.preflights import keep

    try:
        keep(replace(preflight, rollout=rollout))
    except OSError as failed:
        say(f"the preflight's record does not name the rollout: {failed}")
