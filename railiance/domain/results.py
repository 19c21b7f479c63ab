"""The five result documents (contract.md, section 8): every key is always there, null where unused.

Never inside: shell text, output of commands, secret values, userinfo, query or fragment of a URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import field_validator

from railiance.domain.candidate import Candidate
from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial, exit_status_of_denials
from railiance.domain.errors import Exit
from railiance.domain.result_parts import (
    AppInfo,
    ApprovalInfo,
    BakeInfo,
    CandidateInfo,
    Change,
    CheckInfo,
    CommandInfo,
    DenialInfo,
    EvidenceInfo,
    FileInfo,
    Generation,
    HelmInfo,
    ImageInfo,
    ObservedWorkload,
    Part,
    PhaseInfo,
    RestoredGeneration,
    RollbackTarget,
    RoutingInfo,
    RunInfo,
    ServeInfo,
    SourceInfo,
    StepInfo,
    TargetInfo,
    ToolInfo,
    TrafficInfo,
    Workload,
)
from railiance.domain.verdict import Verdict


class Status(StrEnum):
    """What a verb did."""

    PLANNED = "planned"
    DENIED = "denied"
    WAITING = "waiting"
    COMPLETED = "completed"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled-back"
    EXPIRED = "expired"


class ResultDocument(Part):
    """The fields that all five documents have. Build one with keyword arguments; see `exit_status_of`."""

    schema_version: str
    stage: Literal["stage1", "stage2", "stage3"]
    mode: Literal["run", "plan", "apply", "live"]
    status: Status
    verdict: Verdict | None = None
    exit_status: int
    started_at: datetime
    finished_at: datetime
    duration_ms: int
    tool: ToolInfo
    run: RunInfo
    contract_path: str
    contract_digest: str
    app_dir: str
    app: AppInfo
    source: SourceInfo
    candidate: CandidateInfo | None = None
    target: TargetInfo
    checks: tuple[CheckInfo, ...] = ()
    expected_evidence: tuple[str, ...] = ()
    evidence: tuple[EvidenceInfo, ...] = ()
    approval: ApprovalInfo = ApprovalInfo()
    rollback_target: RollbackTarget | None = None
    plan_digest: str | None = None
    previous: str | None = None
    denials: tuple[DenialInfo, ...] = ()
    warnings: tuple[str, ...] = ()
    env_read: tuple[str, ...] = ()

    @field_validator("started_at", "finished_at")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            message = "a time without a zone is no time"
            raise ValueError(message)
        return value.astimezone(UTC)

    def document(self) -> dict[str, Any]:
        """Return the document as JSON values, with every key present."""
        return self.model_dump(mode="json")


class RunResult(ResultDocument):
    """What `railiance run` leaves behind."""

    schema_version: Literal["railiance.run-result.v1"] = "railiance.run-result.v1"
    stage: Literal["stage1"] = "stage1"
    mode: Literal["run"] = "run"
    commands: tuple[CommandInfo, ...] = ()
    serve: ServeInfo | None = None


class DeployResult(ResultDocument):
    """What `railiance deploy --stage 2` leaves behind."""

    schema_version: Literal["railiance.stage2-deploy-result.v1"] = "railiance.stage2-deploy-result.v1"
    stage: Literal["stage2"] = "stage2"
    traffic: TrafficInfo | None = None
    chart_path: str | None = None
    values_paths: tuple[str, ...] = ()
    baseline: Generation | None = None
    changes: tuple[Change, ...] = ()
    helm: HelmInfo | None = None
    workloads: tuple[Workload, ...] = ()


class ObserveResult(ResultDocument):
    """What `railiance observe` and `railiance abort` leave behind."""

    schema_version: Literal["railiance.stage2-observe-result.v1"] = "railiance.stage2-observe-result.v1"
    stage: Literal["stage2"] = "stage2"
    workloads: tuple[ObservedWorkload, ...] = ()
    routing: RoutingInfo | None = None
    steps: tuple[StepInfo, ...] = ()
    analysis: dict[str, Any] | None = None
    metrics: tuple[dict[str, Any], ...] = ()
    logs: tuple[dict[str, Any], ...] = ()
    dependencies: tuple[dict[str, Any], ...] = ()
    held_since: datetime | None = None
    concluded: bool = False


class PromoteResult(ResultDocument):
    """What `railiance promote` leaves behind."""

    schema_version: Literal["railiance.stage3-promote-result.v1"] = "railiance.stage3-promote-result.v1"
    stage: Literal["stage3"] = "stage3"
    chart_path: str | None = None
    values_paths: tuple[str, ...] = ()
    previous_stable: Generation | None = None
    changes: tuple[Change, ...] = ()
    helm: HelmInfo | None = None
    phases: tuple[PhaseInfo, ...] = ()
    bake: BakeInfo | None = None
    data: dict[str, Any] | None = None
    preauthorised_rollback: dict[str, Any] | None = None


class RollbackResult(ResultDocument):
    """What `railiance rollback` leaves behind."""

    schema_version: Literal["railiance.stage3-rollback-result.v1"] = "railiance.stage3-rollback-result.v1"
    stage: Literal["stage3"] = "stage3"
    verification: str | None = None
    apply_requirements: tuple[str, ...] = ()
    trigger: Literal["manual", "bake", "deadline"] = "manual"
    reason: str | None = None
    rolled_back_from: Generation | None = None
    rolled_back_to: RestoredGeneration | None = None
    data_lost_since: datetime | None = None
    hold: dict[str, Any] | None = None


DOCUMENTS: dict[str, type[ResultDocument]] = {
    "run": RunResult,
    "deploy": DeployResult,
    "observe": ObserveResult,
    "promote": PromoteResult,
    "rollback": RollbackResult,
}
"""The document that each verb leaves behind, by verb."""


def exit_status_of(status: Status, verdict: Verdict | None, denials: Iterable[Denial] = ()) -> Exit:
    """Return the exit status that belongs to what a verb did.

    A plan that could be made is 0, whatever `--apply` would meet. Waiting is no answer yet. What was
    carried out follows its verdict; without a verdict nothing is known, and that is never a yes.

    Args:
        status: What the verb did.
        verdict: What it concluded, if it had to.
        denials: Why it was denied; only for `denied`.

    Returns:
        The exit status of the command.
    """
    if status is Status.PLANNED:
        return Exit.YES
    if status is Status.DENIED:
        return exit_status_of_denials(denials) or Exit.NO
    if status is Status.EXPIRED or verdict is Verdict.FAIL:
        return Exit.NO
    if status is not Status.WAITING and verdict is Verdict.PASS:
        return Exit.YES
    return Exit.NO_ANSWER


def check_info(result: CheckResult) -> CheckInfo:
    """Return a check's result as it stands in a document."""
    details: Mapping[str, Any] = result.details
    return CheckInfo(
        id=result.id,
        type=result.type,
        required=result.required,
        verdict=result.verdict,
        skipped=result.skipped,
        reason=result.reason,
        attempts=result.attempts,
        duration_ms=result.duration_ms,
        **details,
    )


def denial_info(denial: Denial) -> DenialInfo:
    """Return a denial as it stands in a document."""
    return DenialInfo(code=denial.code, why=denial.why, help=denial.help)


def candidate_info(candidate: Candidate) -> CandidateInfo:
    """Return a candidate as it stands in a document."""
    return CandidateInfo(
        digest=candidate.digest,
        images=tuple(ImageInfo(name=image.name, digest=image.digest) for image in candidate.images),
        chart=candidate.chart and FileInfo(path=candidate.chart.path, digest=candidate.chart.digest),
        values=tuple(FileInfo(path=file.path, digest=file.digest) for file in candidate.values),
    )
