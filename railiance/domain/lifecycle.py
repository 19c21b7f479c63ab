"""Where an app stands, derived from its ledger: open run, requests, votes, evidence, known-good candidates, holds.

Nothing here is remembered elsewhere. Any machine that reads the ledger derives the same standing, so a run whose
process died is found, finished or undone by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from railiance.domain.ports import Event
from railiance.domain.request import Request, Verb, Vote

__all__ = [
    "CLOSING",
    "EventKind",
    "KnownGood",
    "Request",
    "Run",
    "StageResult",
    "Standing",
    "Verb",
    "Vote",
    "derive",
    "left_by",
    "moment",
    "rollback_target",
    "stamp",
]


class EventKind(StrEnum):
    """The words of the ledger (lifecycle.md, section 6)."""

    REQUESTED = "requested"
    VOTED = "voted"
    ANSWERED = "answered"
    VOIDED = "voided"
    PLANNED = "planned"
    DENIED = "denied"
    LOCK_TAKEN = "lock-taken"
    MUTATING = "mutating"
    MUTATED = "mutated"
    VERIFIED = "verified"
    HELD = "held"
    STAGE_RESULT = "stage-result"
    CONCLUDED = "concluded"
    ABORTED = "aborted"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    KNOWN_GOOD = "known-good"
    ADOPTED = "adopted"
    HOLD_SET = "hold-set"
    HOLD_LIFTED = "hold-lifted"
    REJECTED = "rejected"


CLOSING = frozenset({EventKind.CONCLUDED, EventKind.ABORTED, EventKind.PROMOTED, EventKind.ROLLED_BACK})
"""Events after which a run has no more to do to its target."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """The recorded end of one stage for one candidate; `object` is the digest of the whole result document."""

    stage: str
    candidate: str
    verdict: str
    at: datetime
    run_id: str
    object: str
    plan_digest: str | None = None


@dataclass(frozen=True, slots=True)
class KnownGood:
    """A candidate that served all users well; `object` is the digest of its chart, values and manifest."""

    candidate: str
    helm_revision: int
    manifest_digest: str
    object: str
    at: datetime
    source_revision: str = ""
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run that changed, or is about to change, the target, and has not closed.

    `leaves` is, for a rollback, the candidate that users are taken off: known from before it began, so that a
    second call, which goes on with it, still puts that one on hold.
    """

    id: str
    verb: Verb
    candidate: str
    plan_digest: str
    at: datetime
    actor: str
    phase: str = "planned"
    step: int = -1
    data: Mapping[str, Any] = field(default_factory=dict)
    leaves: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an app stands.

    Attributes:
        open_run: The run that has not closed, if any.
        requests: All requests, by id, oldest first.
        results: The latest result of each (stage, candidate).
        latest: The latest result of each stage, whatever its candidate.
        known_good: Known-good candidates, oldest first; the last is not always the one that serves now.
        serving: The known-good entry that serves now, or None before the first promotion.
        holds: Candidate to the reason why no automation may promote it.
        rejected: Candidate to the reason why nobody ever may.
        preauthorised: The candidate that the last promotion's approval allows to go back to, or None.
        last: The last event, or None for an empty ledger.
    """

    open_run: Run | None = None
    requests: Mapping[str, Request] = field(default_factory=dict)
    results: Mapping[tuple[str, str], StageResult] = field(default_factory=dict)
    latest: Mapping[str, StageResult] = field(default_factory=dict)
    known_good: tuple[KnownGood, ...] = ()
    serving: KnownGood | None = None
    holds: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    preauthorised: str | None = None
    last: Event | None = None

    def open_request(self, verb: Verb, now: datetime) -> Request | None:
        """Return the newest request of this verb that still waits or is granted."""
        alive = [
            r for r in self.requests.values() if r.verb == verb and r.state(now) in {"missing", "granted"}
        ]
        return alive[-1] if alive else None

    def good(self, candidate: str) -> KnownGood | None:
        """Return the known-good entry of a candidate."""
        return next((k for k in reversed(self.known_good) if k.candidate == candidate), None)

    def previous_good(self) -> KnownGood | None:
        """Return the known-good entry to go back to: the newest that neither serves now nor is held or rejected."""
        serving = self.serving.candidate if self.serving else None
        out = {serving, *self.holds, *self.rejected}
        return next((k for k in reversed(self.known_good) if k.candidate not in out), None)


def rollback_target(standing: Standing, helm_revision: int | None) -> KnownGood | None:
    """Return the known-good entry that a rollback goes to, or None when there is none.

    While a promotion is open that is what still counts as serving; while a rollback is open, its own target;
    else the newest known-good entry that neither serves nor is held.
    """
    if helm_revision is not None:
        return next((k for k in reversed(standing.known_good) if k.helm_revision == helm_revision), None)
    run = standing.open_run
    if run is not None and run.verb is Verb.ROLLBACK:
        return standing.good(run.candidate)
    if run is not None and run.verb is Verb.PROMOTE:
        return standing.serving
    return standing.previous_good()


def left_by(standing: Standing) -> str | None:
    """Return the candidate that a rollback takes users off: what is being promoted, else what serves."""
    run = standing.open_run
    if run is not None and run.verb is Verb.PROMOTE:
        return run.candidate
    if run is not None and run.verb is Verb.ROLLBACK:
        return run.leaves
    return standing.serving.candidate if standing.serving else None


def moment(text: str) -> datetime:
    """Return the aware moment an event carries as RFC 3339 text."""
    return datetime.fromisoformat(text)


def stamp(at: datetime) -> str:
    """Return a moment as the RFC 3339 text of result documents and events, in UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def derive(events: Iterable[Event]) -> Standing:
    """Return the standing that follows from the events, in order."""
    standing = Standing()
    for event in events:
        standing = replace(_RULES.get(event.kind, _unchanged)(standing, event), last=event)
    return standing


