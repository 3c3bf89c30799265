"""`python -m tests.cluster COMMAND`: the cluster for people and for the Makefile; the work is done by its neighbours."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys

from canario.errors import CanarioError, Unavailable
from tests.cluster import cluster, components, keda, metrics_server, node, packages, programs
from tests.cluster.images import load_image
from tests.cluster.running import Progress
from tests.cluster.settings import Settings

INTERRUPTED = 130


def main() -> int:
    """The exit code: 0, what the command that was run says, or the error's own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description="A real Kubernetes on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser(
        "build", help="compile the components, or the modules so named, unless they are there"
    )
    building.add_argument("modules", nargs="*", metavar="MODULE")
    commands.add_parser("up", help="start the cluster and say how to use it")
    commands.add_parser(
        "keda", help="start KEDA beside the cluster, building it the first time; it ends with the cluster"
    )
    commands.add_parser("metrics-server", help="the same with the metrics server, which tells the use of CPU")
    commands.add_parser("status", help="which components run; exit code 1 unless all do")
    load = commands.add_parser("load", help="copy images from buildah's store into the node")
    load.add_argument("images", nargs="+", metavar="IMAGE")
    commands.add_parser("images", help="build the images that the end-to-end tests run, where they are missing or old")
    running = commands.add_parser("run", help="run a command with a cluster; end what was not there before")
    running.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND")
    commands.add_parser("down", help="end the cluster and remove what it made")
    flags = parser.parse_args()
    try:
        return _do(flags, Settings.from_environment())
    except KeyboardInterrupt:
        return INTERRUPTED
    except CanarioError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        sys.stderr.write(f"{error}{hint}\n")
        return error.exit_code


def _do(flags: argparse.Namespace, settings: Settings) -> int:
    if flags.command == "build":
        programs.build(settings, Progress(), flags.modules)
    elif flags.command == "up":
        _say_how_to_use(cluster.up(settings))
    elif flags.command == "keda":
        keda.start(settings, Progress())
    elif flags.command == "metrics-server":
        metrics_server.start(settings, Progress())
    elif flags.command == "status":
        return _status(settings)
    elif flags.command == "images":
        _build_images(Progress())
    elif flags.command == "load":
        node.first_process(settings)
        for image in flags.images:
            copied = load_image(settings, image)
            sys.stdout.write(f"{image}: {'copied' if copied else 'there already'}\n")
    elif flags.command == "run":
        return _run(flags.arguments, settings)
    else:
        cluster.down(settings)
    return 0


def _say_how_to_use(started: cluster.Cluster) -> None:
    folder = f"export PATH={started.kubectl.parent}:$PATH\n" if started.audit_log else ""
    sys.stdout.write(f"export KUBECONFIG={started.kubeconfig}\n{folder}")


def _status(settings: Settings) -> int:
    found = {name: pid for pid, name in node.processes(settings).items()}
    for name in components.EXPECTED:
        sys.stdout.write(f"{name:<24} {found.get(name, 'does not run')}\n")
    ready = cluster.is_ready(settings)
    sys.stdout.write(f"{'node':<24} {'ready' if ready else 'not ready'}\n")
    return 0 if ready else Unavailable.exit_code


def _build_images(progress: Progress) -> None:
    """All of them, one after the other: a test that had to wait for its image would fail by its own time-out."""
    from tests.cluster import model_images, monitoring_images, rabbitmq_image

    packages.install(progress)
    for build in (
        model_images.canario_image,
        model_images.trainer_image,
        monitoring_images.monitoring_image,
        rabbitmq_image.rabbitmq_image,
    ):
        progress.say(f"{build()} is built")
    progress.say(f"{', '.join(model_images.e2e_images().values())} are built")


def _run(command: list[str], settings: Settings) -> int:
    """Ctrl-C ends the command, and then the cluster."""
    was_there = bool(cluster.foreign_kubeconfig(settings)) or node.has_node(settings)
    try:
        with_cluster = cluster.up(settings)
        return subprocess.run(command, env=with_cluster.environment(), check=False).returncode
    finally:
        if not was_there:
            cluster.down(settings)


if __name__ == "__main__":
    sys.exit(main())
