"""Stage 1 on this machine: read the folder, run its commands and checks, keep the result."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from railiance import __version__
from railiance.adapters import clock, git, local_checks, local_target, process, progress, workspace
from railiance.adapters.helm import HelmCli
from railiance.adapters.local_checks import Place
from railiance.adapters.local_target import LocalTarget
from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial
from railiance.domain.errors import RailianceError
from railiance.domain.local import (
    ALREADY_ANSWERED,
    STAGE,
    LocalRun,
    ServeOutcome,
    awaited,
    command_reading,
    command_ref,
    conclude,
    contract_result,
    run_result,
    scanned_places,
    secrets_result,
    warnings_of,
)
from railiance.domain.result_parts import CommandInfo, RunInfo, ToolInfo
from railiance.domain.secret_scan import leaks_in
from railiance.domain.verdict import Verdict
from railiance_schema import Check, check_contract


@task(cache_policy=NO_CACHE)
def read_folder(directory: str, run_id: str | None, requester: str, digest: str | None) -> LocalRun:
    """Read the contract and say which candidate the folder holds."""
    app_dir = workspace.find_app(directory)
    contract = workspace.read_contract(app_dir)
    if contract.stage(STAGE) is not None:
        contract = contract.interpolated(STAGE, os.environ)
    findings = check_contract(workspace.contract_bytes(app_dir))
    candidate = workspace.read_candidate(app_dir, contract, digest)
    contract_path, app_path = workspace.repository_paths(app_dir)
    here = git.person(app_dir)
    flow_run_id = flow_run.get_id()
    return LocalRun(
        app_dir=app_dir,
        contract=contract,
        candidate=candidate,
        contract_path=contract_path,
        app_path=app_path,
        info=RunInfo(
            id=run_id or flow_run_id or str(uuid4()),
            flow_run_id=flow_run_id,
            requester=requester or here,
            executor=here,
        ),
        tool=ToolInfo(version=__version__, python=platform.python_version()),
        started_at=clock.now(),
        warnings=warnings_of(contract, candidate, findings),
    )


@task(cache_policy=NO_CACHE)
def check_contract_file(run: LocalRun) -> CheckResult:
    """Ask whether the contract is free of errors."""
    return _told(contract_result(check_contract(workspace.contract_bytes(run.app_dir))))


@task(cache_policy=NO_CACHE)
def scan_for_secrets(run: LocalRun) -> CheckResult:
    """Look for plaintext secrets in the files that travel with the contract."""
    texts = workspace.read_texts(run.app_dir, scanned_places(run.contract))
    return _told(secrets_result([leak for path, text in texts.items() for leak in leaks_in(path, text)]))


@task(cache_policy=NO_CACHE, task_run_name="command {number}")
def run_command(run: LocalRun, number: int) -> CommandInfo:
    """Run one stage1 command in the app directory; its output is shown, and kept in a local file only."""
    place, command = _place(run), run.stage.commands[number]
    limit = run.stage.timeout.total_seconds()
    progress.say(f"$ {command}")
    done = process.run_shell(
        command,
        cwd=run.app_dir,
        env=place.environment,
        timeout=limit,
        output=local_checks.fresh_log(place.logs, f"command-{number}"),
        on_line=progress.output,
    )
    reading = command_reading(done.exit_code, 0, limit)
    progress.answer(reading.verdict, f"{command_ref(number)}: {reading.reason}")
    return CommandInfo(
        ref=command_ref(number),
        exit_code=done.exit_code,
        duration_ms=round(done.duration * 1000),
        stdout_bytes=done.stdout_bytes,
        stderr_bytes=done.stderr_bytes,
        verdict=reading.verdict,
    )


@contextmanager
def served(run: LocalRun, *, wanted: bool) -> Iterator[Callable[[], ServeOutcome | None]]:
    """Start the local target that the contract declares and wait for it; it is gone when the block ends.

    Yields:
        A function that says how the target did until now; None if there is none.
    """
    command = run.stage.serve
    if not wanted or command is None:
        yield lambda: None
        return
    place = _place(run)
    progress.say(f"$ {command}   (local target)")
    local_target.end_leftover(place)
    if local_target.already_answered(awaited(run.checks), place):
        progress.answer(Verdict.FAIL, ALREADY_ANSWERED)
        yield lambda: ServeOutcome(None, None, awaited=True)
        return
    with local_target.serving(command, place) as target:
        wait_for_target(run, target)
        yield target.outcome


@task(cache_policy=NO_CACHE)
def wait_for_target(run: LocalRun, target: LocalTarget) -> None:
    """Repeat the stage's http and tcp checks until they pass or the stage's time is over."""
    reading = target.wait(awaited(run.checks), _place(run), run.stage.timeout.total_seconds())
    progress.answer(reading.verdict, f"local target: {reading.reason}")


@task(cache_policy=NO_CACHE, task_run_name="check {check.id}")
def run_check(run: LocalRun, check: Check) -> CheckResult:
    """Run one declared check, with its retries."""
    reading, attempts, duration_ms = local_checks.ask(check, _place(run))
    return _told(conclude(check, reading, attempts, duration_ms))


@task(cache_policy=NO_CACHE)
def keep_result(
    run: LocalRun,
    commands: list[CommandInfo],
    checks: list[CheckResult],
    serve: ServeOutcome | None,
    denial: Denial | None,
) -> dict[str, Any]:
    """Write the run-result and return it."""
    document = run_result(
        run, clock.now(), commands=commands, checks=checks, serve=serve, denial=denial, helm=_helm(checks)
    )
    workspace.write_result(run.app_dir, document)
    return document.document()


def _place(run: LocalRun) -> Place:
    logs = workspace.state_dir(run.app_dir, "logs")
    return Place(run.app_dir, run.stage, {"RAILIANCE_RUN_ID": run.info.id}, logs)


def _told(result: CheckResult) -> CheckResult:
    optional = "" if result.required else " (optional)"
    progress.answer(result.verdict or "skipped", f"{result.id}{optional}: {result.reason}")
    return result


def _helm(checks: list[CheckResult]) -> str | None:
    """Return Helm's version if a check used it."""
    if not any(check.type == "helm" for check in checks):
        return None
    try:
        return HelmCli(None, None).version()
    except RailianceError:
        return None  # the check itself has said so
