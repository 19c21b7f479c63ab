"""The result documents: every key is there, none may be misspelt, and the exit status follows what happened."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from railiance.domain.candidate import Candidate, FileDigest, Image
from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial
from railiance.domain.result_parts import AppInfo, RunInfo, SourceInfo, TargetInfo, ToolInfo
from railiance.domain.results import (
    DeployResult,
    ObserveResult,
    PromoteResult,
    RollbackResult,
    RunResult,
    Status,
    candidate_info,
    check_info,
    exit_status_of,
)
from railiance.domain.verdict import Verdict

WHEN = datetime(2026, 1, 1, 12, tzinfo=UTC)
COMMON = {
    "status": "completed",
    "exit_status": 0,
    "started_at": WHEN,
    "finished_at": WHEN,
    "duration_ms": 0,
    "tool": ToolInfo(version="0.1.0"),
    "run": RunInfo(id="r1"),
    "contract_path": "railiance/app.toml",
    "contract_digest": "sha256:00",
    "app_dir": ".",
    "app": AppInfo(id="a", name="A", repo="r", owner="o", criticality="low"),
    "source": SourceInfo(
        revision="v1", resolved=None, mutable=False, dirty=False, artifact="image", digest=None
    ),
    "target": TargetInfo(environment="local"),
}
COMMON_KEYS = {
    "schema_version",
    "stage",
    "mode",
    "status",
    "verdict",
    "exit_status",
    "started_at",
    "finished_at",
    "duration_ms",
    "tool",
    "run",
    "contract_path",
    "contract_digest",
    "app_dir",
    "app",
    "source",
    "candidate",
    "target",
    "checks",
    "expected_evidence",
    "evidence",
    "approval",
    "rollback_target",
    "plan_digest",
    "previous",
    "denials",
    "warnings",
    "env_read",
}


@pytest.mark.parametrize(
    ("model", "added"),
    [
        (RunResult, "commands serve"),
        (DeployResult, "traffic chart_path values_paths baseline changes helm workloads"),
        (ObserveResult, "workloads routing steps analysis metrics logs dependencies held_since concluded"),
        (
            PromoteResult,
            "chart_path values_paths previous_stable changes helm phases bake data preauthorised_rollback",
        ),
        (
            RollbackResult,
            "verification apply_requirements trigger reason rolled_back_from rolled_back_to data_lost_since hold",
        ),
    ],
)
def test_keys(model, added):
    """Each document holds exactly the common keys and those of its own, also where nothing applies."""
    mode = {} if model is RunResult else {"mode": "apply"}
    assert set(model(**COMMON, **mode).document()) == COMMON_KEYS | set(added.split())


def test_unknown_key():
    """A key that the format does not know is refused, not dropped."""
    with pytest.raises(ValidationError, match="verdikt"):
        RunResult(**COMMON, verdikt="PASS")


def test_times_are_utc():
    """Times are written in UTC, and a time without a zone is refused."""
    berlin = timezone(timedelta(hours=1))
    document = RunResult(**{**COMMON, "started_at": datetime(2026, 1, 1, 13, tzinfo=berlin)}).document()
    assert document["started_at"] == "2026-01-01T12:00:00Z"
    with pytest.raises(ValidationError, match="zone"):
        RunResult(**{**COMMON, "started_at": datetime(2026, 1, 1, 13)})  # noqa: DTZ001


def test_check_details():
    """The keys of a check's type stand beside the common ones; any other key is refused."""
    result = CheckResult("c", "http", required=True, verdict=Verdict.PASS, details={"http_status": 200})
    assert check_info(result).model_dump(mode="json")["http_status"] == 200
    with pytest.raises(ValidationError, match="body"):
        check_info(CheckResult("c", "http", required=True, verdict=Verdict.PASS, details={"body": "x"}))


def test_candidate_info():
    """A candidate appears with the digests that make up its name."""
    candidate = Candidate(
        "a",
        "v1",
        "c0ffee",
        False,
        False,
        (Image("i", None),),
        FileDigest("charts/a", "sha256:1"),
        (),
        "sha256:2",
        None,
    )
    info = candidate_info(candidate).model_dump()
    assert info["digest"] == candidate.digest
    assert info["images"] == ({"name": "i", "digest": None},)
    assert info["chart"] == {"path": "charts/a", "digest": "sha256:1"}


def _denial(code: str) -> Denial:
    return Denial(code, "why", "help")


@pytest.mark.parametrize(
    ("status", "verdict", "codes", "expected"),
    [
        (Status.PLANNED, None, [], 0),
        (Status.COMPLETED, Verdict.PASS, [], 0),
        (Status.COMPLETED, Verdict.FAIL, [], 1),
        (Status.COMPLETED, Verdict.UNKNOWN, [], 4),
        (Status.COMPLETED, None, [], 4),
        (Status.ABORTED, Verdict.FAIL, [], 1),
        (Status.ABORTED, Verdict.UNKNOWN, [], 4),
        (Status.ROLLED_BACK, Verdict.PASS, [], 0),
        (Status.WAITING, None, [], 4),
        (Status.WAITING, Verdict.PASS, [], 4),
        (Status.EXPIRED, None, [], 1),
        (Status.DENIED, None, [], 1),
        (Status.DENIED, None, ["DENY_SOAK"], 1),
        (Status.DENIED, None, ["DENY_UNREACHABLE"], 4),
        (Status.DENIED, None, ["DENY_LOCKED"], 5),
        (Status.DENIED, None, ["DENY_PLAN_CHANGED", "DENY_UNREACHABLE"], 5),
        (Status.DENIED, None, ["DENY_UNREACHABLE", "DENY_SOAK", "DENY_LOCKED"], 1),
    ],
)
def test_exit_status(status, verdict, codes, expected):
    """0 is said only for a plan or a PASS; a missing verdict is never a yes."""
    assert exit_status_of(status, verdict, [_denial(code) for code in codes]) == expected
