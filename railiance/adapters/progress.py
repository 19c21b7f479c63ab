"""How tasks and adapters tell a person what they do, without knowing who listens.

Two loggers: our own words, which Prefect's log may keep as well, and the output of the contract's
commands, which goes to the terminal and to a local file and is kept nowhere else.
"""

from __future__ import annotations

import logging

PROGRESS = "railiance.progress"
OUTPUT = "railiance.output"

_progress = logging.getLogger(PROGRESS)
_output = logging.getLogger(OUTPUT)
_output.propagate = False  # may hold secrets of the app: never into a log that is kept
_output.addHandler(logging.NullHandler())
_progress.addHandler(logging.NullHandler())


def say(text: str) -> None:
    """Tell what is being done."""
    _progress.info("%s", text)


def answer(word: str, text: str) -> None:
    """Tell an answer: a verdict or `skipped`, and what it is about."""
    _progress.info("%s", text, extra={"verdict": word})


def output(line: str) -> None:
    """Pass on a line that a command of the contract printed."""
    _output.info("%s", line)