def _unchanged(standing: Standing, _event: Event) -> Standing:
    return standing


def _requested(standing: Standing, event: Event) -> Standing:
    data = event.data
    request = Request(
        id=data["request"],
        verb=Verb(data["verb"]),
        candidate=data["candidate"],
        plan_digest=data["plan_digest"],
        requester=event.actor,
        run_id=event.run_id,
        needed=int(data["needed"]),
        at=moment(event.at),
        expires_at=moment(data["expires_at"]),
        summary=data.get("summary", ""),
        app_id=data.get("app", ""),
    )
    # One open request per app: a newer one supersedes the others.
    older = {
        key: r if r.voided else replace(r, voided=f"superseded by {request.id}")
        for key, r in standing.requests.items()
    }
    return replace(standing, requests={**older, request.id: request})


def _voted(standing: Standing, event: Event) -> Standing:
    request = standing.requests.get(event.data["request"])
    if request is None:
        return standing
    vote = Vote(
        by=event.actor,
        decision=event.data["decision"],
        plan_digest=event.data["plan_digest"],
        comment=event.data.get("comment", ""),
        at=moment(event.at),
        channel=event.data.get("channel", ""),
        signed=bool(event.data.get("signed", False)),
    )
    return _with_request(standing, replace(request, votes=(*request.votes, vote)))


def _answered(standing: Standing, event: Event) -> Standing:
    request = standing.requests.get(event.data["request"])
    return (
        standing
        if request is None
        else _with_request(standing, replace(request, answers=request.answers + 1))
    )


def _voided(standing: Standing, event: Event) -> Standing:
    request = standing.requests.get(event.data["request"])
    if request is None:
        return standing
    return _with_request(standing, replace(request, voided=event.data.get("reason", "voided")))


def _with_request(standing: Standing, request: Request) -> Standing:
    return replace(standing, requests={**standing.requests, request.id: request})


