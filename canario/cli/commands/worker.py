"""`canario worker`: answers the messages of a model that is up, until it is told to end."""

from __future__ import annotations

import click

from canario.cli.addressing import broker_option
from canario.cli.documented import Documented
from canario.cli.naming import running_argument
from canario.cli.printing import say

AT_ONCE = click.IntRange(1, 1000)


@click.command(
    "worker",
    cls=Documented,
    examples=[
        "canario worker fraud",
        "canario worker fraud --broker amqp://guest:guest@127.0.0.1:5672/",
        "canario worker fraud --concurrency 32 --prefetch 64",
    ],
)
@running_argument
@broker_option
@click.option(
    "--router",
    default="",
    metavar="URL",
    envvar="CANARIO_ROUTER_URL",
    show_envvar=True,
    help="The model's router; that of the model that is up here otherwise.",
)
@click.option(
    "--ledger",
    metavar="URL",
    envvar="CANARIO_LEDGER_URL",
    show_envvar=True,
    help="Where answers are remembered: postgresql://... or sqlite:PATH; a file of this machine otherwise.",
)
@click.option("--concurrency", type=AT_ONCE, default=16, show_default=True, help="Messages that are asked at once.")
@click.option("--prefetch", type=AT_ONCE, default=16, show_default=True, help="Messages of each priority in its hands.")
@click.option(
    "--operator-port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="N",
    help="Where /livez, /readyz and /metrics are; any free port otherwise.",
)
def command(
    model: str,
    broker: str | None,
    router: str,
    ledger: str | None,
    concurrency: int,
    prefetch: int,
    operator_port: int,
) -> None:
    """Answer the messages of MODEL, the urgent first, until Ctrl-C or SIGTERM.

    It asks the model's router, so messages follow a rollout as every request does. Any number of workers may run; whoever is
    killed loses and doubles no message.
    """
    import asyncio
    from contextlib import ExitStack

    from canario.cli.routers import router_of
    from canario.platforms.local.targets import worker_target
    from canario.stream.running import WorkerSettings, bounds_from, quiet_libraries, run_worker

    model, router = router_of(model, router)
    settings = WorkerSettings(
        model=model,
        router_url=router,
        broker_url=broker,
        ledger_url=ledger,
        operator_host="127.0.0.1",
        operator_port=operator_port,
        bounds=bounds_from(concurrency, prefetch),
    )
    quiet_libraries()
    with ExitStack() as stack:

        def started(port: int) -> None:
            stack.enter_context(worker_target(model, port))
            say(f"answering messages for {model} through {router}; metrics at http://127.0.0.1:{port}/metrics")

        asyncio.run(run_worker(settings, started))
    say("ended; what was not finished is with the broker")
