"""The door of the command line: the group of commands, loaded when they are needed, and how every run ends."""

from __future__ import annotations

import difflib
import importlib
import keyword
import sys
from collections.abc import Mapping, Sequence

import click

from canario import __version__
from canario.cli.problems import INTERRUPTED, print_crash, print_problem, usage_problem
from canario.cli.program import Program, program_of
from canario.errors import CanarioError
from canario.model.address import KUBECTL_PROGRAM, PROGRAM

SECTIONS = {
    "Versions": ("train", "adopt", "list", "show", "build", "export", "import"),
    "Serving": ("serve",),
    "Other ways in": ("predict", "score", "worker", "enqueue", "tail"),
    "Rollouts": ("up", "rollout", "status", "watch", "promote", "pause", "resume", "abort", "rollback", "down"),
    "Quality": ("feedback", "report", "retrain", "monitor"),
    "Records": ("history", "explain", "replay"),
    "Editors": ("schema",),
}
"""The commands by what a person wants to do, in the order in which a person comes to them."""

NOTES = {
    "The first ten minutes": (
        ("canario train fraud --tag v1", "make a version"),
        ("canario up fraud:v1", "bring it up behind a router on port 8080"),
        ("canario train fraud --tag v2", "make another one"),
        ("canario rollout fraud:v2 --wait", "raise it while it is no worse"),
    ),
    "Names": (
        ("MODEL", "a name such as fraud; rollout commands may leave it out while only one model is up"),
        ("VERSION", "fraud:v2, or fraud for the newest"),
    ),
    "Exit codes": (
        ("0", "done"),
        ("1", "failed"),
        ("2", "wrong usage"),
        ("3", "judged: rolled back, a preflight not passed, a retrained candidate no better, or too many rejects"),
        ("130", "interrupted"),
    ),
    "Environment": (
        ("CANARIO_HOME", "the folder of what runs and what was predicted"),
        ("CANARIO_ROOMS", "the folder of the model rooms, ./bentos otherwise"),
        ("BENTOML_HOME", "the folder of versions and Bentos"),
        ("CANARIO_BROKER_URL", "where messages are: amqp://... or sqlite:PATH, a file in CANARIO_HOME otherwise"),
        ("CANARIO_FEEDBACK_URL", "the PostgreSQL database of feedback, files in CANARIO_HOME otherwise"),
        ("KUBECONFIG", "the clusters that --on kubernetes reaches, ~/.kube/config otherwise"),
        ("CANARIO_ON", "what --on says when it is left out; also CANARIO_CONTEXT and CANARIO_NAMESPACE"),
        ("CANARIO_DEBUG=1", "print tracebacks"),
        ("NO_COLOR=1", "print without colour"),
    ),
    "Shell completion": (
        ("bash", 'eval "$(_CANARIO_COMPLETE=bash_source canario)"'),
        ("zsh", 'eval "$(_CANARIO_COMPLETE=zsh_source canario)"'),
        ("fish", "_CANARIO_COMPLETE=fish_source canario | source"),
    ),
}
"""What `canario --help` says besides the commands."""

PLUGIN_SECTIONS = {
    "Rollouts": tuple(name for name in SECTIONS["Rollouts"] if name not in ("up", "down")),
    "Records": SECTIONS["Records"],
}
"""What makes sense in a cluster."""

PLUGIN_NOTES = {
    "The first ten minutes": (
        ("helm install fraud helm/model -n models --set image=fraud:v1", "bring a model up"),
        ("kubectl canario status fraud -n models", "see who answers"),
        ("kubectl canario rollout fraud:v2 -n models --wait", "raise another version while it is no worse"),
        ("kubectl canario rollback fraud -n models", "undo it"),
    ),
    "Names": (
        ("MODEL", "a ModelDeployment's name; may be left out while the namespace has only one"),
        ("VERSION", "fraud:v2"),
    ),
    "Exit codes": NOTES["Exit codes"],
    "Environment": (
        ("KUBECONFIG", "the clusters and who you are there, ~/.kube/config otherwise"),
        ("CANARIO_CONTEXT", "what --context says when it is left out"),
        ("CANARIO_NAMESPACE", "what --namespace says when it is left out"),
        ("CANARIO_DEBUG=1", "print tracebacks"),
        ("NO_COLOR=1", "print without colour"),
    ),
}
"""What `kubectl canario --help` says besides the commands."""


class Commands(click.Group):
    """A group whose commands live one in a file of canario.cli.commands and are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, in the order of the sections."""
        return [name for names in _sections(ctx).values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command = importlib.import_module(f"canario.cli.commands.{module}").command
        assert isinstance(command, click.Command)  # noqa: S101 - a promise of each file in commands/, for mypy
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words name. Raises click's UsageError with the nearest names when there is none."""
        if args[0].startswith("-") or self.get_command(ctx, args[0]):
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
        guess = f"; did you mean `{program_of(ctx).name} {near[0]}`?" if near else ""
        if program_of(ctx).is_plugin and any(args[0] in names for names in SECTIONS.values()):
            guess = f" here; `canario {args[0]}` is for this machine"
        raise click.UsageError(f"there is no command {args[0]!r}{guess}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, each with its first sentence."""
        for section, names in _sections(ctx).items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(section):
                formatter.write_dl([(name, command.get_short_help_str(90)) for name, command in commands if command])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where to begin, and what the words and numbers mean."""
        for section, notes in (PLUGIN_NOTES if program_of(ctx).is_plugin else NOTES).items():
            with formatter.section(section):
                formatter.write_dl(notes)


def _sections(context: click.Context) -> Mapping[str, Sequence[str]]:
    return PLUGIN_SECTIONS if program_of(context).is_plugin else SECTIONS


@click.group(
    "canario",
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def canario(context: click.Context) -> None:
    """Serve scikit-learn models; roll out versions on evidence."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def run(arguments: Sequence[str], program: str = PROGRAM) -> int:
    """Run one command line and give its exit code; whatever goes wrong is told on stderr."""
    try:
        outcome = canario.main(list(arguments), prog_name=program, standalone_mode=False, obj=Program(program))
    except CanarioError as error:
        print_problem(error)
        return error.exit_code
    except click.ClickException as wrong:
        print_problem(usage_problem(wrong, program, next(iter(arguments), "")))
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader has left (`| head`): nobody is there to be told
        return 1
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person gets one line, not a traceback
        print_crash(error, arguments)
        return 1
    return outcome if isinstance(outcome, int) else 0


def main() -> None:
    """The `canario` command."""
    sys.exit(run(sys.argv[1:]))


def kubectl_plugin() -> None:
    """The `kubectl canario` command, which kubectl finds as `kubectl-canario`."""
    sys.exit(run(sys.argv[1:], KUBECTL_PROGRAM))
