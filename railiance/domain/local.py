"""The decisions of Stage 1: what runs on this machine, what an absent server means, and what it all says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from railiance.domain.candidate import Candidate
from railiance.domain.check import CheckResult, Reading, skipped
from railiance.domain.denial import Denial
from railiance.domain.result_parts import (
    AppInfo,
    CommandInfo,
    RunInfo,
    ServeInfo,
    SourceInfo,
    TargetInfo,
    ToolInfo,
)
from railiance.domain.results import (
    RunResult,
    Status,
    candidate_info,
    check_info,
    denial_info,
    exit_status_of,
)
from railiance.domain.secret_scan import Leak
from railiance.domain.verdict import Verdict, combine
from railiance_schema import (
    Check,
    Contract,
    Finding,
    HelmCheck,
    HelmMode,
    HttpCheck,
    KubernetesCheck,
    LogCheck,
    PromqlCheck,
    Stage,
    TcpCheck,
)

STAGE = "stage1"
NOT_FOUND = 127
"""What a shell answers for a program that is not there."""

ALREADY_ANSWERED = (
    "local target: its checks pass before it is started, so something else answers there. They tell nothing."
    " Stop that, or add a check that only the target passes."
)


@dataclass(frozen=True, slots=True)
class LocalRun:
    """One run of Stage 1, as far as it is known before anything is executed.

    Attributes:
        app_dir: The app directory.
        contract: The contract, with `${{ }}` resolved for Stage 1.
        candidate: What the folder holds.
        contract_path: Path of the contract, relative to the repository's root.
        app_path: Path of the app directory, relative to the repository's root.
        info: Which run this is and who asked for it.
        tool: Versions of the tools that every run uses.
        started_at: When it began.
        warnings: What is no reason to stop, but should be known.
    """

    app_dir: Path
    contract: Contract
    candidate: Candidate
    contract_path: str
    app_path: str
    info: RunInfo
    tool: ToolInfo
    started_at: datetime
    warnings: tuple[str, ...] = ()

    @property
    def stage(self) -> Stage:
        """Return the stage's table; ask `stage1_denial` first."""
        stage = self.contract.stage(STAGE)
        assert stage is not None  # noqa: S101 - the flow asks stage1_denial first
        return stage

    @property
    def checks(self) -> tuple[Check, ...]:
        """Return the declared checks of the stage."""
        return self.contract.checks_of(STAGE)


@dataclass(frozen=True, slots=True)
class ServeOutcome:
    """How the local target did.

    Attributes:
        ready_after_ms: When its checks passed first, or None.
        exit_code: How it ended by itself, or None if it ran until it was stopped.
        awaited: Whether there was a check to wait for.
    """

    ready_after_ms: int | None
    exit_code: int | None
    awaited: bool


def stage1_denial(contract: Contract) -> Denial | None:
    """Return why Stage 1 cannot be run at all, or None."""
    if contract.stage(STAGE) is not None:
        return None
    return Denial(
        "DENY_STAGE",
        "Stage 1 is not enabled in railiance/app.toml.",
        "Add a table [stages.stage1] with a command or a check.",
    )


def cannot_run(check: Check) -> str | None:
    """Return why Stage 1 cannot run a check, or None: it has no cluster and no metrics server."""
    if isinstance(check, PromqlCheck) and not check.judged:
        return "a metric without a bound is only recorded, and there is no metrics server in Stage 1"
    if isinstance(check, HelmCheck) and check.mode is HelmMode.DRY_RUN:
        return "a dry-run needs the cluster, which Stage 1 does not have"
    if isinstance(check, KubernetesCheck | LogCheck):
        return "it needs the cluster, which Stage 1 does not have"
    if isinstance(check, PromqlCheck):
        return "it needs a metrics server, which Stage 1 does not have"
    return None


def conclude(check: Check, reading: Reading, attempts: int, duration_ms: int) -> CheckResult:
    """Return what a check says in Stage 1.

    A missing tool, an absent server or a type that Stage 1 cannot run is FAIL if the check is required,
    and skips it if it is optional.
    """
    if not reading.answered and not check.required:
        return skipped(check.id, check.type, required=False, why=reading.reason)
    return CheckResult(
        id=check.id,
        type=check.type,
        required=check.required,
        verdict=reading.verdict if reading.answered else Verdict.FAIL,
        reason=reading.reason,
        attempts=attempts,
        duration_ms=duration_ms,
        details=reading.details,
    )


def contract_result(findings: Sequence[Finding]) -> CheckResult:
    """Return what the built-in check `railiance.contract` says: errors fail, warnings do not."""
    errors = [finding.code for finding in findings if finding.is_error]
    warnings = len(findings) - len(errors)
    words = (
        f"errors: {', '.join(errors)}"
        if errors
        else f"no errors, {warnings} warning{'' if warnings == 1 else 's'}"
    )
    return CheckResult(
        id="railiance.contract",
        type="builtin",
        required=True,
        verdict=Verdict.FAIL if errors else Verdict.PASS,
        reason=f"The contract has {words}.",
    )


def scanned_places(contract: Contract) -> tuple[str, ...]:
    """Return the files and folders that travel with a contract and so must hold no plaintext secret."""
    stages = (contract.stages.stage1, contract.stages.stage2, contract.stages.stage3)
    charts = [stage.chart for stage in stages if stage is not None]
    fixed = ["railiance", "values", "patches", "runbooks", "docs/promotion.md", "README.md"]
    return tuple(dict.fromkeys([*fixed, *charts, "tests/stage1.sh", "tests/stage2-template.sh"]))


