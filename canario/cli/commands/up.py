"""`canario up`: a model behind a router on this machine."""

from __future__ import annotations

import click

from canario.cli.addressing import address_options
from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import Output, output_option, print_document, say
from canario.errors import UsageError
from canario.model.address import Address, PlatformKind


@click.command("up", cls=Documented, examples=["canario up fraud", "canario up fraud:v1 --port 9000 --processes 4"])
@version_argument
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Where clients connect.")
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True, help="Servers a version.")
@click.option(
    "--prometheus",
    metavar="URL",
    default="",
    envvar="CANARIO_PROMETHEUS_URL",
    show_envvar=True,
    help="The Prometheus that query gates ask, such as http://127.0.0.1:9090; kept until another is named.",
)
@output_option
@address_options
def command(*, version: str, port: int, processes: int, prometheus: str, output: Output, address: Address) -> None:
    """Bring a model up behind a router.

    A MODEL comes up with the version that was stable last, or else its newest; a VERSION with that one. What is up
    already stays as it is; what a killed supervisor left goes on from where it was. In a cluster all this is for Helm.
    """
    model, _, tag = version.partition(":")
    if address.on is PlatformKind.KUBERNETES:
        line = address.helm(f"install {model} helm/model --set bento={model}:{tag or 'TAG'} --set replicas={processes}")
        raise UsageError(
            "in a cluster Helm brings a model up",
            hint=f"`{line}` does it, with the image that `canario build --image` makes",
        )
    from canario.adapters.versions import find_version
    from canario.cli.progress import working
    from canario.platforms.local.platform import LocalPlatform

    named = find_version(version) if tag else None
    with working(f"bringing {version} up") as tell:
        started = LocalPlatform(model).up(
            named, port=port, processes=processes, prometheus_url=prometheus, progress=tell
        )
    print_document(output, started, lambda: f"{model}:{started.version} answers on {started.url} (REST and gRPC)")
    say(
        f"next: {started.url}/ is its form, `canario status {model}` shows it, `canario rollout {model}:TAG` replaces it"
    )
