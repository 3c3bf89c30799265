"""`canario rollout`: a new version on trial, by a plan that is proved before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from canario.cli.addressing import address_options
from canario.cli.asking import tell_of_the_spec
from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.plans import PlanFlags, cluster_plan, plan_for, plan_options
from canario.cli.preflight import PreflightFlags, PreflightRun, began, drawn, preflight_options
from canario.cli.printing import Output, output_option, print_document, say
from canario.errors import UsageError
from canario.model.address import Address, PlatformKind

if TYPE_CHECKING:
    from canario.model.preflight import Preflight
    from canario.model.rollout import RolloutSpec
    from canario.ports.platform import Progress, Telling

EXAMPLES = [
    "canario rollout fraud:v2",
    "canario rollout fraud:v2 --steps 5,25,100 --minimum-requests 500 --wait",
    "canario rollout fraud:v2 --strategy shadow --dry-run",
    "canario rollout fraud:v2 --plan careful.yaml --approve-each-step",
    "canario rollout fraud:v2 --preflight last-week.parquet --preflight-disagreement-percent 2",
    "canario rollout fraud:v2 --on kubernetes -n models --image registry.example/fraud:v2",
    "canario rollout fraud --on kubernetes -n models --archive fraud/fraud-v2.canario",
]


@click.command("rollout", cls=Documented, examples=EXAMPLES)
@version_argument
@plan_options
@preflight_options
@click.option(
    "--image", default="", metavar="IMAGE", help="In a cluster: the version's image; see above for the usual."
)
@click.option(
    "--archive",
    default="",
    metavar="PLACE",
    help="In a cluster: the version's archive, a path below the volume of spec.archivesClaim or an http(s) address.",
)
@click.option(
    "--wait", is_flag=True, help="Follow it to its end, as `canario watch` does; exit code 3 when it was judged bad."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and prove it; start nothing.")
@output_option
@address_options
def command(**given: Any) -> None:
    """Put a version on trial, judged step by step.

    It is promoted, or thrown back, on evidence; without traffic it holds.

    The plan is bentos/MODEL/rollout.yaml, changed by the flags; without that file, the strategy's default.

    In a cluster the plan is the resource's own, changed by the flags, and the version is an image: the one it was served
    from before, or else the resource's with the version as its tag. With --archive no image is built for it: the one at
    hand serves the archive that `canario export` made.

    With --preflight both versions first answer the rows of a file on this machine, before any traffic is split. When the
    candidate fails rows that stable answers, changes too many answers, or there are too few rows to tell, nothing is
    started and the exit code is 3; `canario report preflight MODEL` shows what was compared.
    """
    from canario.adapters.documents import to_yaml
    from canario.cli.following import conclude, follow
    from canario.cli.progress import working

    asked = _Asked(**given)
    trial = asked.trial()
    flown = _flown(trial, asked.preflight, asked.output)
    if asked.dry_run:
        if flown:
            print_document(asked.output, flown, lambda: drawn(flown))
        else:
            print_document(asked.output, trial.plan, lambda: to_yaml(trial.plan).rstrip())
        say("this plan can be honoured; nothing was started")
        return
    with working(f"starting the rollout of {trial.name}") as tell:
        platform, rollout = trial.start(tell)
    if flown:
        began(flown, rollout)
    if asked.wait:
        conclude(platform, follow(platform, rollout, asked.output))
        return
    status = platform.status()
    print_document(asked.output, status, lambda: f"{rollout} is under way: {trial.name} by {trial.plan.strategy}")
    watch, show = (platform.address.command(f"{verb} {platform.model}") for verb in ("watch", "status"))
    say(f"next: `{watch}` follows it, `{show}` shows it")
    tell_of_the_spec(status)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the command line says."""

    version: str
    flags: PlanFlags
    preflight: PreflightFlags
    image: str
    archive: str
    wait: bool
    dry_run: bool
    output: Output
    address: Address

    def trial(self) -> _LocalTrial | _ClusterTrial:
        """What is tried, and where. Raises UsageError for what cannot be meant, before anything is done."""
        self.preflight.limits()
        if self.address.on is PlatformKind.KUBERNETES:
            return _ClusterTrial(self.address, self.version, self.image, self.archive, self.flags)
        for option, given in (("--image", self.image), ("--archive", self.archive)):
            if given:
                raise UsageError(f"{option} is for clusters", at=option, hint="add --on kubernetes, or leave it out")
        return _LocalTrial(self.version, self.flags)


def _flown(trial: _LocalTrial | _ClusterTrial, flags: PreflightFlags, output: Output) -> Preflight | None:
    """The preflight that was asked for, when it has passed. Raises PreflightFailed otherwise."""
    from canario.cli.progress import working

    if not flags.file:
        return None
    run = PreflightRun(trial.platform(), flags)
    with working(f"comparing {trial.name} with stable on {flags.file}") as tell:
        preflight = run.judge(trial.tag, trial.archive_here, tell)
    run.refuse_unless_passed(preflight, output)
    return preflight


class _LocalTrial:
    """A stored version, tried on this machine."""

    archive_here = ""

    def __init__(self, version: str, flags: PlanFlags) -> None:
        from canario.adapters.versions import find_version

        self._candidate = find_version(version)
        self.name = str(self._candidate.record.name)
        self.tag = self._candidate.record.name.tag
        self._model = self._candidate.record.name.model
        self.plan: RolloutSpec = plan_for(self._model, flags)

    def platform(self) -> Telling:
        """Where it would be tried. Raises NotFound when the model was never up there."""
        from canario.cli.platforms import local_platform

        return local_platform(self._model)

    def start(self, tell: Progress) -> tuple[Telling, str]:
        """Begin the rollout; where it is told of, and its name."""
        from canario.cli.platforms import local_platform

        platform = local_platform(self._model)
        return platform, platform.start_rollout(self.plan, self._candidate, tell)


class _ClusterTrial:
    """An image or an archive, tried in a cluster; that this machine has the version is not needed."""

    def __init__(self, address: Address, version: str, image: str, archive: str, flags: PlanFlags) -> None:
        from canario.cli.platforms import cluster_platform
        from canario.platforms.kubernetes.resource import plan_of, tag_of, version_in_archive

        model, _, tag = version.partition(":")
        self.tag = tag or (version_in_archive(archive, model) if archive else tag_of(image))
        self.name = f"{model}:{self.tag}"
        # A path is one below the cluster's volume: this machine reads addresses only.
        self.archive_here = archive if archive.startswith(("http://", "https://")) else ""
        self._platform = cluster_platform(address, model)
        if not self.tag:
            line = self._platform.address.command(f"rollout {model}:TAG")
            raise UsageError(f"{version} does not say which version", at="VERSION", hint=f"name it: `{line}`")
        own = plan_of(self._platform.spec())
        source = f"modeldeployment/{model}"
        self._flags_plan = cluster_plan(own, source, flags)
        self.plan: RolloutSpec = self._flags_plan or own
        self._image, self._archive = image, archive

    def platform(self) -> Telling:
        """Where it would be tried."""
        return self._platform

    def start(self, tell: Progress) -> tuple[Telling, str]:
        """Begin the rollout; where it is told of, and its name."""
        from canario.cli.platforms import actor

        image = self._image
        if not image and not self._archive:
            image, why = self._platform.image_for(self.tag)
            tell(f"image {image}, {why}")
        rollout = self._platform.start_rollout(
            self._flags_plan, self.tag, image, self._archive, actor=actor(), progress=tell
        )
        return self._platform, rollout
