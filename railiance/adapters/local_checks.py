"""Run the checks that need nothing but this machine: commands, HTTP, TCP, and charts rendered by Helm."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from railiance.adapters import clock, probe, process, progress
from railiance.adapters.helm import HelmCli
from railiance.domain.canonical import sha256_digest
from railiance.domain.check import Reading
from railiance.domain.errors import RailianceError, Unavailable
from railiance.domain.local import cannot_run, command_reading
from railiance.domain.verdict import Verdict
from railiance_schema import Check, CommandCheck, HelmCheck, HelmMode, HttpCheck, Stage, TcpCheck


@dataclass(frozen=True, slots=True)
class Place:
    """Where checks are run.

    Attributes:
        app_dir: The app directory; relative paths of the contract start here.
        stage: The stage's table, for what a check takes from it.
        environment: Variables added for commands.
        logs: Folder that receives what commands print.
    """

    app_dir: Path
    stage: Stage
    environment: Mapping[str, str]
    logs: Path


def ask(check: Check, place: Place) -> tuple[Reading, int, int]:
    """Run a check until it passes or its retries are used up.

    Returns:
        The last reading, the number of attempts, and the milliseconds that all of them took.
    """
    started = clock.monotonic()
    attempts, reading = 1, read(check, place)
    while reading.verdict is not Verdict.PASS and attempts <= check.retries and cannot_run(check) is None:
        clock.sleep(check.interval.total_seconds())
        attempts, reading = attempts + 1, read(check, place)
    return reading, attempts, round((clock.monotonic() - started) * 1000)


def read(check: Check, place: Place, *, timeout: float | None = None) -> Reading:
    """Run a check once, within its own timeout or a shorter one."""
    if why := cannot_run(check):
        return Reading(Verdict.UNKNOWN, f"It cannot run in Stage 1: {why}.", answered=False)
    limit = min(check.timeout.total_seconds(), timeout or check.timeout.total_seconds())
    if isinstance(check, HttpCheck):
        return http(check, place, limit)
    if isinstance(check, TcpCheck):
        return probe.tcp(check.address, check.port, tls=check.tls, timeout=limit)
    if isinstance(check, CommandCheck):
        return command(check, place, limit)
    if isinstance(check, HelmCheck):
        return helm(check, place)
    return Reading(Verdict.UNKNOWN, f"Nobody knows how to run a check of type {check.type}.", answered=False)


def http(check: HttpCheck, place: Place, limit: float) -> Reading:
    """Ask a server once, within so many seconds."""
    return probe.http(
        check.url,
        method=check.method,
        expected=check.expected_status,
        host_header=check.host_header,
        headers=check.headers,
        contains=check.contains,
        tls_ca=place.app_dir / check.tls_ca if check.tls_ca else None,
        timeout=limit,
    )


def command(check: CommandCheck, place: Place, limit: float) -> Reading:
    """Run a command once, within so many seconds; what it prints goes to the terminal and a local file."""
    try:
        done = process.run_shell(
            check.run or shlex.join(check.argv or ()),
            cwd=place.app_dir / check.cwd,
            env=place.environment,
            timeout=limit,
            output=fresh_log(place.logs, f"check-{check.id}"),
            on_line=progress.output,
        )
    except Unavailable as error:
        return Reading(Verdict.FAIL, error.message, answered=False)
    reading = command_reading(done.exit_code, check.expect_exit, limit)
    details = {
        "exit_code": done.exit_code,
        "stdout_bytes": done.stdout_bytes,
        "stderr_bytes": done.stderr_bytes,
    }
    return Reading(reading.verdict, reading.reason, reading.answered, details)


def helm(check: HelmCheck, place: Place) -> Reading:
    """Render or lint a chart once; its values come from the check or from the stage."""
    stage = place.stage
    chart = place.app_dir / (check.chart or stage.chart)
    values = [place.app_dir / path for path in (stage.values if check.values is None else check.values)]
    if missing := next((path for path in (chart, *values) if not path.exists()), None):
        return Reading(Verdict.FAIL, f"There is no {missing.relative_to(place.app_dir)}.")
    cli = HelmCli(None, None)
    try:
        if check.mode is HelmMode.LINT:
            cli.lint(chart, values, {})
            return Reading(Verdict.PASS, "helm lint --strict finds nothing.")
        rendered = cli.template(
            chart, stage.release, stage.namespace, values, {}, kube_version=check.kube_version
        )
    except RailianceError as error:
        return _helm_failed(error, check, place)
    digest = sha256_digest(rendered.encode())
    return Reading(Verdict.PASS, "The chart renders.", details={"rendered_digest": digest})


def _helm_failed(error: RailianceError, check: HelmCheck, place: Place) -> Reading:
    """Say that Helm is missing or refused; its words may repeat values, so they stay out of the reading."""
    if isinstance(error, Unavailable) or error.code.startswith("DENY_HELM"):
        return Reading(Verdict.FAIL, error.message, answered=False)
    log = fresh_log(place.logs, f"check-{check.id}")
    log.write_text(f"{error}\n", "utf-8")
    for line in error.message.splitlines():
        progress.output(line)
    return Reading(Verdict.FAIL, f"helm {check.mode.value} refuses the chart; its words are in {log.name}.")


def fresh_log(folder: Path, name: str) -> Path:
    """Return an empty file for what a command prints; nobody else may read it, as it may hold secrets."""
    path = folder / f"{name}.log"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    return path
