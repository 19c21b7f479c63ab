"""Who must say yes, and whether they did. In this version a yes is unsigned, so it opens low and medium apps only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from railiance.domain.denial import Denial
from railiance.domain.lifecycle import Request, Vote

LIFETIME = {
    "low": timedelta(hours=24),
    "medium": timedelta(hours=24),
    "high": timedelta(hours=8),
    "critical": timedelta(hours=4),
}
"""How long a request waits and an approval counts, by criticality (lifecycle.md, table 7.1)."""

PEOPLE = {
    "stage2": {"low": 0, "medium": 0, "high": 0, "critical": 1},
    "stage3": {"low": 1, "medium": 1, "high": 1, "critical": 2},
}
"""How many people must say yes before a stage, by criticality (lifecycle.md, table 7.1)."""


@dataclass(frozen=True, slots=True)
class ApprovalNeed:
    """What a change needs of people.

    Attributes:
        people: How many must say yes.
        unsigned: Whether an unsigned yes counts.
        requester_may: Whether the person who asked may answer.
        criticality: The app's, for the message.
        lifetime: How long a request waits.
    """

    people: int
    unsigned: bool
    requester_may: bool
    criticality: str
    lifetime: timedelta

    def denials(
        self, request: Request | None, outside_id: str | None, plan_digest: str, now: datetime
    ) -> Iterable[Denial]:
        """Return why the approvals at hand do not suffice; nothing when they do.

        Args:
            request: The request whose votes are looked at.
            outside_id: An approval id unknown to the ledger: one unsigned approval where those count.
            plan_digest: The plan that would run; votes for another are void.
            now: The present.
        """
        if self.people == 0:
            return
        if not self.unsigned:
            yield Denial(
                "DENY_APPROVAL_MISSING",
                f"a {self.criticality} app needs signed approvals, which this version cannot verify yet",
                "signed approvals are not part of this version; nothing else opens this gate",
            )
            return
        if request is None:
            if outside_id is None or self.people > 1:
                yield _missing(self.people)
            return
        yield from self._of(request, plan_digest, now)

    def _of(self, request: Request, plan_digest: str, now: datetime) -> Iterable[Denial]:
        state = request.state(now)
        if state == "used":
            yield Denial("DENY_REPLAY", f"request {request.id} was used by run {request.used_by}", _ASK)
        elif state == "voided":
            yield Denial("DENY_APPROVAL_STALE", f"request {request.id} is void: {request.voided}", _ASK)
        elif no := request.rejected_by:
            yield Denial(
                "DENY_APPROVAL_REJECTED", f"{no.by} said no: {no.comment}", "build a new candidate or plan"
            )
        elif state == "expired":
            yield Denial(
                "DENY_APPROVAL_EXPIRED",
                f"request {request.id} ran out at {request.expires_at:%F %T} UTC",
                _ASK,
            )
        elif request.plan_digest != plan_digest:
            yield Denial(
                "DENY_PLAN_CHANGED",
                f"request {request.id} was for plan {request.plan_digest[:19]}, the plan now is {plan_digest[:19]}",
                _ASK,
            )
        elif (missing := self.people - len(eligible(request, self))) > 0:
            yield _missing(missing, request.id)


_ASK = "look at `--plan`, then ask anew with `railiance request` or `--apply --wait`"


def _missing(people: int, request: str | None = None) -> Denial:
    who = "1 person" if people == 1 else f"{people} people"
    how = (
        f"`railiance approve {request}`"
        if request
        else "`railiance request DIR --stage 3`, or `--apply --wait`"
    )
    return Denial("DENY_APPROVAL_MISSING", f"{who} must still approve this plan", how)


def eligible(request: Request, need: ApprovalNeed) -> tuple[str, ...]:
    """Return the distinct people whose yes counts for this request."""
    return tuple(p for p in request.approved_by if need.requester_may or p != request.requester)


def needed(stage: str, criticality: str, *, declared: int | None, required: bool) -> int:
    """Return how many people must say yes before a stage.

    Args:
        stage: `stage2` or `stage3`.
        criticality: The app's.
        declared: `[approvals] stage2` or `stage3`; may only raise, except 0 for Stage 3 of a low app.
        required: The stage's `requires_approval`.
    """
    base = PEOPLE[stage][criticality]
    if criticality == "low" and stage == "stage3" and declared == 0:
        return 0
    return max(base, declared or 0, 1 if required else 0)


def vote_problem(request: Request, vote: Vote, now: datetime) -> str | None:
    """Return why a vote cannot be taken, or None: the request must wait, the plan must be the one asked about."""
    state = request.state(now)
    if state in {"used", "voided", "rejected", "expired"}:
        return f"request {request.id} is {state}"
    if vote.plan_digest != request.plan_digest:
        return "the vote is for another plan than the request"
    if vote.at < request.at:
        return "the vote is older than the request"
    if vote.decision == "approve" and vote.by in request.approved_by:
        return f"{vote.by} has said yes already; one vote a person"
    return None
