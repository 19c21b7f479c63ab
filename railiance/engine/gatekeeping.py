"""Collecting what the gate decides on: what is known without the cluster first, then what the target says."""

from __future__ import annotations

from datetime import timedelta

from railiance.adapters.helm import helm_binary
from railiance.adapters.workspace import read_result
from railiance.domain.approval import LIFETIME, ApprovalNeed, needed
from railiance.domain.denial import Denial
from railiance.domain.errors import RailianceError
from railiance.domain.gate import LocalFacts, TargetFacts, local_denials, target_denials
from railiance.domain.lifecycle import Request, StageResult, Standing, Verb
from railiance.domain.plan import Plan
from railiance.domain.supported import unsupported
from railiance.domain.verdict import Verdict
from railiance.engine.planning import Planned, reference_problems
from railiance.engine.work import Work

STAGE_OF = {Verb.DEPLOY: "stage2", Verb.PROMOTE: "stage3", Verb.ROLLBACK: "stage3"}


def local_gate(work: Work, verb: Verb) -> list[Denial]:
    """Return every reason why not that needs no cluster."""
    return [*local_denials(_local_facts(work, verb), work.clock.now()), *unsupported(work.contract, verb)]


def target_gate(
    work: Work,
    verb: Verb,
    standing: Standing,
    planned: Planned,
    *,
    approval_id: str | None = None,
    expected_plan: str | None = None,
    lifted: bool = False,
) -> list[Denial]:
    """Return every reason why not that the target gives, approvals included.

    Args:
        work: Whose gate.
        verb: What is about to be done.
        standing: Where the app stands.
        planned: The plan made now, and what planning met.
        approval_id: The request, or an outside reference, whose approval is claimed.
        expected_plan: Digest that was planned before; another one now is a denial.
        lifted: Whether a person named the candidate, so that a hold does not count.
    """
    candidate = planned.plan.candidate if planned.plan else work.candidate.digest
    request, outside = claimed_request(work, standing, verb, approval_id, planned.plan)
    stage2 = work.contract.stage("stage2")
    problems = planned.problems
    if verb is not Verb.ROLLBACK:
        problems = (*problems, *reference_problems(work, STAGE_OF[verb]))
    facts = TargetFacts(
        standing=standing,
        plan=planned.plan,
        problems=problems,
        need=approval_need(work, verb, preauthorised=is_preauthorised(work, standing, candidate)),
        stage2=standing.results.get(("stage2", candidate)),
        stage2_max_age=stage2.max_age if stage2 else timedelta(0),
        soak=stage2.soak if stage2 else timedelta(0),
        request=request,
        outside_id=outside,
        lifted=lifted,
        expected_plan=expected_plan,
    )
    return target_denials(facts, candidate, verb, work.clock.now())


def approval_need(work: Work, verb: Verb, *, preauthorised: bool = False) -> ApprovalNeed:
    """Return what a verb needs of people for this app.

    Args:
        work: Whose app.
        verb: What is about to be done.
        preauthorised: For a rollback: whether the promotion's approval named this very way back.
    """
    contract = work.contract
    criticality = str(contract.app.criticality)
    stage_name = STAGE_OF[verb]
    stage = contract.stage(stage_name)
    declared = contract.approvals.stage2 if stage_name == "stage2" else contract.approvals.stage3
    people = needed(
        stage_name, criticality, declared=declared, required=bool(stage and stage.requires_approval)
    )
    if verb is Verb.ROLLBACK:
        # Going back needs one person at most, and none where going forward needs none.
        people = 0 if preauthorised else min(people, 1)
    return ApprovalNeed(
        people=people,
        unsigned=criticality == "low" or (criticality == "medium" and contract.approvals.unsigned),
        requester_may=criticality == "low",
        criticality=criticality,
        lifetime=contract.approvals.lifetime or LIFETIME[criticality],
    )


def is_preauthorised(work: Work, standing: Standing, candidate: str) -> bool:
    """Tell whether the last promotion's approval covers going back to this candidate."""
    return work.contract.approvals.preauthorise_rollback and standing.preauthorised == candidate


def claimed_request(
    work: Work, standing: Standing, verb: Verb, approval_id: str | None, plan: Plan | None
) -> tuple[Request | None, str | None]:
    """Return the request whose votes count for a plan, or an approval id that the ledger does not know.

    Without an id that is the newest request for exactly this plan, or the one that this very run has made: a run
    that waited while its plan changed, or past the deadline, must be told so. A no stays one until somebody
    asks anew in so many words (`railiance request`). Any other open request is somebody else's question.
    """
    if approval_id is not None:
        request = standing.requests.get(approval_id)
        return (request, None) if request else (None, approval_id)
    if plan is None:
        return None, None
    asked = [
        r
        for r in standing.requests.values()
        if r.verb is verb and (r.plan_digest == plan.digest or r.run_id == work.run_id)
    ]
    return (asked[-1] if asked and _speaks(work, asked[-1]) else None), None


def _speaks(work: Work, request: Request) -> bool:
    """Tell whether a request that nobody named still has something to say to this run."""
    state = request.state(work.clock.now())
    return state in {"missing", "granted", "rejected"} or (
        state == "expired" and request.run_id == work.run_id
    )


def stage1_result(work: Work) -> tuple[StageResult | None, str | None]:
    """Return Stage 1's recorded end for this candidate from the folder's own results, and whose it is otherwise."""
    document = read_result(work.app_dir, "run")
    if document is None or document.candidate is None:
        return None, None
    candidate = document.candidate.digest
    if candidate != work.candidate.digest:
        return None, candidate
    verdict = str(document.verdict or Verdict.UNKNOWN)
    return StageResult("stage1", candidate, verdict, document.finished_at, document.run.id, object=""), None


def _local_facts(work: Work, verb: Verb) -> LocalFacts:
    contract = work.contract
    stage = contract.stage(STAGE_OF[verb])
    stage1 = contract.stage("stage1")
    found, other = stage1_result(work) if verb is Verb.DEPLOY else (None, None)
    chart = stage.chart if stage else ""
    values = stage.values if stage else ()
    return LocalFacts(
        verb=verb,
        stage_enabled=bool(stage and stage.enabled),
        candidate=work.candidate,
        digest_policy=str(contract.source.digest_policy),
        chart=(chart, work.path(f"{chart}/Chart.yaml").is_file()),
        values=tuple((path, work.path(path).is_file()) for path in values),
        helm_problem=_helm_problem(),
        stage1=found,
        stage1_other=other,
        max_age=stage1.max_age if stage1 else timedelta(0),
    )


def _helm_problem() -> Denial | None:
    try:
        helm_binary()
    except RailianceError as error:
        return Denial(error.code, error.message, error.help)
    return None
