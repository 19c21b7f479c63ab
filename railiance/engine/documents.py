"""What deploy, promote and rollback leave behind, from what a run knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial
from railiance.domain.lifecycle import KnownGood, Request
from railiance.domain.plan import Plan
from railiance.domain.result_parts import (
    BakeInfo,
    HelmInfo,
    PhaseInfo,
    RestoredGeneration,
)
from railiance.domain.results import (
    DeployResult,
    PromoteResult,
    RollbackResult,
    Status,
)
from railiance.domain.verdict import Verdict
from railiance.engine.document_parts import baseline_of, changes_of, common, traffic_info, workloads_of
from railiance.engine.release import Applied
from railiance.engine.rollout import TrackState
from railiance.engine.work import Work


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


def _helm(applied: Applied | None) -> HelmInfo | None:
    return (
        None
        if applied is None
        else HelmInfo(helm_revision=applied.helm_revision, manifest_digest=applied.manifest_digest)
    )


def idle_visit(work: Work) -> dict[str, Any]:
    """Return the document of a scheduled visit that found nothing to watch; its verdict is null, its exit 0."""
    why = "no open Stage 2 run of this candidate: nothing to watch"
    document = deploy_document(work, "plan", Status.PLANNED, None, plan=None, warnings=(why,))
    return document.document()
