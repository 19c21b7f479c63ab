"""The parts that result documents are made of (contract.md, section 8); the documents are in `results`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from railiance.domain.verdict import Verdict


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
    images: tuple[ImageInfo, ...] = ()
    chart: FileInfo | None = None
    values: tuple[FileInfo, ...] = ()


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
    approved_by: tuple[str, ...] = ()
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


class TrafficInfo(Part):
    """How traffic is split: the planned steps, and the weight the canary has now."""

    mode: Literal["isolated", "weighted"]
    provider: str | None = None
    route: str | None = None
    steps: tuple[dict[str, Any], ...] = ()
    weight: int = 0


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


class RestoredGeneration(Generation):
    """The state that a rollback brought back."""

    data_state: str | None = None
