"""Writing down what happens: events before and after each change, and the recorded end of a stage."""

from __future__ import annotations

from typing import Any

from railiance.domain.canonical import canonical_json
from railiance.domain.lifecycle import EventKind, StageResult, Verb, stamp
from railiance.domain.plan import Plan
from railiance.domain.ports import Event
from railiance.engine.work import Work


def note(work: Work, kind: EventKind, *, actor: str | None = None, **data: Any) -> Event:
    """Write one event of this run; without it nothing may be changed.

    Raises:
        Unavailable: The ledger cannot be written (DENY_LEDGER_UNWRITABLE).
    """
    return work.hands.ledger.append(str(kind), work.run_id, actor or work.executor, data)


def open_run(work: Work, plan: Plan) -> None:
    """Write that this run is about to carry out a plan."""
    note(
        work,
        EventKind.PLANNED,
        actor=work.requester,
        verb=str(plan.verb),
        candidate=plan.candidate,
        plan_digest=plan.digest,
        baseline={"helm_revision": plan.baseline.helm_revision, "candidate": plan.baseline.candidate},
        source_revision=work.candidate.source_revision if plan.verb is not Verb.ROLLBACK else "",
    )


def record_stage(
    work: Work,
    stage: str,
    candidate: str,
    verdict: str,
    document: dict[str, Any],
    plan_digest: str | None = None,
) -> StageResult:
    """Keep a stage's result document and write that the stage ended so."""
    digest = work.hands.ledger.put(canonical_json(document))
    at = document.get("finished_at") or stamp(work.hands.clock.now())
    event = note(
        work,
        EventKind.STAGE_RESULT,
        stage=stage,
        candidate=candidate,
        verdict=verdict,
        object=digest,
        finished_at=at,
        plan_digest=plan_digest,
    )
    return StageResult(stage, candidate, verdict, work.hands.clock.now(), event.run_id, digest, plan_digest)
