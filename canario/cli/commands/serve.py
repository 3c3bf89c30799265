"""`canario serve`: one version in one server process, without a router."""

from __future__ import annotations

import logging

import click

from canario.cli.documented import Documented
from canario.cli.naming import version_argument
from canario.cli.printing import say

PORT = click.IntRange(1, 65535)


@click.command(
    "serve",
    cls=Documented,
    examples=["canario serve fraud", "canario serve fraud:v2 --http-port 4000 --grpc-port 4001"],
)
@version_argument
@click.option("--http-port", type=PORT, default=3000, show_default=True, help="Where REST and the form are answered.")
@click.option("--grpc-port", type=PORT, default=3001, show_default=True, help="Where gRPC is answered.")
@click.option(
    "--operator-port",
    type=PORT,
    help="Where metrics, card and prediction log are read. Without it metrics are read at the REST port alone.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
def command(version: str, http_port: int, grpc_port: int, operator_port: int | None, host: str) -> None:
    """Serve one version over REST and gRPC until Ctrl-C."""
    from canario.adapters.versions import find_version
    from canario.serving.process import ServeOptions, serve

    stored = find_version(version)
    say(f"loading {stored.record.name}; Ctrl-C ends it")
    # The server says on this log where it answers, once it does.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    serve(
        ServeOptions(
            version_folder=stored.folder,
            host=host,
            http_port=http_port,
            grpc_port=grpc_port,
            operator_port=operator_port,
        )
    )
