"""`railiance rollback`: bring an earlier stable version back; works while Prefect is down."""

from __future__ import annotations

import click

from railiance.commands.output import (
    Output,
    app_argument,
    approval_option,
    if_interrupted,
    output_options,
    plan_or_apply,
    refuse_inside_run,
)
from railiance.commands.staged import wait_option


@click.command()
@app_argument
@plan_or_apply
@approval_option
@wait_option
@click.option(
    "--revision",
    "helm_revision",
    type=click.IntRange(min=1),
    metavar="HELM_REVISION",
    help="A known-good revision.",
)
@click.option("--reason", default="", help="Why; kept in the record and in the hold.")
@output_options
def rollback(
    directory: str,
    apply: bool,
    approval_id: str | None,
    wait: bool,
    helm_revision: int | None,
    reason: str,
    output: Output,
) -> None:
    """Bring an earlier known-good version back, from whatever state the app is in.

    Traffic returns first; the stable track follows. The candidate that is left is put on hold.
    Going back to what the last promotion replaced is covered by that promotion's approval.
    """
    refuse_inside_run()
    from railiance.commands import staged
    from railiance.domain.lifecycle import Verb
    from railiance.engine.conclude import refused
    from railiance.engine.stages import prepare
    from railiance.recovery import roll_back

    work = staged.open_app(directory)
    prepared = prepare(work, Verb.ROLLBACK, approval_id=approval_id, helm_revision=helm_revision)
    if not apply:
        staged.show_plan(prepared, output.reporter, f"railiance rollback {directory} --apply")
        output.finish(staged.plan_document(work, prepared))
    if prepared.waits_for_people and wait:
        parameters = {"helm_revision": helm_revision, "approval_id": approval_id, "reason": reason}
        waiting = "The rollback waits for an approval: answer in the Prefect UI, or with `railiance approve`."
        staged.carry_out(work, "rollback/stage3", parameters, output, "rollback", waiting=waiting)
    if prepared.denials:
        staged.finish_refused(output, refused(work, prepared))
    if_interrupted(
        f"The rollback is open; the same command goes on with it: railiance rollback {directory} --apply"
    )
    with output.reporter.listening():
        document = roll_back(work, prepared, reason or "asked for on the command line")
    staged.summary(output.reporter, document)
    output.finish(document)
