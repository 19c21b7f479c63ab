"""The result of one check, and what the results of a stage say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from railiance.domain.verdict import Verdict, combine


@dataclass(frozen=True, slots=True)
class Reading:
    """What one try of a check got.

    Attributes:
        verdict: The answer of this try.
        reason: One sentence for people; never holds output, secrets or query strings.
        answered: False if nothing was there to ask: no server, no tool.
        details: The fields which the type adds to the result document (contract.md, section 8).
    """

    verdict: Verdict
    reason: str
    answered: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said.

    Attributes:
        id: Id of the check in the contract; built-in ones start with `railiance.`.
        type: `command`, `http`, `tcp`, `helm`, `kubernetes`, `promql`, `log` or `builtin`.
        required: Whether the stage cannot pass without it.
        verdict: The answer, or None if the check was skipped.
        skipped: Why it was skipped, else None.
        reason: One sentence for people; never holds output, secrets or query strings.
        attempts: How often it was tried (0 if skipped).
        duration_ms: How long all attempts took.
        details: The fields which the type adds to the result document (contract.md, section 8).
    """

    id: str
    type: str
    required: bool
    verdict: Verdict | None
    skipped: str | None = None
    reason: str = ""
    attempts: int = 1
    duration_ms: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a result that is both an answer and skipped, or neither."""
        if (self.verdict is None) == (self.skipped is None):
            message = f"check {self.id}: exactly one of verdict and skipped must be given"
            raise ValueError(message)


def skipped(check_id: str, check_type: str, *, required: bool, why: str) -> CheckResult:
    """Return the result of a check that was not run."""
    return CheckResult(
        id=check_id, type=check_type, required=required, verdict=None, skipped=why, reason=why, attempts=0
    )


def combine_checks(results: Iterable[CheckResult]) -> Verdict:
    """Combine check results into the verdict of their stage.

    Only required checks count. A required check that was skipped is UNKNOWN, and so is a set
    without any required check: without one that passed, the stage has not passed.

    Args:
        results: The results of the stage, optional ones included.

    Returns:
        The verdict.
    """
    return combine(result.verdict or Verdict.UNKNOWN for result in results if result.required)


def public_url(url: str) -> str:
    """Return a URL without userinfo, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(no URL)"
    bracketed = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, bracketed + port, parts.path, "", ""))
