"""The flags that say what a command speaks to: --on, --context and --namespace, or --broker; reaching it is for others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from canario.cli.program import program_of
from canario.model.address import Address, PlatformKind

broker_option = click.option(
    "--broker",
    metavar="URL",
    envvar="CANARIO_BROKER_URL",
    show_envvar=True,
    help="Where messages are: amqp://..., amqps://... or sqlite:PATH; a file of this machine otherwise.",
)
"""Reaches the command as `broker`; None: nothing was said."""


class _PlatformOption(click.Option):
    """`--on`, of which kubectl's users need not hear."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line in the help, for who has a choice."""
        return None if program_of(ctx).is_plugin else super().get_help_record(ctx)


def address_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of an address, which reach the command as one Address named `address`."""

    @functools.wraps(command)
    def with_address(*, on: str, context: str, namespace: str, **arguments: Any) -> None:
        command(address=_address(click.get_current_context(), on, context, namespace), **arguments)

    options = (
        click.option(
            "--on",
            cls=_PlatformOption,
            type=click.Choice([kind.value for kind in PlatformKind]),
            default=PlatformKind.LOCAL.value,
            envvar="CANARIO_ON",
            show_default=True,
            show_envvar=True,
            help="Where the model runs: on this machine, or in a cluster.",
        ),
        click.option(
            "--context",
            default="",
            metavar="NAME",
            envvar="CANARIO_CONTEXT",
            show_envvar=True,
            help="The cluster, as the kubeconfig names it; its current one otherwise.",
        ),
        click.option(
            "--namespace",
            "-n",
            default="",
            metavar="NAME",
            envvar="CANARIO_NAMESPACE",
            show_envvar=True,
            help="The model's namespace in the cluster; the context's own otherwise.",
        ),
    )
    for option in reversed(options):
        with_address = option(with_address)
    return with_address


def _address(click_context: click.Context, on: str, context: str, namespace: str) -> Address:
    """The address that the flags and the environment make. Raises click's UsageError when they contradict each other."""

    def typed(name: str) -> bool:
        return click_context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    program = program_of(click_context)
    if program.is_plugin:
        if typed("on") and on != PlatformKind.KUBERNETES:
            raise click.UsageError(
                f"{program.name} speaks to clusters; `canario` speaks to this machine", click_context
            )
        on = PlatformKind.KUBERNETES.value
    if on == PlatformKind.LOCAL:
        for name in ("context", "namespace"):
            if typed(name):
                raise click.UsageError(f"--{name} is for clusters: add --on kubernetes", click_context)
        return Address(program=program.name)
    return Address(on=PlatformKind(on), context=context, namespace=namespace, program=program.name)
