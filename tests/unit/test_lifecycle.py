"""Where an app stands, derived from its ledger: who waits, who said yes, what is open, what serves, what is held."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railiance.domain.lifecycle import (
    CLOSING,
    EventKind,
    Standing,
    Verb,
    derive,
    left_by,
    moment,
    rollback_target,
    stamp,
)
from railiance.domain.ports import Event

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
K = EventKind


def history(*entries: tuple[str, dict[str, Any]], run: str = "r1", actor: str = "dana") -> list[Event]:
    """Return events a minute apart; `run` and `actor` in an entry's data win over the defaults."""
    events = []
    for number, (kind, data) in enumerate(entries, 1):
        at = stamp(START + timedelta(minutes=number))
        who, by = data.get("_actor", actor), data.get("_run", run)
        body = {key: value for key, value in data.items() if not key.startswith("_")}
        events.append(Event(number, str(kind), at, by, who, body, "", f"d{number}"))
    return events


def requested(request: str, verb: str = "promote", plan: str = "p1", needed: int = 1, **more: Any) -> Any:
    """Return a request that waits for a day."""
    data = {
        "request": request,
        "verb": verb,
        "candidate": "c1",
        "plan_digest": plan,
        "needed": needed,
        "expires_at": stamp(START + timedelta(days=1)),
    }
    return (K.REQUESTED, {**data, **more})


def voted(request: str, by: str, decision: str = "approve", plan: str = "p1") -> Any:
    """Return one answer."""
    return (K.VOTED, {"request": request, "decision": decision, "plan_digest": plan, "_actor": by})


def planned(
    verb: str, run: str = "r1", plan: str = "p1", candidate: str = "c1", base: str | None = None
) -> Any:
    """Return the beginning of a run."""
    data = {"verb": verb, "candidate": candidate, "plan_digest": plan, "baseline": {"candidate": base}}
    return (K.PLANNED, {**data, "_run": run})


def good(candidate: str, revision: int = 1, kind: str = K.KNOWN_GOOD) -> Any:
    """Return the record of a candidate that served well."""
    data = {"candidate": candidate, "helm_revision": revision, "manifest_digest": "m", "object": "o"}
    return (kind, data)


def state_of(standing: Standing, request: str, now: datetime = START + timedelta(hours=1)) -> str:
    """Return the state of a request."""
    return standing.requests[request].state(now)


# ----- requests and votes


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        ([requested("a")], "missing"),
        ([requested("a"), voted("a", "omar")], "granted"),
        ([requested("a", needed=2), voted("a", "omar")], "missing"),
        ([requested("a", needed=2), voted("a", "omar"), voted("a", "omar")], "missing"),
        ([requested("a", needed=2), voted("a", "omar"), voted("a", "lena")], "granted"),
        ([requested("a"), voted("a", "omar", plan="another")], "missing"),
        ([requested("a"), voted("a", "omar", "reject")], "rejected"),
        ([requested("a"), voted("a", "omar"), voted("a", "lena", "reject")], "rejected"),
        ([requested("a"), voted("a", "lena", "reject"), voted("a", "omar")], "rejected"),
        ([requested("a"), (K.VOIDED, {"request": "a", "reason": "withdrawn"})], "voided"),
        ([requested("a"), voted("a", "omar"), requested("b", plan="p2")], "voided"),
        ([requested("a"), voted("a", "omar"), planned("promote")], "used"),
        ([requested("a"), voted("a", "omar"), planned("promote", plan="p2")], "granted"),
        ([requested("a"), voted("a", "omar"), planned("rollback")], "granted"),
        ([requested("a"), voted("a", "omar"), planned("promote"), requested("b", plan="p2")], "used"),
        ([requested("a"), voted("b", "omar")], "missing"),
    ],
)
def test_the_state_of_a_request(entries: list[Any], state: str) -> None:
    """A yes counts for exactly its plan, once a person; a no is final; a newer request voids; a run uses it up."""
    assert state_of(derive(history(*entries)), "a") == state


