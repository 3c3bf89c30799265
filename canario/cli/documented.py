"""A command that shows examples in its help, each a line that a person can paste."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from canario.cli.program import program_of


class Documented(click.Command):
    """A click command with examples."""

    def __init__(self, *arguments: Any, examples: Sequence[str], **attributes: Any) -> None:
        """`examples` are whole command lines, such as `canario list fraud`."""
        super().__init__(*arguments, **attributes)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, below the options."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for example in self.examples:
                line = program_of(ctx).written(example)
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
