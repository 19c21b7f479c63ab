"""A denial: one reason why a gate stays closed, as a value that no retry can swallow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from railiance.domain.errors import Exit

_NO_ANSWER = frozenset({"DENY_UNREACHABLE", "DENY_LEDGER_UNWRITABLE"})
_CONFLICT = frozenset({"DENY_PLAN_CHANGED", "DENY_BASELINE_CHANGED", "DENY_LOCKED", "DENY_LOCK_LOST"})


@dataclass(frozen=True, slots=True)
class Denial:
    """One reason why not.

    Attributes:
        code: Stable name, `DENY_…`.
        why: What is missing or wrong, and where.
        help: What to do next.
    """

    code: str
    why: str
    help: str

    @property
    def exit_status(self) -> Exit:
        """Return 1, or 4 where no answer could be had, or 5 where a new plan is needed."""
        if self.code in _NO_ANSWER:
            return Exit.NO_ANSWER
        return Exit.CONFLICT if self.code in _CONFLICT else Exit.NO


def exit_status_of_denials(denials: Iterable[Denial]) -> Exit:
    """Return the exit status of a closed gate: "no" outweighs a conflict, a conflict a missing answer."""
    statuses = {denial.exit_status for denial in denials}
    for status in (Exit.NO, Exit.CONFLICT, Exit.NO_ANSWER):
        if status in statuses:
            return status
    return Exit.YES