def test_a_request_runs_out() -> None:
    """At its deadline a request is expired, granted or not."""
    standing = derive(history(requested("a"), voted("a", "omar")))
    deadline = START + timedelta(days=1)
    assert state_of(standing, "a", deadline - timedelta(seconds=1)) == "granted"
    assert state_of(standing, "a", deadline) == "expired"
    assert standing.open_request(Verb.PROMOTE, deadline) is None


def test_answers_are_counted_whether_they_are_votes_or_not() -> None:
    """Each answer of the form moves the key under which the run waits, so none is read twice."""
    answered = (K.ANSWERED, {"request": "a", "outcome": "no usable answer"})
    assert derive(history(requested("a"), answered, answered)).requests["a"].answers == 2


def test_open_request_is_of_its_verb() -> None:
    """Only a request that waits or is granted is open, and only for the verb it asked about."""
    standing = derive(history(requested("a"), requested("b", verb="rollback", plan="p2")))
    now = START + timedelta(hours=1)
    assert standing.open_request(Verb.PROMOTE, now) is None
    assert standing.open_request(Verb.ROLLBACK, now) == standing.requests["b"]


@pytest.mark.parametrize("kind", [K.VOTED, K.ANSWERED, K.VOIDED])
def test_an_answer_to_an_unknown_request_changes_nothing(kind: str) -> None:
    """What refers to a request that nobody made is no request."""
    data = {"request": "ghost", "decision": "approve", "plan_digest": "p1"}
    assert not derive(history((kind, data))).requests


@settings(deadline=None)
@given(votes=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["approve", "reject"]))))
def test_a_no_is_final_whatever_else_is_said(votes: list[tuple[str, str]]) -> None:
    """In any order of votes: one no rejects; else as many distinct people as needed grant."""
    entries = [requested("r", needed=2), *(voted("r", by, decision) for by, decision in votes)]
    people = {by for by, decision in votes if decision == "approve"}
    said_no = any(decision == "reject" for _, decision in votes)
    expected = "rejected" if said_no else ("granted" if len(people) >= 2 else "missing")
    assert state_of(derive(history(*entries)), "r") == expected


# ----- open run


@pytest.mark.parametrize("kind", sorted(CLOSING))
@pytest.mark.parametrize("verb", list(Verb))
def test_every_closing_event_closes_its_run(kind: str, verb: Verb) -> None:
    """A run is closed by its own end, or by another run's event that names it."""
    begin = planned(str(verb), run="r1")
    assert derive(history(begin)).open_run is not None
    assert derive(history(begin, (kind, {"_run": "r1"}))).open_run is None
    assert derive(history(begin, (kind, {"_run": "r2", "run": "r1"}))).open_run is None


@pytest.mark.parametrize("kind", sorted(CLOSING))
def test_somebody_elses_end_closes_nothing(kind: str) -> None:
    """The end of another run leaves an open one open."""
    standing = derive(history(planned("deploy", run="r1"), (kind, {"_run": "r2"})))
    assert standing.open_run is not None
    assert standing.open_run.id == "r1"


@pytest.mark.parametrize("kind", sorted(set(EventKind) - CLOSING - {K.PLANNED}))
def test_nothing_else_closes_a_run(kind: str) -> None:
    """No other event ends a run, so a run whose process died is found."""
    data = {
        "request": "a",
        "verb": "promote",
        "candidate": "c1",
        "plan_digest": "p1",
        "needed": 1,
        "expires_at": stamp(START),
        "decision": "approve",
        "stage": "stage2",
        "verdict": "PASS",
        "helm_revision": 1,
        "manifest_digest": "m",
        "object": "o",
    }
    assert derive(history(planned("promote"), (kind, data))).open_run is not None


