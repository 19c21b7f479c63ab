"""`railiance deploy --stage 2`: show the candidate to a small share of users, and watch."""

from __future__ import annotations

import click

from railiance.commands.output import (
    Output,
    app_argument,
    approval_option,
    digest_option,
    output_options,
    plan_or_apply,
    refuse_inside_run,
)
from railiance.commands.staged import wait_option


@click.command()
@app_argument
@click.option(
    "--stage", type=click.Choice(["2"]), required=True, help="The stage; Stage 3 is `railiance promote`."
)
@plan_or_apply
@digest_option
@approval_option
@wait_option
@click.option("--window", type=click.IntRange(min=1), metavar="SECONDS", help="Watch for one visit only.")
@click.option("--detach", is_flag=True, help="Hand the run to Prefect's worker and return.")
@output_options
def deploy(
    directory: str,
    stage: str,
    apply: bool,
    digest: str | None,
    approval_id: str | None,
    wait: bool,
    window: int | None,
    detach: bool,
    output: Output,
) -> None:
    """Show the candidate to few users beside the stable version, step by step, and say what was seen.

    DIR is the app's folder or its id. --plan (the default) changes nothing: it prints every change, the
    difference to what is live, the plan's digest, and what --apply would be denied for.
    """
    refuse_inside_run()
    del stage  # there is only one; the option makes the command line say which
    from railiance.commands import staged
    from railiance.domain.lifecycle import Verb
    from railiance.engine.stages import prepare

    work = staged.open_app(directory, digest)
    if not apply:
        prepared = prepare(work, Verb.DEPLOY, approval_id=approval_id)
        staged.show_plan(prepared, output.reporter, f"railiance deploy --stage 2 {directory} --apply")
        output.finish(staged.plan_document(work, prepared))
    staged.refuse_early(work, Verb.DEPLOY, output, approval_id=approval_id, wait=wait)
    parameters = {"digest": digest, "window": window, "approval_id": approval_id}
    if detach:
        staged.hand_over(work, "canary/stage2", parameters, output)
        return
    waiting = "Stage 2 waits for an approval: answer in the Prefect UI, or with `railiance approve`."
    staged.carry_out(work, "canary/stage2", parameters, output, "deploy", waiting=waiting)