def _planned(standing: Standing, event: Event) -> Standing:
    data = event.data
    run = Run(
        id=event.run_id,
        verb=Verb(data["verb"]),
        candidate=data["candidate"],
        plan_digest=data["plan_digest"],
        at=moment(event.at),
        actor=event.actor,
        data=data,
        leaves=left_by(standing) if data["verb"] == Verb.ROLLBACK else None,
    )
    # An approval is for one carrying-out of its plan.
    used = {
        key: replace(r, used_by=run.id)
        for key, r in standing.requests.items()
        if r.plan_digest == run.plan_digest and r.verb is run.verb and not (r.used_by or r.voided)
    }
    standing = replace(standing, requests={**standing.requests, **used})
    if run.verb is Verb.PROMOTE:
        standing = replace(standing, preauthorised=(data.get("baseline") or {}).get("candidate"))
    return replace(standing, open_run=run)


def _phase(standing: Standing, event: Event) -> Standing:
    run = standing.open_run
    if run is None or run.id != event.run_id:
        return standing
    phase = event.data.get("phase", run.phase)
    return replace(standing, open_run=replace(run, phase=phase, step=event.data.get("step", run.step)))


def _closed(standing: Standing, event: Event) -> Standing:
    if standing.open_run and standing.open_run.id in {event.run_id, event.data.get("run")}:
        standing = replace(standing, open_run=None)
    if event.kind == EventKind.ROLLED_BACK:
        back = standing.good(event.data.get("candidate", ""))
        standing = replace(standing, serving=back or standing.serving)
    return standing


def _stage_result(standing: Standing, event: Event) -> Standing:
    data = event.data
    result = StageResult(
        stage=data["stage"],
        candidate=data["candidate"],
        verdict=data["verdict"],
        at=moment(data.get("finished_at", event.at)),
        run_id=event.run_id,
        object=data.get("object", ""),
        plan_digest=data.get("plan_digest"),
    )
    return replace(
        standing,
        results={**standing.results, (result.stage, result.candidate): result},
        latest={**standing.latest, result.stage: result},
    )


def _known_good(standing: Standing, event: Event) -> Standing:
    data = event.data
    entry = KnownGood(
        candidate=data["candidate"],
        helm_revision=int(data["helm_revision"]),
        manifest_digest=data["manifest_digest"],
        object=data["object"],
        at=moment(event.at),
        source_revision=data.get("source_revision", ""),
        adopted=event.kind == EventKind.ADOPTED,
    )
    others = tuple(k for k in standing.known_good if k.candidate != entry.candidate)
    return replace(standing, known_good=(*others, entry), serving=entry)


def _hold_set(standing: Standing, event: Event) -> Standing:
    return replace(standing, holds={**standing.holds, event.data["candidate"]: event.data.get("reason", "")})


def _hold_lifted(standing: Standing, event: Event) -> Standing:
    return replace(standing, holds={k: v for k, v in standing.holds.items() if k != event.data["candidate"]})


def _rejected(standing: Standing, event: Event) -> Standing:
    return replace(
        standing, rejected={**standing.rejected, event.data["candidate"]: event.data.get("reason", "")}
    )


_RULES: Mapping[str, Callable[[Standing, Event], Standing]] = {
    EventKind.REQUESTED: _requested,
    EventKind.VOTED: _voted,
    EventKind.ANSWERED: _answered,
    EventKind.VOIDED: _voided,
    EventKind.PLANNED: _planned,
    EventKind.MUTATING: _phase,
    EventKind.MUTATED: _phase,
    EventKind.HELD: _phase,
    EventKind.VERIFIED: _phase,
    EventKind.STAGE_RESULT: _stage_result,
    EventKind.CONCLUDED: _closed,
    EventKind.ABORTED: _closed,
    EventKind.PROMOTED: _closed,
    EventKind.ROLLED_BACK: _closed,
    EventKind.KNOWN_GOOD: _known_good,
    EventKind.ADOPTED: _known_good,
    EventKind.HOLD_SET: _hold_set,
    EventKind.HOLD_LIFTED: _hold_lifted,
    EventKind.REJECTED: _rejected,
}
