"""`railiance abort`: take a canary back; works while Prefect is down."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, if_interrupted, output_options, refuse_inside_run


@click.command()
@app_argument
@click.option("--reason", default="asked for on the command line", help="Why; kept in the record.")
@output_options
def abort(directory: str, reason: str, output: Output) -> None:
    """Return all users to the stable version and remove the canary.

    A run that watches it stops by itself. With nothing to abort this says so and changes nothing.
    """
    refuse_inside_run()
    from railiance.adapters.workspace import write_result
    from railiance.commands.staged import open_app
    from railiance.domain.errors import Exit
    from railiance.domain.results import Status
    from railiance.engine import watch
    from railiance.engine.observe_document import observe_document
    from railiance.recovery import abort as take_back

    work = open_app(directory)
    if_interrupted(f"Repeat it: railiance abort {directory}")
    with output.reporter.listening():
        returned = take_back(work, reason)
    output.reporter.say(returned.reason)
    status = Status.ABORTED if returned.done else Status.COMPLETED
    document = observe_document(
        work, "apply", status, watch.load(work), weight=0, warnings=(returned.reason,)
    )
    # What was asked is done, whatever the judge thought of the canary.
    document = document.model_copy(update={"exit_status": int(Exit.YES)})
    write_result(work.app_dir, document)
    output.finish(document)
