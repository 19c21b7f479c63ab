"""The end of a run: evidence and events into the ledger, the result document into the app's folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from railiance.adapters.workspace import read_result, write_result
from railiance.domain.check import CheckResult
from railiance.domain.lifecycle import EventKind, Verb
from railiance.domain.plan import Plan
from railiance.domain.result_parts import PhaseInfo
from railiance.domain.results import ResultDocument, Status
from railiance.domain.verdict import Verdict
from railiance.engine.documents import deploy_document, promote_document, rollback_document
from railiance.engine.gatekeeping import stage1_result
from railiance.engine.promotion import Baked
from railiance.engine.record import note, record_stage
from railiance.engine.release import Applied
from railiance.engine.stages import Prepared
from railiance.engine.traffic import CANARY, track_state
from railiance.engine.watch import StepEnd, Watched
from railiance.engine.work import Work


@dataclass(frozen=True, slots=True)
class Ended:
    """How carrying out a plan ended.

    Attributes:
        verdict: PASS, FAIL or UNKNOWN.
        reason: The deciding sentence.
        status: What became of the run.
        checks: The declared and built-in checks that were asked.
        applied: What Helm holds for the track that changed.
        phases: Phases of a promotion.
        baked: How the bake ended.
        closes: Whether the run has no more to do.
    """

    verdict: Verdict
    reason: str
    status: Status = Status.COMPLETED
    checks: tuple[CheckResult, ...] = ()
    applied: Applied | None = None
    phases: tuple[PhaseInfo, ...] = ()
    baked: Baked | None = None
    closes: bool = True

    def then(self, went_back: str) -> Ended:
        """Return the same end, rolled back."""
        return replace(self, status=Status.ROLLED_BACK, reason=f"{self.reason}; {went_back}")


def ended_of(watched: Watched) -> Ended:
    """Return how Stage 2 ended from how watching its last step did."""
    reason = watched.record.reason
    match watched.end:
        case StepEnd.CLOSED:
            return Ended(Verdict.PASS, reason, checks=watched.checks)
        case StepEnd.FAILED:
            return Ended(Verdict.FAIL, reason, Status.ABORTED, watched.checks)
        case StepEnd.VISIT_OVER:
            return Ended(Verdict.UNKNOWN, f"the visit is over; {reason}", Status.WAITING, closes=False)
        case StepEnd.YIELDED:
            why = "another run asked for the lock, so this one stopped and left the way back to it"
            return Ended(Verdict.UNKNOWN, why, Status.ABORTED, closes=False)
        case _:
            return Ended(Verdict.UNKNOWN, f"not decided in time: {reason}", Status.ABORTED, watched.checks)


def stage1_into_ledger(work: Work) -> None:
    """Carry Stage 1's end from the folder into the target's ledger, once for each candidate."""
    found, _ = stage1_result(work)
    known = work.standing().results.get(("stage1", work.candidate.digest))
    document = read_result(work.app_dir, "run")
    if found is None or document is None or (known is not None and known.at >= found.at):
        return
    record_stage(work, "stage1", found.candidate, found.verdict, document.document())


def lift_hold(work: Work, prepared: Prepared) -> None:
    """Record that a person lifted a hold by naming its candidate; the gate has let it through only so."""
    candidate = prepared.plan.candidate if prepared.plan else ""
    if (
        prepared.verb is Verb.PROMOTE
        and prepared.standing is not None
        and candidate in prepared.standing.holds
    ):
        note(
            work,
            EventKind.HOLD_LIFTED,
            actor=work.requester,
            candidate=candidate,
            reason="named on promotion",
        )


def refused(work: Work, prepared: Prepared, mode: str = "apply") -> ResultDocument:
    """Return, and keep, the document of a verb that the gate did not let through."""
    builder: Any = {
        Verb.DEPLOY: deploy_document,
        Verb.PROMOTE: promote_document,
        Verb.ROLLBACK: rollback_document,
    }[prepared.verb]
    document: ResultDocument = builder(
        work,
        mode,
        Status.DENIED,
        None,
        plan=prepared.plan,
        denials=prepared.denials,
        request=prepared.request,
    )
    if mode == "apply":
        write_result(work.app_dir, document)
    return document


def conclude_deploy(work: Work, plan: Plan, prepared: Prepared, ended: Ended) -> ResultDocument:
    """Record how Stage 2 ended and return its document."""
    state = track_state(work, CANARY)
    document = deploy_document(
        work,
        "apply",
        ended.status,
        ended.verdict,
        plan=plan,
        checks=ended.checks,
        request=prepared.request,
        state=state,
        applied=ended.applied,
        warnings=(ended.reason,) if ended.verdict is not Verdict.PASS else (),
    )
    if ended.closes:
        record_stage(work, "stage2", plan.candidate, str(ended.verdict), document.document(), plan.digest)
        kind = EventKind.CONCLUDED if ended.status is Status.COMPLETED else EventKind.ABORTED
        note(work, kind, verdict=str(ended.verdict), reason=ended.reason)
    elif ended.status is Status.WAITING:
        note(work, EventKind.HELD, phase="between visits", reason=ended.reason)
    write_result(work.app_dir, document)
    return document


def conclude_promotion(work: Work, plan: Plan, prepared: Prepared, ended: Ended) -> ResultDocument:
    """Record how Stage 3 ended and return its document; a promotion that went back was closed by its rollback."""
    document = promote_document(
        work,
        "apply",
        ended.status,
        ended.verdict,
        plan=plan,
        checks=ended.checks,
        request=prepared.request,
        applied=ended.applied,
        phases=ended.phases,
        baked=ended.baked.verdict if ended.baked else None,
        warnings=(ended.reason,) if ended.verdict is not Verdict.PASS else (),
    )
    record_stage(work, "stage3", plan.candidate, str(ended.verdict), document.document(), plan.digest)
    if ended.verdict is Verdict.PASS:
        note(work, EventKind.PROMOTED, candidate=plan.candidate, reason=ended.reason)
    write_result(work.app_dir, document)
    return document


def conclude_rollback(
    work: Work,
    prepared: Prepared,
    verdict: Verdict,
    reason: str,
    held: str | None,
    checks: Iterable[CheckResult] = (),
) -> ResultDocument:
    """Return, and keep, the document of a rollback."""
    document = rollback_document(
        work,
        "apply",
        Status.ROLLED_BACK,
        verdict,
        plan=prepared.plan,
        checks=checks,
        request=prepared.request,
        good=prepared.good,
        reason=reason,
        held=held,
    )
    write_result(work.app_dir, document)
    return document
