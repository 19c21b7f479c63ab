"""What observe and abort leave behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from railiance.domain.check import CheckResult
from railiance.domain.lifecycle import moment
from railiance.domain.result_parts import (
    ObservedWorkload,
    RoutingInfo,
    StepInfo,
)
from railiance.domain.results import (
    ObserveResult,
    Status,
)
from railiance.domain.rollout import image_digest, restarts
from railiance.domain.verdict import Verdict
from railiance.domain.watch_record import WatchRecord
from railiance.engine.document_parts import common
from railiance.engine.rollout import TrackState
from railiance.engine.work import Work


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
