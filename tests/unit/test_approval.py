"""Who must say yes, by criticality, and which answers count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from railiance.domain.approval import ApprovalNeed, eligible, needed, vote_problem
from railiance.domain.lifecycle import Request, Verb, Vote

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
PLAN = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
LOW = ApprovalNeed(1, unsigned=True, requester_may=True, criticality="low", lifetime=timedelta(hours=24))
MEDIUM = replace(LOW, requester_may=False, criticality="medium")
REQUEST = Request(
    id="web-1",
    verb=Verb.PROMOTE,
    candidate="c",
    plan_digest=PLAN,
    requester="dana",
    run_id="r",
    needed=1,
    at=NOW - timedelta(hours=1),
    expires_at=NOW + timedelta(hours=1),
    summary="",
)


def vote(by: str, decision: str = "approve", plan: str = PLAN, at: datetime = NOW) -> Vote:
    """Return one answer."""
    return Vote(by, decision, plan, "fine", at, "cli", signed=False)


def with_votes(*votes: Vote, needed: int = 1) -> Request:
    """Return the request with answers."""
    return replace(REQUEST, votes=votes, needed=needed)


def codes(
    need: ApprovalNeed, request: Request | None, outside: str | None = None, plan: str = PLAN
) -> list[str]:
    """Return the codes of the denials."""
    return [denial.code for denial in need.denials(request, outside, plan, NOW)]


@pytest.mark.parametrize(
    ("stage", "criticality", "people"),
    [
        ("stage2", "low", 0),
        ("stage2", "medium", 0),
        ("stage2", "high", 0),
        ("stage2", "critical", 1),
        ("stage3", "low", 1),
        ("stage3", "medium", 1),
        ("stage3", "high", 1),
        ("stage3", "critical", 2),
    ],
)
def test_people_needed(stage: str, criticality: str, people: int) -> None:
    """The table of lifecycle.md 7.1; a contract may raise it, never lower it, but for Stage 3 of a low app."""
    assert needed(stage, criticality, declared=None, required=False) == people
    assert needed(stage, criticality, declared=None, required=True) == max(people, 1)
    assert needed(stage, criticality, declared=3, required=False) == 3
    lowered = 0 if (stage, criticality) == ("stage3", "low") else people
    assert needed(stage, criticality, declared=0, required=False) == lowered


def test_nobody_needed() -> None:
    """Where nobody must say yes, no answer and no missing one matters."""
    assert codes(replace(LOW, people=0), None) == []
    assert codes(replace(LOW, people=0, unsigned=False), None) == []


@pytest.mark.parametrize("criticality", ["high", "critical"])
@pytest.mark.parametrize("request_", [None, with_votes(vote("omar"), vote("lena"))])
@pytest.mark.parametrize("outside", [None, "CHG-1"])
def test_an_unsigned_yes_never_opens_high_and_critical(
    criticality: str, request_: Request | None, outside: str | None
) -> None:
    """Whatever unsigned answers there are, an app that needs signed ones stays closed."""
    need = ApprovalNeed(1, False, False, criticality, timedelta(hours=4))
    assert codes(need, request_, outside) == ["DENY_APPROVAL_MISSING"]


@pytest.mark.parametrize(
    ("request_", "plan", "code"),
    [
        (None, PLAN, "DENY_APPROVAL_MISSING"),
        (with_votes(), PLAN, "DENY_APPROVAL_MISSING"),
        (with_votes(vote("omar", plan=OTHER)), PLAN, "DENY_APPROVAL_MISSING"),
        (with_votes(vote("omar")), OTHER, "DENY_PLAN_CHANGED"),
        (with_votes(vote("omar", "reject")), PLAN, "DENY_APPROVAL_REJECTED"),
        (with_votes(vote("lena"), vote("omar", "reject")), PLAN, "DENY_APPROVAL_REJECTED"),
        (replace(with_votes(vote("omar")), expires_at=NOW), PLAN, "DENY_APPROVAL_EXPIRED"),
        (replace(with_votes(vote("omar")), voided="superseded"), PLAN, "DENY_APPROVAL_STALE"),
        (replace(with_votes(vote("omar")), used_by="r9"), PLAN, "DENY_REPLAY"),
        (replace(with_votes(vote("omar")), used_by="r9", voided="x"), PLAN, "DENY_REPLAY"),
    ],
)
def test_why_an_answer_does_not_count(request_: Request | None, plan: str, code: str) -> None:
    """Missing, for another plan, a no, too late, void, or used once already: each has its own name."""
    assert codes(LOW, request_, plan=plan) == [code]


def test_a_yes_for_exactly_this_plan_opens() -> None:
    """One unsigned yes to this plan opens a low app, and a medium one that allows it."""
    assert codes(LOW, with_votes(vote("omar"))) == []
    assert codes(MEDIUM, with_votes(vote("omar"))) == []


def test_the_requester_may_answer_only_for_low_apps() -> None:
    """Four eyes: on a medium app the yes of the person who asked does not count."""
    own = with_votes(vote("dana"))
    assert codes(LOW, own) == []
    assert codes(MEDIUM, own) == ["DENY_APPROVAL_MISSING"]
    assert eligible(with_votes(vote("dana"), vote("omar")), MEDIUM) == ("omar",)


def test_two_people_are_two_people() -> None:
    """The same person twice is one; two different people are two."""
    two = replace(LOW, people=2)
    assert codes(two, with_votes(vote("omar"), vote("omar"), needed=2)) == ["DENY_APPROVAL_MISSING"]
    assert codes(two, with_votes(vote("omar"), vote("lena"), needed=2)) == []


def test_an_outside_approval_is_one_unsigned_yes() -> None:
    """An id that the ledger does not know counts once, and only where unsigned answers do."""
    assert codes(LOW, None, "CHG-1") == []
    assert codes(replace(LOW, people=2), None, "CHG-1") == ["DENY_APPROVAL_MISSING"]


@pytest.mark.parametrize(
    ("request_", "cast", "refused"),
    [
        (REQUEST, vote("omar"), False),
        (REQUEST, vote("omar", "reject"), False),
        (with_votes(vote("omar"), needed=2), vote("lena"), False),
        (with_votes(vote("omar"), needed=2), vote("omar"), True),
        (with_votes(vote("omar"), needed=2), vote("omar", "reject"), False),
        (with_votes(vote("omar", "reject")), vote("lena"), True),
        (REQUEST, vote("omar", plan=OTHER), True),
        (REQUEST, vote("omar", at=NOW - timedelta(hours=2)), True),
        (replace(REQUEST, expires_at=NOW), vote("omar"), True),
        (replace(REQUEST, voided="superseded"), vote("omar"), True),
        (replace(REQUEST, used_by="r1"), vote("omar"), True),
    ],
)
def test_votes_that_can_be_taken(request_: Request, cast: Vote, refused: bool) -> None:
    """A vote is for the plan asked about, once a person, while the request waits; a yes may turn into a no."""
    assert bool(vote_problem(request_, cast, NOW)) is refused
