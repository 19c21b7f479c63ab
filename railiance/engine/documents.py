"""Result documents from what a run knows; the words and keys are those of contract.md, section 8."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from railiance import __version__
from railiance.adapters.workspace import repository_paths
from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial
from railiance.domain.lifecycle import KnownGood, Request, moment
from railiance.domain.plan import Plan
from railiance.domain.result_parts import (
    AppInfo,
    ApprovalInfo,
    BakeInfo,
    Change,
    Generation,
    HelmInfo,
    ObservedWorkload,
    PhaseInfo,
    RestoredGeneration,
    RollbackTarget,
    RoutingInfo,
    RunInfo,
    SourceInfo,
    StepInfo,
    TargetInfo,
    ToolInfo,
    TrafficInfo,
    Workload,
)
from railiance.domain.results import (
    DeployResult,
    ObserveResult,
    PromoteResult,
    RollbackResult,
    Status,
    candidate_info,
    check_info,
    denial_info,
    exit_status_of,
)
from railiance.domain.rollout import image_digest, restarts
from railiance.domain.verdict import Verdict
from railiance.domain.watch_record import WatchRecord
from railiance.engine.gatekeeping import approval_need
from railiance.engine.release import Applied
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


def deploy_document(
    work: Work,
    mode: str,
    status: Status,
    verdict: Verdict | None,
    *,
    plan: Plan | None,
    denials: Iterable[Denial] = (),
    checks: Iterable[CheckResult] = (),
    request: Request | None = None,
    state: TrackState | None = None,
    applied: Applied | None = None,
    warnings: Iterable[str] = (),
) -> DeployResult:
    """Return what `railiance deploy` leaves behind."""
    stage = work.contract.stage("stage2")
    return DeployResult(
        **common(
            work,
            "stage2",
            mode,
            status,
            verdict,
            plan=plan,
            checks=checks,
            denials=denials,
            request=request,
            warnings=warnings,
        ),
        traffic=traffic_info(work, plan),
        chart_path=stage.chart if stage else None,
        values_paths=tuple(stage.values) if stage else (),
        baseline=baseline_of(plan),
        changes=changes_of(plan),
        helm=_helm(applied),
        workloads=workloads_of(state) if state else (),
    )


def promote_document(
    work: Work,
    mode: str,
    status: Status,
    verdict: Verdict | None,
    *,
    plan: Plan | None,
    denials: Iterable[Denial] = (),
    checks: Iterable[CheckResult] = (),
    request: Request | None = None,
    applied: Applied | None = None,
    phases: Iterable[PhaseInfo] = (),
    baked: Verdict | None = None,
    warnings: Iterable[str] = (),
) -> PromoteResult:
    """Return what `railiance promote` leaves behind."""
    stage, previous = work.contract.stage("stage3"), None if plan is None else plan.baseline.candidate
    return PromoteResult(
        **common(
            work,
            "stage3",
            mode,
            status,
            verdict,
            plan=plan,
            checks=checks,
            denials=denials,
            request=request,
            warnings=warnings,
        ),
        chart_path=stage.chart if stage else None,
        values_paths=tuple(stage.values) if stage else (),
        previous_stable=baseline_of(plan),
        changes=changes_of(plan),
        helm=_helm(applied),
        phases=tuple(phases),
        bake=BakeInfo(duration=f"{work.contract.bake.duration.total_seconds():g}s", verdict=baked),
        preauthorised_rollback={"candidate": previous, "data": "none"} if previous else None,
    )


def rollback_document(
    work: Work,
    mode: str,
    status: Status,
    verdict: Verdict | None,
    *,
    plan: Plan | None,
    denials: Iterable[Denial] = (),
    checks: Iterable[CheckResult] = (),
    request: Request | None = None,
    good: KnownGood | None = None,
    reason: str | None = None,
    held: str | None = None,
    trigger: str = "manual",
) -> RollbackResult:
    """Return what `railiance rollback` leaves behind."""
    rollback = work.contract.rollback
    back = None
    if good is not None:
        back = RestoredGeneration(
            helm_revision=good.helm_revision,
            candidate=good.candidate,
            manifest_digest=good.manifest_digest,
            data_state="none",
        )
    return RollbackResult(
        **common(
            work, "stage3", mode, status, verdict, plan=plan, checks=checks, denials=denials, request=request
        ),
        verification=rollback.verification if rollback else None,
        apply_requirements=tuple(denial.help for denial in denials),
        trigger=trigger,
        reason=reason,
        rolled_back_from=baseline_of(plan),
        rolled_back_to=back,
        hold={"candidate": held, "reason": reason} if held else None,
    )


def observe_document(
    work: Work,
    mode: str,
    status: Status,
    record: WatchRecord | None,
    *,
    checks: Iterable[CheckResult] = (),
    warnings: Iterable[str] = (),
    canary: TrackState | None = None,
    stable: TrackState | None = None,
    weight: int | None = None,
) -> ObserveResult:
    """Return what `railiance observe` and `railiance abort` leave behind."""
    verdict = Verdict.UNKNOWN
    if record is not None:
        verdict = Verdict(record.verdict or record.assessment.get("verdict") or "UNKNOWN")
    return ObserveResult(
        **common(work, "stage2", mode, status, verdict, checks=checks, warnings=warnings),
        workloads=_observed(canary) if canary else (),
        routing=_routing(record, canary, stable, weight),
        steps=_steps(record),
        analysis=_analysis(work, record),
        held_since=moment(record.held_since) if record and record.held_since else None,
        concluded=record.concluded if record else False,
    )


def _helm(applied: Applied | None) -> HelmInfo | None:
    return (
        None
        if applied is None
        else HelmInfo(helm_revision=applied.helm_revision, manifest_digest=applied.manifest_digest)
    )


def _observed(state: TrackState) -> tuple[ObservedWorkload, ...]:
    digest = next((found for pod in state.pods if (found := image_digest(pod))), None)
    return tuple(
        ObservedWorkload(
            kind=w.kind,
            name=w.name,
            ready=w.ready,
            desired=w.desired,
            restarts=restarts(state.pods),
            image_digest=digest,
        )
        for w in state.workloads
    )


def _routing(
    record: WatchRecord | None, canary: TrackState | None, stable: TrackState | None, weight: int | None
) -> RoutingInfo:
    counts = record.judge.step if record else None
    seen = counts.canary_requests + counts.stable_requests if counts else 0.0
    return RoutingInfo(
        declared_weight=weight,
        observed_weight=round(100 * counts.canary_requests / seen, 1) if counts and seen else None,
        split_samples=int(seen),
        user_traffic=bool(record and record.judge.total.canary_requests),
        endpoints={"stable": stable.endpoints if stable else 0, "canary": canary.endpoints if canary else 0},
    )


def _steps(record: WatchRecord | None) -> tuple[StepInfo, ...]:
    if record is None:
        return ()
    return tuple(
        StepInfo(
            weight=s.weight,
            window=f"{s.window:g}s",
            started_at=moment(s.started_at) if s.started_at else None,
            ended_at=moment(s.ended_at) if s.ended_at else None,
            samples=s.samples,
            verdict=Verdict(s.verdict) if s.verdict else None,
            reason=s.reason,
        )
        for s in record.steps
    )


def _analysis(work: Work, record: WatchRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    analysis, total, said = work.contract.analysis, record.judge.total, record.assessment
    return {
        "source": str(analysis.source),
        "rule": str(analysis.pass_rule),
        "requests": int(total.canary_requests),
        "errors": int(total.canary_errors),
        "stable_requests": int(total.stable_requests),
        "stable_errors": int(total.stable_errors),
        "worse": said.get("worse"),
        "fine": said.get("fine"),
        "needed": said.get("needed"),
        "tripped": False,
        "reason": record.reason,
        "bounds": {"worse": 1 / analysis.false_alarm, "fine": 1 / analysis.false_pass},
    }


def idle_visit(work: Work) -> dict[str, Any]:
    """Return the document of a scheduled visit that found nothing to watch; its verdict is null, its exit 0."""
    why = "no open Stage 2 run of this candidate: nothing to watch"
    document = deploy_document(work, "plan", Status.PLANNED, None, plan=None, warnings=(why,))
    return document.document()
