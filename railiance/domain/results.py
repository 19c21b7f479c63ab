"""The five result documents (contract.md, section 8): every key is always there, null where it does not apply.

Never inside: shell text, output of commands, secret values, userinfo, query or fragment of a URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

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


class CheckInfo(Part):
    """The result of one check; the keys behind `duration_ms` belong to single types and are left out elsewhere."""

    id: str
    type: str
    required: bool
    verdict: Verdict | None
    skipped: str | None
    reason: str
    attempts: int
    duration_ms: int
    details: dict[str, Any] = Field(default={}, exclude=True)

    _DETAIL_KEYS = frozenset(
        "exit_code stdout_bytes stderr_bytes url http_status address rendered_digest resource observed "
        "query value stable_value bound samples window matches".split()
    )

    @field_validator("details")
    @classmethod
    def _known_details(cls, value: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(value) - cls._DETAIL_KEYS):
            message = f"no key of a check result: {', '.join(unknown)}"
            raise ValueError(message)
        return value
