"""Asking people and taking their answers; the answer that counts stands in the ledger, never in a form or a flag."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from railiance.domain.approval import ApprovalNeed, vote_problem
from railiance.domain.errors import Conflict, Usage
from railiance.domain.lifecycle import EventKind, Request, Standing, Vote, stamp
from railiance.domain.plan import Plan, short
from railiance.domain.report import Asked, request_markdown
from railiance.engine.gatekeeping import approval_need
from railiance.engine.record import note
from railiance.engine.work import Work

FORM = "form"
CLI = "cli"
UNKNOWN_PERSON = "unknown (Prefect form)"


def open_request(work: Work, plan: Plan, standing: Standing) -> Request:
    """Return the open request for exactly this plan, making one (which supersedes older ones) where there is none."""
    need = approval_need(work, plan.verb)
    now = work.clock.now()
    present = standing.open_request(plan.verb, now)
    if present is not None and present.plan_digest == plan.digest:
        return present
    request_id = f"{work.app_id}-{plan.verb}-{short(plan.digest)[:8]}-{len(standing.requests) + 1}"
    expires = now + need.lifetime
    asked = _asked(work, need, standing, plan, expires, request_id)
    note(
        work,
        EventKind.REQUESTED,
        actor=work.requester,
        request=request_id,
        app=work.app_id,
        verb=str(plan.verb),
        candidate=plan.candidate,
        plan_digest=plan.digest,
        needed=need.people,
        expires_at=stamp(expires),
        summary=request_markdown(plan, asked, now),
    )
    return find_request(work.standing(), request_id)


def find_request(standing: Standing, request_id: str) -> Request:
    """Return a request by its id, or by an unambiguous beginning of it.

    Raises:
        Usage: There is no such request (UNKNOWN_REQUEST).
    """
    found = [r for key, r in standing.requests.items() if key == request_id] or [
        r for key, r in standing.requests.items() if key.startswith(request_id)
    ]
    if len(found) != 1:
        why = "no request is" if not found else f"{len(found)} requests are"
        raise Usage("UNKNOWN_REQUEST", f"{why} named {request_id!r}", "`railiance requests` lists them")
    return found[0]


def vote(work: Work, request: Request, decision: str, comment: str, *, by: str) -> None:
    """Write a person's answer from the command line; unsigned, and said so.

    Raises:
        Conflict: The request does not wait for this answer any more (VOTE_REFUSED).
    """
    answer = Vote(by, decision, request.plan_digest, comment, work.clock.now(), CLI, signed=False)
    if problem := vote_problem(request, answer, work.clock.now()):
        raise Conflict("VOTE_REFUSED", problem, "`railiance requests` shows what waits")
    _write(work, request, answer)


def take_answer(work: Work, request: Request, answer: Mapping[str, Any] | None) -> str:
    """Record what a form brought, good or bad, and count it as a vote where it is one.

    An answer that the command line sent along with its own vote only rings the bell: it points at that vote.

    Returns:
        What became of it, in words.
    """
    said = _what_it_says(request, answer)
    note(work, EventKind.ANSWERED, actor=UNKNOWN_PERSON, request=request.id, outcome=said)
    if answer is None or said != "vote":
        return said
    cast = Vote(
        UNKNOWN_PERSON,
        str(answer["decision"]),
        request.plan_digest,
        str(answer["comment"]),
        work.clock.now(),
        FORM,
        signed=False,
    )
    if problem := vote_problem(request, cast, work.clock.now()):
        return problem
    _write(work, request, cast)
    return said


def bell(request: Request, comment: str) -> dict[str, str]:
    """Return the form's fields that wake a waiting run after a vote was written to the ledger."""
    return {
        "decision": "approve",
        "plan_digest_first_12": short(request.plan_digest),
        "comment": comment if len(comment) >= 10 else f"{comment} (see the ledger)",
        "signed_approval": f"ledger:{request.id}",
    }


def _what_it_says(request: Request, answer: Mapping[str, Any] | None) -> str:
    if answer is None:
        return "no usable answer"
    if str(answer.get("signed_approval", "")).startswith("ledger:"):
        return "a vote stands in the ledger"
    if answer.get("plan_digest_first_12") != short(request.plan_digest):
        return "the plan digest typed is not the one of the request"
    return "vote" if answer.get("decision") in {"approve", "reject"} else "no decision"


def _write(work: Work, request: Request, answer: Vote) -> None:
    note(
        work,
        EventKind.VOTED,
        actor=answer.by,
        request=request.id,
        decision=answer.decision,
        plan_digest=answer.plan_digest,
        comment=answer.comment,
        channel=answer.channel,
        signed=answer.signed,
    )


def _asked(
    work: Work, need: ApprovalNeed, standing: Standing, plan: Plan, expires: datetime, request_id: str
) -> Asked:
    contract = work.contract
    stages = ("stage1", "stage2")
    people = "1 person" if need.people == 1 else f"{need.people} different people"
    signed = "an unsigned answer counts" if need.unsigned else "only a signed answer counts"
    requester = "the requester may answer" if need.requester_may else "the requester may not answer"
    return Asked(
        app=contract.app.name,
        criticality=str(contract.app.criticality),
        source_revision=work.candidate.source_revision,
        rule=f"{people}, {requester}, {signed}",
        evidence=[r for s in stages if (r := standing.results.get((s, plan.candidate)))],
        verification=contract.rollback.verification
        if contract.rollback and contract.rollback.verification
        else "",
        expires_at=expires,
        request=request_id,
    )
