"""`canario rollout`: a new version on trial, by a plan that is proved before anything starts."""

from __future__ import annotations

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.plans import PlanFlags, plan_options
from canario.cli.printing import Output, output_option, print_document, say

EXAMPLES = [
    "canario rollout fraud:v2",
    "canario rollout fraud:v2 --steps 5,25,100 --minimum-requests 500 --wait",
    "canario rollout fraud:v2 --strategy shadow --dry-run",
    "canario rollout fraud:v2 --plan careful.yaml --approve-each-step",
]


@click.command("rollout", cls=Documented, examples=EXAMPLES)
@version_argument
@plan_options
@click.option(
    "--wait", is_flag=True, help="Follow it to its end, as `canario watch` does; exit code 3 when it was judged bad."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and prove it; start nothing.")
@output_option
def command(*, version: str, flags: PlanFlags, wait: bool, dry_run: bool, output: Output) -> None:
    """Put a version on trial, judged step by step.

    It is promoted, or thrown back, on evidence; without traffic it holds.

    The plan is bentos/MODEL/rollout.yaml, changed by the flags; without that file, the strategy's default.
    """
    from canario.adapters.documents import to_yaml
    from canario.adapters.versions import find_version
    from canario.cli.plans import plan_for
    from canario.cli.progress import working

    candidate = find_version(version)
    name = candidate.record.name
    plan = plan_for(name.model, flags)
    if dry_run:
        print_document(output, plan, lambda: to_yaml(plan).rstrip())
        say("this plan can be honoured; nothing was started")
        return
    from canario.cli.following import conclude, follow
    from canario.cli.platforms import platform_of

    platform = platform_of(name.model)
    with working(f"starting the rollout of {name}") as tell:
        rollout = platform.start_rollout(plan, candidate, tell)
    if wait:
        conclude(name.model, follow(platform, rollout, output))
        return
    status = platform.status()
    print_document(output, status, lambda: f"{rollout} is under way: {name} by {plan.strategy}")
    say(f"next: `canario watch {name.model}` follows it, `canario status {name.model}` shows it")