def secrets_result(leaks: Sequence[Leak]) -> CheckResult:
    """Return what the built-in check `railiance.secrets-scan` says."""
    reason = "; ".join(str(leak) for leak in leaks) or "Nothing looks like a plaintext secret."
    return CheckResult(
        id="railiance.secrets-scan",
        type="builtin",
        required=True,
        verdict=Verdict.FAIL if leaks else Verdict.PASS,
        reason=reason,
        details={"matches": len(leaks)},
    )


def command_reading(exit_code: int | None, expected: int, timeout: float) -> Reading:
    """Return what a command's end says; `exit_code` is None if it was ended because its time was over."""
    if exit_code is None:
        return Reading(Verdict.FAIL, f"It did not end within {timeout:g} s and was ended.")
    if exit_code == expected:
        return Reading(Verdict.PASS, f"It ended with {exit_code}.")
    if exit_code == NOT_FOUND:
        return Reading(Verdict.FAIL, "A program that it calls is not there (127).", answered=False)
    return Reading(Verdict.FAIL, f"It ended with {exit_code} instead of {expected}.")


def command_ref(place: int) -> str:
    """Return where a command stands in the contract; results name the place, never the text."""
    return f"stages.stage1.commands[{place}]"


def not_started(ref: str) -> CommandInfo:
    """Return the entry of a command that was not started because an earlier one failed."""
    return CommandInfo(
        ref=ref, exit_code=None, duration_ms=0, stdout_bytes=0, stderr_bytes=0, verdict=Verdict.UNKNOWN
    )


def first_failure(commands: Iterable[CommandInfo]) -> str | None:
    """Return the place of the first command that did not pass, or None."""
    return next((command.ref for command in commands if command.verdict is not Verdict.PASS), None)


def not_asked(check: Check, failed: str) -> CheckResult:
    """Return the result of a check that was not run because a command failed before."""
    return skipped(check.id, check.type, required=check.required, why=f"not run, because {failed} failed")


def awaited(checks: Sequence[Check]) -> tuple[HttpCheck | TcpCheck, ...]:
    """Return the checks that tell when the local target is ready: the required, else the optional ones."""
    network = [check for check in checks if isinstance(check, HttpCheck | TcpCheck)]
    return tuple([check for check in network if check.required] or network)


def serve_verdict(outcome: ServeOutcome | None) -> list[Verdict]:
    """Return what the local target adds to the verdict: nothing if the contract declares none."""
    if outcome is None:
        return []
    failed = outcome.exit_code not in {None, 0} or (outcome.awaited and outcome.ready_after_ms is None)
    return [Verdict.FAIL if failed else Verdict.PASS]


def stage1_verdict(
    commands: Sequence[CommandInfo], checks: Sequence[CheckResult], serve: ServeOutcome | None
) -> Verdict:
    """Return PASS only if every command and every required check passed, and the local target worked."""
    verdicts = [command.verdict for command in commands]
    verdicts += [check.verdict or Verdict.UNKNOWN for check in checks if check.required]
    return combine(verdicts + serve_verdict(serve))


def run_result(
    run: LocalRun,
    finished_at: datetime,
    *,
    commands: Sequence[CommandInfo] = (),
    checks: Sequence[CheckResult] = (),
    serve: ServeOutcome | None = None,
    denial: Denial | None = None,
    helm: str | None = None,
) -> RunResult:
    """Return the document of a run that has ended."""
    status = Status.DENIED if denial else Status.COMPLETED
    verdict = None if denial else stage1_verdict(commands, checks, serve)
    stage = run.contract.stages.stage1
    return RunResult(
        status=status,
        verdict=verdict,
        exit_status=exit_status_of(status, verdict, [denial] if denial else []),
        started_at=run.started_at,
        finished_at=finished_at,
        duration_ms=round((finished_at - run.started_at).total_seconds() * 1000),
        tool=run.tool.model_copy(update={"helm": helm}),
        run=run.info,
        contract_path=run.contract_path,
        contract_digest=run.contract.digest,
        app_dir=run.app_path,
        app=_app(run.contract),
        source=_source(run),
        candidate=candidate_info(run.candidate),
        target=TargetInfo(
            environment="local",
            namespace=stage.namespace if stage else None,
            helm_release=stage.release if stage else None,
        ),
        checks=tuple(check_info(check) for check in checks),
        expected_evidence=stage.evidence if stage else (),
        denials=(denial_info(denial),) if denial else (),
        warnings=run.warnings,
        env_read=run.contract.env_read,
        commands=tuple(commands),
        serve=serve
        and ServeInfo(
            ref="stages.stage1.serve", ready_after_ms=serve.ready_after_ms, exit_code=serve.exit_code
        ),
    )


def warnings_of(contract: Contract, candidate: Candidate, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the contract's warnings, and what will stop this candidate at Stage 2, told now."""
    told = [f"{finding.code} {finding.message}" for finding in findings if not finding.is_error]
    if candidate.dirty:
        told.append("The work tree has changes that no commit holds: this candidate cannot leave Stage 1.")
    if candidate.resolved is None:
        told.append(f"No commit is known for the source_revision {contract.source.revision}.")
    return tuple(told)


def _app(contract: Contract) -> AppInfo:
    app = contract.app
    return AppInfo(
        id=app.id, name=app.name, repo=app.repo, owner=app.owner, criticality=app.criticality.value
    )


def _source(run: LocalRun) -> SourceInfo:
    source, candidate = run.contract.source, run.candidate
    own = next((image.digest for image in candidate.images if image.name == source.image), None)
    return SourceInfo(
        revision=source.revision,
        resolved=candidate.resolved,
        mutable=candidate.mutable,
        dirty=candidate.dirty,
        artifact=source.artifact.value,
        digest=own or source.digest,
    )
