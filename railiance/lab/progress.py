"""Telling a person how far a lab command has come: a bar a step on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import click

from railiance.adapters import clock

Report = Callable[[float, str], None]  # the share that is done, 0 to 1, and a word on it

_TELL_EVERY = 15.0  # seconds; a line now and then shows that a long step is alive


class Progress(Protocol):
    """Where steps are told."""

    def step(self, title: str) -> AbstractContextManager[Report]:
        """Begin a step; it ends with the `with` block."""
        ...


class Silent:
    """Tells nothing."""

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:  # noqa: ARG002 - the protocol's argument
        """Begin a step that nobody hears of."""
        yield silent


class Lines:
    """Tells each step in a line when it begins, and in another when it took long."""

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        """Begin a step."""
        started = last_told = clock.monotonic()
        click.echo(f"{title} ...", err=True)

        def tell(share: float, text: str) -> None:
            nonlocal last_told
            if clock.monotonic() - last_told > _TELL_EVERY:
                last_told = clock.monotonic()
                click.echo(f"{title}: {share:.0%} {text}", err=True)

        yield tell
        took = clock.monotonic() - started
        if took > 1:
            click.echo(f"{title}: done in {took:.0f} s", err=True)


class Bars:
    """Draws a bar for each step on a terminal."""

    @contextmanager
    def step(self, title: str) -> Iterator[Report]:
        """Begin a step."""
        # Imported here because it costs a tenth of a second that only those who see a bar should pay.
        from rich import progress as bars  # noqa: PLC0415
        from rich.console import Console  # noqa: PLC0415

        columns = (
            bars.TextColumn("{task.description:<32}"),
            bars.BarColumn(30),
            bars.TimeElapsedColumn(),
            bars.TextColumn("{task.fields[text]}"),
        )
        with bars.Progress(*columns, console=Console(stderr=True)) as drawn:
            task = drawn.add_task(title, total=None, text="")
            yield lambda share, text: drawn.update(task, total=1.0, completed=share, text=text)
            drawn.update(task, total=1.0, completed=1.0, text="")


def silent(_share: float, _text: str) -> None:
    """Report to nobody."""


def for_stderr() -> Progress:
    """Return what fits where our messages go."""
    return Bars() if sys.stderr.isatty() else Lines()
