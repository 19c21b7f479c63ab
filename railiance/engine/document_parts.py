"""The parts that all result documents share; the words and keys are those of contract.md, section 8."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from railiance import __version__
from railiance.adapters.workspace import repository_paths
from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial
from railiance.domain.lifecycle import Request
from railiance.domain.plan import Plan
from railiance.domain.result_parts import (
    AppInfo,
    ApprovalInfo,
    Change,
    Generation,
    RollbackTarget,
    RunInfo,
    SourceInfo,
    TargetInfo,
    ToolInfo,
    TrafficInfo,
    Workload,
)
from railiance.domain.results import (
    Status,
    candidate_info,
    check_info,
    denial_info,
    exit_status_of,
)
from railiance.domain.verdict import Verdict
from railiance.engine.gatekeeping import approval_need
from railiance.engine.rollout import TrackState
from railiance.engine.work import Work

ENVIRONMENT = {"stage1": "local", "stage2": "production-canary", "stage3": "production"}


def common(
    work: Work,
    stage: str,
    mode: str,
    status: Status,
    verdict: Verdict | None,
    *,
    plan: Plan | None = None,
    checks: Iterable[CheckResult] = (),
    denials: Iterable[Denial] = (),
    request: Request | None = None,
    warnings: Iterable[str] = (),
    previous: str | None = None,
) -> dict[str, Any]:
    """Return the fields that all result documents have, as keyword arguments of their models."""
    contract, finished = work.contract, work.clock.now()
    denials = tuple(denials)
    contract_path, app_dir = repository_paths(work.app_dir)
    declared = contract.stage(stage)
    return {
        "stage": stage,
        "mode": mode,
        "status": status,
        "verdict": verdict,
        "exit_status": int(exit_status_of(status, verdict, denials)),
        "started_at": work.started_at,
        "finished_at": finished,
        "duration_ms": int((finished - work.started_at) / timedelta(milliseconds=1)),
        "tool": ToolInfo(
            version=__version__,
            python=platform.python_version(),
            helm=plan.versions.get("helm") if plan else None,
            kubernetes=plan.versions.get("kubernetes") if plan else None,
        ),
        "run": RunInfo(id=work.run_id, requester=work.requester, executor=work.executor),
        "contract_path": contract_path,
        "contract_digest": contract.digest,
        "app_dir": app_dir,
        "app": AppInfo(
            id=contract.app.id,
            name=contract.app.name,
            repo=contract.app.repo,
            owner=contract.app.owner,
            criticality=str(contract.app.criticality),
        ),
        "source": _source(work),
        "candidate": candidate_info(work.candidate),
        "target": _target(work, stage, plan),
        "checks": tuple(check_info(check) for check in checks),
        "expected_evidence": tuple(declared.evidence) if declared else (),
        "approval": _approval(work, plan, request),
        "rollback_target": _rollback_target(plan),
        "plan_digest": plan.digest if plan else None,
        "previous": previous,
        "denials": tuple(denial_info(denial) for denial in denials),
        "warnings": tuple(warnings) if plan is None else (*plan.warnings, *warnings),
    }


def traffic_info(work: Work, plan: Plan | None, weight: int = 0) -> TrafficInfo | None:
    """Return how traffic is split by a plan."""
    if plan is None:
        return None
    return TrafficInfo(
        mode=plan.traffic_mode,
        provider=plan.provider,
        route=work.contract.traffic.route,
        steps=tuple(
            {"weight": s.weight, "window": f"{s.window:g}s", "min_samples": s.min_samples} for s in plan.steps
        ),
        weight=weight,
    )


def changes_of(plan: Plan | None) -> tuple[Change, ...]:
    """Return what a plan does to each object."""
    if plan is None:
        return ()
    return tuple(Change(action=c.action, kind=c.kind, name=c.name) for r in plan.releases for c in r.changes)


def baseline_of(plan: Plan | None) -> Generation | None:
    """Return the live stable state a plan was made against; None for a first install."""
    if plan is None or plan.baseline.helm_revision is None:
        return None
    base = plan.baseline
    return Generation(
        helm_revision=base.helm_revision, candidate=base.candidate, manifest_digest=base.manifest_digest
    )


def workloads_of(state: TrackState) -> tuple[Workload, ...]:
    """Return how many pods of each workload are ready."""
    return tuple(
        Workload(kind=w.kind, name=w.name, ready=w.ready, desired=w.desired) for w in state.workloads
    )


def _source(work: Work) -> SourceInfo:
    candidate = work.candidate
    return SourceInfo(
        revision=candidate.source_revision,
        resolved=candidate.resolved,
        mutable=candidate.mutable,
        dirty=candidate.dirty,
        artifact=str(work.contract.source.artifact),
        digest=candidate.images[0].digest if candidate.images else None,
    )


def _target(work: Work, stage: str, plan: Plan | None) -> TargetInfo:
    declared = work.contract.stage(stage)
    target: Mapping[str, Any] = {}
    if plan is not None:
        target = {"cluster": plan.target.cluster, "cluster_uid": plan.target.cluster_uid}
    return TargetInfo(
        environment=ENVIRONMENT[stage],
        namespace=declared.namespace if declared else None,
        helm_release=declared.release if declared else None,
        **target,
    )


def _approval(work: Work, plan: Plan | None, request: Request | None) -> ApprovalInfo:
    if plan is None:
        return ApprovalInfo()
    need = approval_need(work, plan.verb)
    if need.people == 0:
        return ApprovalInfo()
    state = request.state(work.clock.now()) if request else "missing"
    return ApprovalInfo(
        required=True,
        needed=need.people,
        state=_SHOWN.get(state, "missing"),
        approval_id=request.id if request else None,
        approved_by=request.approved_by if request else (),
        four_eyes=(bool(request.approved_by) and request.requester not in request.approved_by)
        if request
        else None,
        expires_at=request.expires_at if request else None,
    )


_SHOWN: Mapping[str, Any] = {
    "granted": "granted",
    "used": "granted",
    "rejected": "rejected",
    "expired": "expired",
}
"""What a request's state is called in documents; a void one approves nothing."""


def _rollback_target(plan: Plan | None) -> RollbackTarget | None:
    if plan is None:
        return None
    return RollbackTarget(
        strategy=str(plan.rollback.get("strategy")),
        helm_revision=plan.rollback.get("helm_revision"),
        candidate=plan.rollback.get("candidate"),
        data="none",
    )
