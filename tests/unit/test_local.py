"""The decisions of Stage 1."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from railiance.domain.candidate import Candidate, Image
from railiance.domain.check import CheckResult, Reading
from railiance.domain.local import (
    LocalRun,
    ServeOutcome,
    awaited,
    cannot_run,
    command_reading,
    command_ref,
    conclude,
    contract_result,
    first_failure,
    not_asked,
    not_started,
    run_result,
    scanned_places,
    stage1_denial,
    stage1_verdict,
    warnings_of,
)
from railiance.domain.result_parts import CommandInfo, RunInfo, ToolInfo
from railiance.domain.verdict import Verdict
from railiance_schema import check_contract, load_contract

P, F, U = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
TEXT = """
schema_version = "railiance.app.v1"
app = { id = "a", name = "A", repo = "r/a", owner = "o", criticality = "low", description = "d" }
source = { revision = "git:main", artifact = "image", image = "registry.example/a" }
checks = [
  { id = "page", type = "http", url = "http://127.0.0.1:1/" },
  { id = "maybe", type = "http", url = "http://127.0.0.1:2/", required = false },
  { id = "port", type = "tcp", address = "127.0.0.1", port = 3, required = false },
  { id = "cmd", type = "command", run = "true" },
  { id = "chart", type = "helm" },
  { id = "server-side", type = "helm", mode = "dry-run" },
  { id = "pods", type = "kubernetes" },
  { id = "errors", type = "promql", query = "x", compare = "<", threshold = 1 },
]
[observability]
metrics = [{ name = "queue", reference = "promql:y", stage = "stage1" }]
logs = [{ name = "leaks", reference = "kubectl logs -n a deploy/a", stage = "stage2" }]
[stages]
stage1 = { commands = ["make"], serve = "./a", checks = ["page", "maybe", "port", "cmd", "chart", "server-side", "pods", "errors", "queue", "leaks"], evidence = ["report"] }
"""
CONTRACT = load_contract(TEXT)
CHECKS = {check.id: check for check in CONTRACT.checks_of("stage1")}
CANDIDATE = Candidate(
    "a", "git:main", "c0ffee", True, False, (Image("registry.example/a", None),), None, (), "sha256:1", None
)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
RUN = LocalRun(
    app_dir=Path("/nowhere"),
    contract=CONTRACT,
    candidate=CANDIDATE,
    contract_path="railiance/app.toml",
    app_path=".",
    info=RunInfo(id="r"),
    tool=ToolInfo(version="0"),
    started_at=WHEN,
)


def _command(verdict: Verdict, number: int = 0) -> CommandInfo:
    return CommandInfo(
        ref=command_ref(number), exit_code=0, duration_ms=1, stdout_bytes=0, stderr_bytes=0, verdict=verdict
    )


def _check(verdict: Verdict, *, required: bool = True) -> CheckResult:
    return CheckResult("c", "http", required=required, verdict=verdict)


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("page", True),
        ("port", True),
        ("cmd", True),
        ("chart", True),
        ("server-side", False),
        ("pods", False),
        ("errors", False),
        ("queue", False),
        ("leaks", False),
    ],
)
def test_what_stage1_can_run(name, runs):
    """Stage 1 has no cluster and no metrics server, so it runs only what needs neither."""
    assert (cannot_run(CHECKS[name]) is None) is runs


@pytest.mark.parametrize(
    ("name", "reading", "verdict"),
    [
        ("page", Reading(P, "ok"), P),
        ("page", Reading(F, "404"), F),
        ("page", Reading(F, "refused", answered=False), F),
        ("page", Reading(U, "no name", answered=False), F),
        ("maybe", Reading(F, "refused", answered=False), None),
        ("maybe", Reading(F, "404"), F),
    ],
)
def test_absent_server(name, reading, verdict):
    """An absent server fails a required check and skips an optional one; a wrong answer fails either."""
    assert conclude(CHECKS[name], reading, 1, 5).verdict is verdict


@pytest.mark.parametrize(
    ("exit_code", "expected", "verdict", "answered"),
    [
        (0, 0, P, True),
        (3, 3, P, True),
        (1, 0, F, True),
        (None, 0, F, True),
        (127, 0, F, False),
        (127, 127, P, True),
    ],
)
def test_command_reading(exit_code, expected, verdict, answered):
    """Only the expected exit code passes; 127 says that a tool is missing; being ended is a failure."""
    reading = command_reading(exit_code, expected, 10)
    assert (reading.verdict, reading.answered) == (verdict, answered)


def test_what_is_waited_for():
    """The required http and tcp checks tell when the target is ready; without any, the optional ones do."""
    assert [check.id for check in awaited(list(CHECKS.values()))] == ["page"]
    assert [check.id for check in awaited([CHECKS["maybe"], CHECKS["port"], CHECKS["cmd"]])] == [
        "maybe",
        "port",
    ]


@pytest.mark.parametrize(
    ("commands", "checks", "serve", "expected"),
    [
        ([], [_check(P)], None, P),
        ([_command(P)], [_check(P), _check(F, required=False)], None, P),
        ([_command(F)], [_check(P)], None, F),
        ([_command(P)], [_check(F)], None, F),
        ([_command(P)], [], None, P),
        ([], [], None, U),
        ([], [_check(P, required=False)], None, U),
        ([], [_check(P)], ServeOutcome(5, None, awaited=True), P),
        ([], [_check(P)], ServeOutcome(5, 0, awaited=True), P),
        ([], [_check(P)], ServeOutcome(None, None, awaited=False), P),
        ([], [_check(P)], ServeOutcome(None, None, awaited=True), F),
        ([], [_check(P)], ServeOutcome(5, 1, awaited=True), F),
    ],
)
def test_verdict(commands, checks, serve, expected):
    """PASS needs every command, every required check and a local target that got ready and did not fail."""
    assert stage1_verdict(commands, checks, serve) is expected


def test_after_a_failed_command():
    """After a failed command nothing more is run, and what was not run is never a pass."""
    commands = [_command(P), _command(F, 1), not_started(command_ref(2))]
    assert first_failure(commands) == "stages.stage1.commands[1]"
    assert first_failure(commands[:1]) is None
    result = not_asked(CHECKS["page"], "stages.stage1.commands[1]")
    assert result.verdict is None
    assert "commands[1] failed" in result.skipped
    assert stage1_verdict(commands, [result], None) is F


def test_findings():
    """An error of the contract fails the built-in check; a warning is told, and told again in the result."""
    warned = check_contract(TEXT)
    assert contract_result(warned).verdict is P
    assert contract_result(check_contract("x = 1")).verdict is F
    assert any("RAIL101" in line for line in warnings_of(CONTRACT, CANDIDATE, warned))


@pytest.mark.parametrize(("change", "word"), [({"dirty": True}, "work tree"), ({"resolved": None}, "commit")])
def test_warned_of_stage2(change, word):
    """What will stop the candidate at Stage 2 is told in Stage 1."""
    assert warnings_of(CONTRACT, CANDIDATE, []) == ()
    assert word in warnings_of(CONTRACT, replace(CANDIDATE, **change), [])[0]


def test_not_enabled():
    """Without an enabled Stage 1 nothing is run, and the document says why (exit 1)."""
    assert stage1_denial(CONTRACT) is None
    text = TEXT.partition("[stages]")[0]
    contract = load_contract(text)
    denial = stage1_denial(contract)
    document = run_result(replace(RUN, contract=contract), WHEN, denial=denial)
    assert (document.status, document.verdict, document.exit_status) == ("denied", None, 1)
    assert document.denials[0].code == "DENY_STAGE"


def test_document():
    """The document names places of the contract and digests, never the text of a command."""
    document = run_result(
        RUN, WHEN, commands=[_command(P)], checks=[_check(P)], serve=ServeOutcome(7, None, awaited=True)
    )
    assert (document.verdict, document.exit_status) == (P, 0)
    assert document.candidate.digest == CANDIDATE.digest
    assert document.serve.ready_after_ms == 7
    assert document.target.helm_release == "a-local"
    assert "make" not in document.model_dump_json()


def test_scanned_places():
    """The contract, charts, values, patches, runbooks and the named pages are searched for secrets."""
    assert {"railiance", "values", "patches", "runbooks", "README.md", "charts/a"} <= set(
        scanned_places(CONTRACT)
    )
