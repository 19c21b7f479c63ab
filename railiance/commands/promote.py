"""`railiance promote`: Stage 3, make the candidate the stable version."""

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
@plan_or_apply
@digest_option
@approval_option
@wait_option
@click.option("--candidate", metavar="DIGEST", help="Name a candidate that is on hold, and so lift the hold.")
@output_options
def promote(
    directory: str,
    apply: bool,
    digest: str | None,
    approval_id: str | None,
    wait: bool,
    candidate: str | None,
    output: Output,
) -> None:
    """Make the candidate that passed Stage 2 the stable version, and watch on.

    Users are on a whole, ready track all the time; a promotion that fails goes back by itself.
    --plan (the default) changes nothing. --apply needs an approval: --approval-id, or --wait to ask for it.
    """
    refuse_inside_run()
    from railiance.commands import staged
    from railiance.domain.lifecycle import Verb
    from railiance.engine.stages import prepare

    work = staged.open_app(directory, digest)
    lifted = candidate == work.candidate.digest
    if not apply:
        prepared = prepare(work, Verb.PROMOTE, approval_id=approval_id, lifted=lifted)
        staged.show_plan(prepared, output.reporter, f"railiance promote {directory} --apply --wait")
        output.finish(staged.plan_document(work, prepared))
    staged.refuse_early(work, Verb.PROMOTE, output, approval_id=approval_id, wait=wait)
    parameters = {"digest": digest, "approval_id": approval_id, "candidate": candidate}
    waiting = (
        "The promotion waits for an approval. Answer in the Prefect UI, or in another terminal:\n"
        f"  railiance requests {directory}\n  railiance approve REQUEST {directory} -m 'why this is safe'"
    )
    staged.carry_out(work, "promote/stage3", parameters, output, "promote", waiting=waiting)
