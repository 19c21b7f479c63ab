"""What can go wrong, sorted by what to do next.

    ContractError (railiance_schema, stands alone)   the file is wrong
    RailianceError
    ├─ Unavailable   could not find out or reach; the only error that is ever retried
    ├─ Conflict      the world is not the one the plan was made for; make a new plan
    ├─ Denied        a right or a tool is missing: no, until somebody provides it
    ├─ Usage         the command line or an input file cannot be read
    └─ Broken        a tool answered nonsense, or our bug; never swallowed

A verdict, a denial and a rejection are values, not errors: a retry must never swallow them.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit status of every command (contract.md, section 9)."""

    YES = 0
    NO = 1
    USAGE = 2
    BUG = 3
    NO_ANSWER = 4
    CONFLICT = 5


class RailianceError(Exception):
    """An error a person can act on.

    Args:
        code: Stable name of the error, with a page of its own in the reference.
        message: What is wrong, and where.
        help: What to do next.
    """

    exit_status = Exit.BUG

    def __init__(self, code: str, message: str, help: str = "") -> None:  # noqa: A002 - the field is called help everywhere
        super().__init__(code, message, help)
        self.code = code
        self.message = message
        self.help = help

    def __str__(self) -> str:
        """Return code, message and help as a person reads them."""
        tail = f"\n  help: {self.help}" if self.help else ""
        return f"{self.message} [{self.code}]{tail}"


class Unavailable(RailianceError):
    """The answer could not be had: nothing is known, so nothing may be assumed."""

    exit_status = Exit.NO_ANSWER


class Conflict(RailianceError):
    """The world is not the one the plan was made for."""

    exit_status = Exit.CONFLICT


class Denied(RailianceError):
    """The answer is no until somebody provides what is missing: a right, a tool, a file."""

    exit_status = Exit.NO


class Usage(RailianceError):
    """The command line, or a file it names, cannot be read."""

    exit_status = Exit.USAGE


class Broken(RailianceError):
    """A tool answered nonsense, or we have a bug."""

    exit_status = Exit.BUG
