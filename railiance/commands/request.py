"""`railiance request DIR --stage 2|3`: ask for an approval without starting a run."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, digest_option, output_options


@click.command()
@app_argument
@click.option("--stage", type=click.Choice(["2", "3"]), required=True, help="The stage to enter.")
@digest_option
@output_options
def request(directory: str, stage: str, digest: str | None, output: Output) -> None:
    """Ask the approvers about the plan as it is now; nothing is changed, and no lock is held.

    When it is granted, run the verb with --apply --approval-id REQUEST.
    """
    from railiance.commands import staged
    from railiance.domain.lifecycle import Verb
    from railiance.engine.approving import open_request
    from railiance.engine.conclude import refused
    from railiance.engine.stages import prepare

    work = staged.open_app(directory, digest)
    verb = Verb.DEPLOY if stage == "2" else Verb.PROMOTE
    prepared = prepare(work, verb)
    if prepared.plan is None or not prepared.waits_for_people:
        if prepared.denials:
            staged.finish_refused(output, refused(work, prepared, mode="plan"))
        output.reporter.say("No approval is needed for this plan, or it is granted already.")
        output.finish(staged.plan_document(work, prepared))
        return
    made = open_request(work, prepared.plan, work.standing())
    output.reporter.say(made.summary)
    output.reporter.say(f"Request {made.id} waits. Answer: railiance approve {made.id} {directory} -m '...'")
    output.emit({"id": made.id, "plan_digest": made.plan_digest, "needed": made.needed})
