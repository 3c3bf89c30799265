"""The lean entry of a server process: `python -m canario.serving --version-folder DIR --http-port N --grpc-port N`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from canario.adapters.unpacking import unpacked
from canario.errors import CanarioError
from canario.serving.process import ServeOptions, serve


def main() -> int:
    """Serve until told to stop; the exit code says whether it could."""
    parser = argparse.ArgumentParser(prog="python -m canario.serving", description="Serve one version of a model.")
    parser.add_argument("--version-folder", type=Path, help="the folder of the stored version")
    parser.add_argument(
        "--archive", default="", help="in its place: an archive of `canario export`, a file or an http(s) address"
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--http-port", type=int, default=3000, help="REST; 0 takes any free one")
    parser.add_argument("--grpc-port", type=int, default=3001, help="gRPC; 0 takes any free one")
    parser.add_argument(
        "--operator-port", type=int, help="metrics, card and prediction log; 0 takes any free one (default: nowhere)"
    )
    parser.add_argument(
        "--linger-seconds", type=float, default=2.0, help="after SIGTERM: how long it still takes requests, not ready"
    )
    parser.add_argument(
        "--longest-stop-seconds", type=float, default=30.0, help="after that: how long requests in flight may take"
    )
    arguments = parser.parse_args()
    if arguments.version_folder is None and not arguments.archive:
        parser.error("either --version-folder or --archive is needed")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        options = vars(arguments)
        archive = options.pop("archive")
        serve(ServeOptions(**options | ({"version_folder": unpacked(archive)} if archive else {})))
    except CanarioError as error:
        sys.stderr.write(f"canario: {error}\n" + (f"  {error.hint}\n" if error.hint else ""))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