def test_phase_and_step_of_the_open_run() -> None:
    """Events of the run itself move its phase and step; those of others do not."""
    entries = [
        planned("deploy"),
        (K.MUTATING, {"phase": "step", "step": 1}),
        (K.MUTATED, {"phase": "step"}),
        (K.MUTATING, {"phase": "rolling-back", "step": 9, "_run": "r2"}),
    ]
    run = derive(history(*entries)).open_run
    assert run is not None
    assert (run.phase, run.step, run.verb, run.actor) == ("step", 1, Verb.DEPLOY, "dana")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["r1", "r2"]), st.sampled_from([K.PLANNED, *sorted(CLOSING)])), max_size=8
    )
)
def test_the_open_run_is_the_last_begun_unless_closed_since(sequence: list[tuple[str, str]]) -> None:
    """In any order of beginnings and ends, at most the newest run is open."""
    entries = [
        planned("deploy", run=run) if kind == K.PLANNED else (kind, {"_run": run}) for run, kind in sequence
    ]
    last = max((i for i, (_, kind) in enumerate(sequence) if kind == K.PLANNED), default=None)
    expected = None
    if last is not None:
        run = sequence[last][0]
        closed = any(by == run for by, _ in sequence[last + 1 :])
        expected = None if closed else run
    found = derive(history(*entries)).open_run
    assert (found.id if found else None) == expected


# ----- results, known-good, holds


def test_results_are_kept_by_candidate_and_the_latest_by_stage() -> None:
    """A later candidate's result does not replace an earlier one's; of the same candidate the later counts."""

    def ended(candidate: str, verdict: str) -> Any:
        return (K.STAGE_RESULT, {"stage": "stage2", "candidate": candidate, "verdict": verdict})

    standing = derive(history(ended("c1", "FAIL"), ended("c1", "PASS"), ended("c2", "UNKNOWN")))
    assert standing.results["stage2", "c1"].verdict == "PASS"
    assert standing.latest["stage2"].candidate == "c2"


def test_a_result_counts_from_its_own_end() -> None:
    """Evidence that was carried into the ledger late is as old as it is."""
    data = {
        "stage": "stage1",
        "candidate": "c",
        "verdict": "PASS",
        "finished_at": stamp(START - timedelta(days=3)),
    }
    assert derive(history((K.STAGE_RESULT, data))).latest["stage1"].at == START - timedelta(days=3)


def test_serving_and_the_way_back() -> None:
    """The newest known-good serves; the one before is the way back, and after a rollback it serves again."""
    standing = derive(history(good("c1"), good("c2", 2)))
    assert standing.serving is not None
    assert standing.serving.candidate == "c2"
    assert rollback_target(standing, None) == standing.good("c1")
    back = derive(history(good("c1"), good("c2", 2), (K.ROLLED_BACK, {"candidate": "c1"})))
    assert back.serving == back.good("c1")


def test_the_same_candidate_twice_is_one_entry() -> None:
    """A candidate promoted again is known-good once, with its newest helm_revision."""
    standing = derive(history(good("c1"), good("c2", 2), good("c1", 3)))
    assert [(k.candidate, k.helm_revision) for k in standing.known_good] == [("c2", 2), ("c1", 3)]


def test_an_adopted_app_is_known_good() -> None:
    """What was taken over serves, and a rollback may come back to it."""
    standing = derive(history(good("c1", 7, K.ADOPTED)))
    assert standing.serving is not None
    assert (standing.serving.helm_revision, standing.serving.adopted) == (7, True)


def test_no_way_back_to_what_is_held_or_rejected() -> None:
    """A rollback passes over candidates on hold and rejected ones; a lifted hold counts no more."""
    ledger = [good("c1"), good("c2", 2), good("c3", 3), good("c4", 4)]
    hold = (K.HOLD_SET, {"candidate": "c3", "reason": "r"})
    reject = (K.REJECTED, {"candidate": "c2"})

    def target(*more: Any) -> str:
        found = rollback_target(derive(history(*ledger, *more)), None)
        return found.candidate if found else "none"

    assert target() == "c3"
    assert target(hold) == "c2"
    assert target(hold, reject) == "c1"
    assert target(hold, reject, (K.HOLD_LIFTED, {"candidate": "c3"})) == "c3"


