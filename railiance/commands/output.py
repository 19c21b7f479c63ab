"""What a command prints, and where (contract.md, section 8).

The document goes to stdout, everything for people to stderr. On a terminal a person reads: then the
document is printed only with `--pretty` or `--json`. With `--json` no human text is printed at all.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from railiance.domain.errors import Usage

if TYPE_CHECKING:
    from rich.console import Console

    from railiance.domain.results import ResultDocument

P = ParamSpec("P")
R = TypeVar("R")

_COLOURS = {"PASS": "green", "FAIL": "bold red", "UNKNOWN": "yellow", "skipped": "dim"}
_INTERRUPTED = "railiance.interrupted"


class Reporter:
    """Progress for people, on stderr: with colour on a terminal, plain elsewhere, nothing when silent.

    Args:
        silent: Print nothing.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent

    @cached_property
    def terminal(self) -> bool:
        """Whether a person watches stderr."""
        return sys.stderr.isatty()

    def say(self, text: str, style: str = "") -> None:
        """Print one line (or paragraph) as it is."""
        if self.silent:
            return
        if self.terminal:
            from rich.text import Text

            self._console.print(Text(text, style=style), soft_wrap=True)
        else:
            click.echo(text, err=True)

    def dim(self, text: str) -> None:
        """Print what another program said, so that it is told from our own words."""
        self.say(f"  {click.unstyle(text)}", "dim")

    def answer(self, word: str, text: str) -> None:
        """Print a line that begins with a verdict (or `skipped`), in its colour."""
        if not self.terminal or self.silent:
            self.say(f"{word:<8}{text}")
            return
        from rich.text import Text

        line = Text.assemble((f"{word:<8}", _COLOURS.get(word, "bold")), text)
        self._console.print(line, soft_wrap=True)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Print what the adapters and tasks tell (see `railiance.adapters.progress`) while the block runs."""
        from railiance.adapters import progress

        handler = _Relay(self)
        loggers = [logging.getLogger(name) for name in (progress.PROGRESS, progress.OUTPUT)]
        before = [(logger.level, logger.propagate) for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.INFO)
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger, (level, propagate) in zip(loggers, before, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(level)
                logger.propagate = propagate

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, highlight=False)


class _Relay(logging.Handler):
    """Print log records of the progress loggers through a reporter."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        from railiance.adapters import progress

        word = getattr(record, "verdict", "")
        if record.name == progress.OUTPUT:
            self._reporter.dim(record.getMessage())
        elif word:
            self._reporter.answer(word, record.getMessage())
        else:
            self._reporter.say(record.getMessage())


@dataclass(frozen=True, slots=True)
class Output:
    """How the person at the command line wants the answer."""

    pretty: bool = False
    only_json: bool = False
    json_out: Path | None = None

    @property
    def reporter(self) -> Reporter:
        """Return a reporter that is silent with `--json`."""
        return Reporter(silent=self.only_json)

    def finish(self, document: ResultDocument) -> None:
        """Print and write the document as asked, then leave with its exit status, whatever it is."""
        self.emit(document.document())
        click.get_current_context().exit(int(document.exit_status))

    def emit(self, document: dict[str, Any]) -> None:
        """Print and write one JSON document as asked.

        Raises:
            Usage: The file of `--json-out` cannot be written (`JSON_OUT`); stdout has the document by then.
        """
        text = json.dumps(document, indent=2 if self.pretty else None, ensure_ascii=False)
        if self.pretty or self.only_json or not sys.stdout.isatty():
            click.echo(text)
        if self.json_out is None:
            return
        from railiance.adapters.workspace import write_file

        try:
            write_file(self.json_out, text.encode() + b"\n")
        except OSError as error:
            message = f"{self.json_out} cannot be written: {error.strerror}."
            raise Usage("JSON_OUT", message, "Name a file in a folder that exists.") from error


def output_options(command: Callable[P, R]) -> Callable[..., R]:
    """Add `--pretty`, `--json` and `--json-out` to a command, which receives them as `output: Output`."""

    @click.option("--pretty", is_flag=True, help="Print the result document, indented.")
    @click.option("--json", "only_json", is_flag=True, help="Print the result document and no human text.")
    @click.option(
        "--json-out",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="PATH",
        callback=_writable,
        help="Also write the result document to a file, whatever the answer is.",
    )
    @wraps(command)
    def wrapped(*args: Any, pretty: bool, only_json: bool, json_out: Path | None, **kwargs: Any) -> R:
        kwargs["output"] = Output(pretty, only_json, json_out)
        return command(*args, **kwargs)

    return wrapped


def app_argument(command: Callable[P, R]) -> Callable[P, R]:
    """Add the argument DIR: an app's folder or its id, by default the present folder."""
    return click.argument("directory", metavar="[DIR]", default=".")(command)


def digest_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add `--digest`: the image's digest, where the contract does not hold it."""
    return click.option(
        "--digest",
        metavar="sha256:HEX",
        callback=_digest,
        help="Digest of the image; must agree with every other place that gives one.",
    )(command)


def approval_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add `--approval-id`: a pointer to the approval of this very plan."""
    return click.option("--approval-id", metavar="ID", help="The approval of this plan.")(command)


def plan_or_apply(command: Callable[P, R]) -> Callable[P, R]:
    """Add `--plan` (default) and `--apply`; the command receives `apply: bool`."""
    return click.option(
        "--apply/--plan", default=False, help="Do it, or only show what would be done (default)."
    )(command)


def if_interrupted(sentence: str) -> None:
    """Say what state is left behind if the person at the keyboard stops the command from here on."""
    click.get_current_context().meta[_INTERRUPTED] = sentence


def interrupted_sentence(context: click.Context) -> str:
    """Return what `if_interrupted` said last, or that nothing was changed."""
    return str(context.meta.get(_INTERRUPTED, "Nothing was changed."))


def refuse_inside_run() -> None:
    """Refuse to start a stage from inside a stage's own command.

    Contracts in use list our own command lines under `commands`; running them would never end.

    Raises:
        Usage: `RAILIANCE_RUN_ID` is set (`RUN_RECURSION`).
    """
    if run_id := os.environ.get("RAILIANCE_RUN_ID"):
        message = f"This command was started by a command of run {run_id}; a run does not start another."
        raise Usage(
            "RUN_RECURSION", message, "Take railiance out of the stage's commands in railiance/app.toml."
        )


def _writable(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file that cannot be written before anything is done, not after."""
    if value is not None and not os.access(value.parent, os.W_OK):
        raise click.BadParameter(f"there is no folder {value.parent} to write into")
    return value


def _digest(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    import re

    if value is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", value):
        raise click.BadParameter("a digest is sha256: and 64 hexadecimal digits in lower case")
    return value
