"""The five result documents (contract.md, section 8): every key is always there, null where unused.

Never inside: shell text, output of commands, secret values, userinfo, query or fragment of a URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from railiance.domain.candidate import Candidate
from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial, exit_status_of_denials
from railiance.domain.errors import Exit
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


class Part(BaseModel):
    """A part of a result document: closed, so that a misspelt key is an error and not a silent loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolInfo(Part):
    """The versions of the tools that made the result; null where the tool was not used."""

    version: str
    python: str | None = None
    helm: str | None = None
    kubernetes: str | None = None


class RunInfo(Part):
    """Which run this was, and who asked for it and who executed it."""

    id: str
    attempt: int = 1
    flow_run_id: str | None = None
    requester: str | None = None
    executor: str | None = None


class AppInfo(Part):
    """The app, as its contract describes it."""

    id: str
    name: str
    repo: str
    owner: str
    criticality: str


class SourceInfo(Part):
    """Where the candidate comes from."""

    revision: str
    resolved: str | None
    mutable: bool
    dirty: bool
    artifact: str
    digest: str | None


class ImageInfo(Part):
    """An image of the candidate."""

    name: str
    digest: str | None


class FileInfo(Part):
    """A file or tree of the candidate, relative to the app directory."""

    path: str
    digest: str


class CandidateInfo(Part):
    """The candidate."""

    digest: str
    images: list[ImageInfo] = []
    chart: FileInfo | None = None
    values: list[FileInfo] = []


class TargetInfo(Part):
    """Where the verb acted."""

    environment: Literal["local", "production-canary", "production"]
    cluster: str | None = None
    cluster_uid: str | None = None
    namespace: str | None = None
    helm_release: str | None = None


_CHECK_DETAILS = frozenset(
    {
        "exit_code",
        "stdout_bytes",
        "stderr_bytes",
        "url",
        "http_status",
        "address",
        "rendered_digest",
        "resource",
        "observed",
        "query",
        "value",
        "stable_value",
        "bound",
        "samples",
        "window",
        "matches",
    }
)


