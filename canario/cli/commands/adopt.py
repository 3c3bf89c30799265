"""`canario adopt`: a room and a version from an estimator that somebody has fitted already."""

from __future__ import annotations

from pathlib import Path

import click

from canario.cli.documented import Documented
from canario.cli.printing import Output, output_option

FILE = click.Path(dir_okay=False, path_type=Path)
EXAMPLES = ["canario adopt churn model.joblib --sample customers.csv --label churned"]


@click.command("adopt", cls=Documented, examples=EXAMPLES)
@click.argument("name")
@click.argument("model_file", type=FILE)
@click.option("--sample", type=FILE, required=True, metavar="CSV", help="Rows such as the model will meet, with names.")
@click.option(
    "--label", default="", metavar="COLUMN", help="The column of the sample that holds the truth, to score on."
)
@click.option("--tag", default="", metavar="TAG", help="The version's tag, such as v1; date and digest otherwise.")
@output_option
def command(*, name: str, model_file: Path, sample: Path, label: str, tag: str, output: Output) -> None:
    """Make a version from a fitted estimator.

    The card of model NAME is inferred from the sample, and its room made, unless there is one. Loading the estimator runs the code in its file: know who made it.
    """
    from canario.adapters.homes import rooms_folder
    from canario.cli.printing import say
    from canario.cli.progress import working
    from canario.cli.version_view import print_new_version
    from canario.packaging.adopt import adopt

    with working(f"adopting {model_file.name}"):
        stored = adopt(name, model_file, sample, label=label, tag=tag)
    print_new_version(output, stored)
    say(f"its card is {rooms_folder() / name}/model.yaml: put in titles, units and ranges")