@pytest.mark.parametrize(
    ("open_run", "revision", "target"),
    [
        (None, None, "c1"),
        (None, 1, "c1"),
        (None, 2, "c2"),
        (None, 9, None),
        (planned("promote", candidate="c3"), None, "c2"),
        (planned("promote", candidate="c3"), 1, "c1"),
        (planned("rollback", candidate="c1"), None, "c1"),
        (planned("rollback", candidate="c2"), None, "c2"),
        (planned("deploy", candidate="c3"), None, "c1"),
    ],
)
def test_rollback_target(open_run: Any, revision: int | None, target: str | None) -> None:
    """Half-way through a promotion: what served before it; through a rollback: its own; else the one before."""
    entries = [good("c1", 1), good("c2", 2), *([open_run] if open_run else [])]
    found = rollback_target(derive(history(*entries)), revision)
    assert (found.candidate if found else None) == target


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], "c2"),
        ([planned("promote", candidate="c3")], "c3"),
        ([planned("promote", candidate="c3"), planned("rollback", candidate="c2")], "c3"),
        (
            [
                planned("promote", candidate="c3"),
                planned("rollback", candidate="c2"),
                planned("rollback", run="r2", candidate="c2"),
            ],
            "c3",
        ),
        ([planned("rollback", candidate="c1")], "c2"),
        ([planned("deploy", candidate="c3")], "c2"),
    ],
)
def test_what_a_rollback_leaves(events: list[Any], left: str) -> None:
    """The candidate that will be on hold is what was being promoted, also when the rollback is called again."""
    assert left_by(derive(history(good("c1", 1), good("c2", 2), *events))) == left


def test_a_first_install_has_no_way_back() -> None:
    """Without a known-good entry there is nothing to go back to."""
    assert rollback_target(derive(history(planned("promote"))), None) is None


def test_preauthorised_is_what_the_last_promotion_replaced() -> None:
    """A promotion's approval names one way back; a canary or a rollback names none."""
    promote = planned("promote", base="c0")
    assert derive(history(promote)).preauthorised == "c0"
    assert derive(history(promote, planned("deploy", base="c1"))).preauthorised == "c0"
    assert derive(history(promote, planned("rollback", base="c1"))).preauthorised == "c0"
    assert derive(history(promote, planned("promote", base="c1"))).preauthorised == "c1"
    assert derive(history(planned("deploy", base="c1"))).preauthorised is None


# ----- in general


def test_events_that_say_nothing_of_the_standing() -> None:
    """Denials and locks are history; they leave everything but `last` as it was."""
    events = history((K.DENIED, {}), (K.LOCK_TAKEN, {"fence": 3}), ("a-word-of-tomorrow", {}))
    assert derive(events) == Standing(last=events[-1])


@settings(deadline=None)
@given(st.lists(st.sampled_from(["c1", "c2", "c3"]), min_size=1), st.integers(0, 10))
def test_a_standing_follows_from_the_events_alone(candidates: Iterable[str], cut: int) -> None:
    """Deriving twice gives the same; what was known-good once stays in the record."""
    events = history(*(good(candidate) for candidate in candidates))
    assert derive(events) == derive(list(events))
    early = {k.candidate for k in derive(events[:cut]).known_good}
    assert early <= {k.candidate for k in derive(events).known_good}


@settings(deadline=None)
@given(
    st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001
        max_value=datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
)
def test_moments_survive_their_text(at: datetime) -> None:
    """A moment written and read again is the same to the millisecond."""
    assert abs(moment(stamp(at)) - at) < timedelta(milliseconds=1)