class CheckInfo(BaseModel):
    """The result of one check: the common keys, and those which its type adds."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    type: str
    required: bool
    verdict: Verdict | None
    skipped: str | None
    reason: str
    attempts: int
    duration_ms: int

    @model_validator(mode="after")
    def _known_details(self) -> Self:
        if unknown := sorted(set(self.model_extra or {}) - _CHECK_DETAILS):
            message = f"no key of a check result: {', '.join(unknown)}"
            raise ValueError(message)
        return self


class EvidenceInfo(Part):
    """A recorded fact, by digest."""

    label: str
    kind: str
    digest: str
    reference: str | None = None


class ApprovalInfo(Part):
    """Who had to say yes, and who did."""

    required: bool = False
    needed: int = 0
    state: Literal["not required", "missing", "granted", "rejected", "expired"] = "not required"
    approval_id: str | None = None
    approved_by: list[str] = []
    four_eyes: bool | None = None
    expires_at: datetime | None = None


class RollbackTarget(Part):
    """What a rollback would bring back."""

    strategy: str
    helm_revision: int | None = None
    candidate: str | None = None
    data: Literal["none", "compatible", "restore-needed"] = "none"


class DenialInfo(Part):
    """One reason why not."""

    code: str
    why: str
    help: str


class Change(Part):
    """One change of a plan: what happens to which object."""

    action: str
    kind: str
    name: str


class Workload(Part):
    """How many pods of a workload are ready."""

    kind: str
    name: str
    ready: int
    desired: int


class ObservedWorkload(Workload):
    """A workload under observation."""

    restarts: int
    image_digest: str | None


class Generation(Part):
    """One installed state of a helm_release."""

    helm_revision: int | None = None
    candidate: str | None = None
    manifest_digest: str | None = None


class HelmInfo(Part):
    """What Helm holds after the verb."""

    helm_revision: int | None = None
    manifest_digest: str | None = None


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
    checks: list[CheckInfo] = []
    expected_evidence: list[str] = []
    evidence: list[EvidenceInfo] = []
    approval: ApprovalInfo = ApprovalInfo()
    rollback_target: RollbackTarget | None = None
    plan_digest: str | None = None
    previous: str | None = None
    denials: list[DenialInfo] = []
    warnings: list[str] = []
    env_read: list[str] = []

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


class CommandInfo(Part):
    """How one stage1 command ended; `ref` names its place in the contract, never its text."""

    ref: str
    exit_code: int | None
    duration_ms: int
    stdout_bytes: int
    stderr_bytes: int
    verdict: Verdict


class ServeInfo(Part):
    """How the local target did: `ready_after_ms` is null if it never answered, `exit_code` if we ended it."""

    ref: str
    ready_after_ms: int | None
    exit_code: int | None


class RunResult(ResultDocument):
    """What `railiance run` leaves behind."""

    schema_version: Literal["railiance.run-result.v1"] = "railiance.run-result.v1"
    stage: Literal["stage1"] = "stage1"
    mode: Literal["run"] = "run"
    commands: list[CommandInfo] = []
    serve: ServeInfo | None = None


class TrafficInfo(Part):
    """How traffic is split: the planned steps, and the weight the canary has now."""

    mode: Literal["isolated", "weighted"]
    provider: str | None = None
    route: str | None = None
    steps: list[dict[str, Any]] = []
    weight: int = 0


class DeployResult(ResultDocument):
    """What `railiance deploy --stage 2` leaves behind."""

    schema_version: Literal["railiance.stage2-deploy-result.v1"] = "railiance.stage2-deploy-result.v1"
    stage: Literal["stage2"] = "stage2"
    traffic: TrafficInfo | None = None
    chart_path: str | None = None
    values_paths: list[str] = []
    baseline: Generation | None = None
    changes: list[Change] = []
    helm: HelmInfo | None = None
    workloads: list[Workload] = []


class RoutingInfo(Part):
    """The weight as set and as seen."""

    declared_weight: int | None = None
    observed_weight: float | None = None
    split_samples: int = 0
    user_traffic: bool = False
    endpoints: dict[Literal["stable", "canary"], int] = {}


class StepInfo(Part):
    """One step of the run, as far as it got."""

    weight: int
    window: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    samples: int = 0
    verdict: Verdict | None = None
    reason: str = ""


class ObserveResult(ResultDocument):
    """What `railiance observe` and `railiance abort` leave behind."""

    schema_version: Literal["railiance.stage2-observe-result.v1"] = "railiance.stage2-observe-result.v1"
    stage: Literal["stage2"] = "stage2"
    workloads: list[ObservedWorkload] = []
    routing: RoutingInfo | None = None
    steps: list[StepInfo] = []
    analysis: dict[str, Any] | None = None
    metrics: list[dict[str, Any]] = []
    logs: list[dict[str, Any]] = []
    dependencies: list[dict[str, Any]] = []
    held_since: datetime | None = None
    concluded: bool = False


class PhaseInfo(Part):
    """One phase of a promotion."""

    name: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None


class BakeInfo(Part):
    """The watch after the promotion."""

    duration: str
    verdict: Verdict | None = None


class PromoteResult(ResultDocument):
    """What `railiance promote` leaves behind."""

    schema_version: Literal["railiance.stage3-promote-result.v1"] = "railiance.stage3-promote-result.v1"
    stage: Literal["stage3"] = "stage3"
    chart_path: str | None = None
    values_paths: list[str] = []
    previous_stable: Generation | None = None
    changes: list[Change] = []
    helm: HelmInfo | None = None
    phases: list[PhaseInfo] = []
    bake: BakeInfo | None = None
    data: dict[str, Any] | None = None
    preauthorised_rollback: dict[str, Any] | None = None


class RestoredGeneration(Generation):
    """The state that a rollback brought back."""

    data_state: str | None = None


class RollbackResult(ResultDocument):
    """What `railiance rollback` leaves behind."""

    schema_version: Literal["railiance.stage3-rollback-result.v1"] = "railiance.stage3-rollback-result.v1"
    stage: Literal["stage3"] = "stage3"
    verification: str | None = None
    apply_requirements: list[str] = []
    trigger: Literal["manual", "bake", "deadline"] = "manual"
    reason: str | None = None
    rolled_back_from: Generation | None = None
    rolled_back_to: RestoredGeneration | None = None
    data_lost_since: datetime | None = None
    hold: dict[str, Any] | None = None


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
        images=[ImageInfo(name=image.name, digest=image.digest) for image in candidate.images],
        chart=candidate.chart and FileInfo(path=candidate.chart.path, digest=candidate.chart.digest),
        values=[FileInfo(path=file.path, digest=file.digest) for file in candidate.values],
    )
