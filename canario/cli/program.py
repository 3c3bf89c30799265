"""Which program this run is: `canario`, or the plugin by which kubectl knows it, which speaks to clusters only."""

from __future__ import annotations

from dataclasses import dataclass

import click

from canario.model.address import KUBECTL_PROGRAM, PROGRAM, PlatformKind


@dataclass(frozen=True, slots=True)
class Program:
    """The program that a person has started."""

    name: str = PROGRAM

    @property
    def is_plugin(self) -> bool:
        return self.name == KUBECTL_PROGRAM

    def written(self, line: str) -> str:
        """A line that begins with `canario` as this program's users type it."""
        if not self.is_plugin:
            return line
        return line.replace(PROGRAM, self.name, 1).replace(f" --on {PlatformKind.KUBERNETES}", "")


def program_of(context: click.Context) -> Program:
    """The program that a command runs in."""
    found = context.find_root().obj
    return found if isinstance(found, Program) else Program()
