"""A question to the approvers and its answers: one plan for one candidate, until a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verb(StrEnum):
    """What a run does to its target."""

    DEPLOY = "deploy"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer of a person to a request; `signed` is false until evidence is signed (low and medium apps only)."""

    by: str
    decision: str
    plan_digest: str
    comment: str
    at: datetime
    channel: str
    signed: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of the approvers: one plan for one candidate, until a deadline."""

    id: str
    verb: Verb
    candidate: str
    plan_digest: str
    requester: str
    run_id: str
    needed: int
    at: datetime
    expires_at: datetime
    summary: str
    app_id: str = ""
    votes: tuple[Vote, ...] = ()
    answers: int = 0
    voided: str = ""
    used_by: str = ""

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Return the distinct people who said yes to exactly this plan."""
        yes = [v.by for v in self.votes if v.decision == "approve" and v.plan_digest == self.plan_digest]
        return tuple(dict.fromkeys(yes))

    @property
    def rejected_by(self) -> Vote | None:
        """Return the first no, which is final."""
        return next((v for v in self.votes if v.decision == "reject"), None)

    def state(self, now: datetime) -> str:
        """Return `used`, `voided`, `rejected`, `expired`, `granted` or `missing`."""
        if self.used_by:
            return "used"
        if self.voided:
            return "voided"
        if self.rejected_by:
            return "rejected"
        if now >= self.expires_at:
            return "expired"
        return "granted" if len(self.approved_by) >= self.needed else "missing"
