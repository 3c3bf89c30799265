"""`canario train`: a new version from a model's room."""

from __future__ import annotations

from datetime import datetime

import click

from canario.cli.documented import Documented
from canario.cli.naming import room_argument
from canario.cli.printing import Output, output_option

DAY = click.DateTime(formats=["%Y-%m-%d"])
SEED = click.IntRange(0, 2**32 - 1)
"""What scikit-learn takes."""
EXAMPLES = [
    "canario train fraud",
    "canario train fraud --estimator random-forest --last-day 2026-06-30 --tag v1",
]


@click.command("train", cls=Documented, examples=EXAMPLES)
@room_argument
@click.option("--estimator", default="", metavar="NAME", help="One of the room's estimators; its first one otherwise.")
@click.option("--first-day", type=DAY, metavar="YYYY-MM-DD", help="The first day of rows; 90 days otherwise.")
@click.option("--last-day", type=DAY, metavar="YYYY-MM-DD", help="The last day of rows; yesterday otherwise.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="The same seed and days give the same version.")
@click.option("--tag", default="", metavar="TAG", help="The version's tag, such as v2; date and digest otherwise.")
@output_option
def command(
    model: str,
    estimator: str,
    first_day: datetime | None,
    last_day: datetime | None,
    seed: int,
    tag: str,
    output: Output,
) -> None:
    """Train a new version of MODEL.

    Its room's earlier rows teach, its later rows judge.
    """
    from canario.cli.progress import working
    from canario.cli.version_view import print_new_version
    from canario.packaging.rooms import load_room
    from canario.packaging.training import TrainingRequest, train

    request = TrainingRequest(
        estimator=estimator,
        first_day=first_day.date() if first_day else None,
        last_day=last_day.date() if last_day else None,
        seed=seed,
        tag=tag,
    )
    with working(f"training {model}"):
        stored = train(load_room(model), request)
    print_new_version(output, stored)
