"""The three answers a check can give, and how answers combine."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """Answer to a yes/no question; UNKNOWN means that it cannot be told, and is never a pass."""

    PASS = "PASS"  # noqa: S105 - the word of the contract, no password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts into one: any FAIL is FAIL, else any UNKNOWN or none at all is UNKNOWN, else PASS.

    Args:
        verdicts: The answers that count; leave optional checks out.

    Returns:
        The combined verdict. The order of the input does not matter.
    """
    seen = set(verdicts)
    if Verdict.FAIL in seen:
        return Verdict.FAIL
    if Verdict.UNKNOWN in seen or not seen:
        return Verdict.UNKNOWN
    return Verdict.PASS
