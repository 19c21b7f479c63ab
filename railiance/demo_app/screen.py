"""What a person sees of the story: headings, commands, what they say, and whether it went as told."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import click
from rich.console import Console
from rich.text import Text

_WIDTH = 78


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary.

    Attributes:
        title: The chapter.
        before: Version that users met before it.
        after: Version that users met after it.
        sent: Requests that users sent during it.
        lost: Those that got no answer of the application.
        faulty: Those that a bad version answered with an error.
        seconds: How long it took.
        as_told: Whether everything happened as told.
    """

    title: str
    before: str
    after: str
    sent: int
    lost: int
    faulty: int
    seconds: float
    as_told: bool


_COLUMNS = ("chapter", "before", "after", "sent", "lost", "faulty", "seconds", "as told")


class Screen:
    """Tells a story on stdout: with colours on a terminal, in plain lines elsewhere.

    Args:
        pause: Wait for the Enter key before each chapter; on a terminal only.
    """

    def __init__(self, *, pause: bool = False) -> None:
        self._pause = pause and sys.stdin.isatty()

    @cached_property
    def _console(self) -> Console | None:
        if not sys.stdout.isatty():
            return None
        return Console(highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """Print a line or a paragraph."""
        if self._console is None:
            click.echo(text)
            sys.stdout.flush()
            return
        self._console.print(Text(text, style=style), soft_wrap=True)

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        if self._pause:
            click.prompt("Enter goes on", default="", show_default=False, prompt_suffix=" ")
        self.say("")
        self.say(f"== {text} ".ljust(_WIDTH, "="), "bold cyan")

    def command(self, text: str, who: str) -> None:
        """Show a command line, and who types it."""
        self.say(f"{who}$ {text}", "bold")

    def quote(self, line: str) -> None:
        """Show a line that a command said."""
        self.say(f"    {click.unstyle(line)}", "dim")

    def outcome(self, text: str, *, good: bool) -> None:
        """Say whether something happened as told."""
        self.say(f"  {'as told' if good else 'NOT AS TOLD'}: {text}", "green" if good else "bold red")

    def table(self, rows: Sequence[Row]) -> None:
        """Print the summary."""
        cells = [_COLUMNS, *[_cells(row) for row in rows]]
        widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
        for line in cells:
            self.say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (str(row.sent), str(row.lost), str(row.faulty), f"{row.seconds:.0f}")
    return (row.title, row.before, row.after, *numbers, "yes" if row.as_told else "NO")
