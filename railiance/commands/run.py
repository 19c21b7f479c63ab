"""`railiance run`: Stage 1, on this machine."""

from __future__ import annotations

from typing import Any

import click

from railiance.commands.output import (
    Output,
    Reporter,
    app_argument,
    digest_option,
    if_interrupted,
    output_options,
    refuse_inside_run,
)

DEPLOYMENT = "stage1-run/local"


@click.command()
@app_argument
@digest_option
@output_options
def run(directory: str, digest: str | None, output: Output) -> None:
    """Check the app on this machine: its contract, its commands, its local target, its checks.

    DIR is the app's folder or its id; by default the present folder.
    Exit status 0 only if every stage1 command and every required check passed.
    """
    refuse_inside_run()
    from railiance.adapters import workspace
    from railiance.commands.local_server import run_flow
    from railiance.domain.errors import Unavailable
    from railiance.domain.results import RunResult

    app_dir = workspace.find_app(directory)
    contract = workspace.read_contract(app_dir)  # before Prefect starts: a bad contract is told at once
    workspace.read_candidate(app_dir, contract, digest)
    reporter = output.reporter
    reporter.say(f"Stage 1 of {contract.app.id}", "bold")
    if_interrupted("What was started is stopped; nothing else was changed, and there is no new result.")
    with reporter.listening():
        parameters = {"directory": str(app_dir), "digest": digest}
        outcome = run_flow(DEPLOYMENT, parameters, may_wait=False, reporter=reporter.say)
    if outcome.state != "completed":
        raise outcome.error or Unavailable("RUN_ENDED", f"The flow run is {outcome.state}.", "Run it again.")
    document = RunResult.model_validate(outcome.result)
    _summary(reporter, document)
    output.finish(document)


def _summary(reporter: Reporter, document: Any) -> None:
    """Say what it all means, and what comes next."""
    for denial in document.denials:
        reporter.say(f"{denial.code}: {denial.why}\n  = help: {denial.help}")
    for warning in document.warnings:
        reporter.say(f"warning: {warning}", "yellow")
    if document.verdict is None:
        return
    candidate = document.candidate.digest.removeprefix("sha256:")[:12]
    reporter.answer(document.verdict, f"Stage 1 of {document.app.id}, candidate {candidate}")
    if document.verdict == "PASS":
        reporter.say("Next: railiance deploy --stage 2", "dim")
    else:
        reporter.say("What the commands printed is in .railiance/logs/.", "dim")
