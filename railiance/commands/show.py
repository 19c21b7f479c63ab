"""`railiance show REQ`: a request with everything that the approver should weigh."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, output_options


@click.command()
@click.argument("request_id", metavar="REQUEST")
@app_argument
@output_options
def show(request_id: str, directory: str, output: Output) -> None:
    """Show what a request asks for: what changes, where, the evidence, and what a rollback can restore."""
    from railiance.commands.staged import open_app
    from railiance.engine.approving import find_request

    work = open_app(directory)
    request = find_request(work.standing(), request_id)
    now = work.clock.now()
    output.reporter.say(request.summary)
    output.reporter.say(
        f"{request.id} is {request.state(now)}; said yes: {', '.join(request.approved_by) or 'nobody yet'}"
    )
    output.emit(
        {
            "id": request.id,
            "state": request.state(now),
            "plan_digest": request.plan_digest,
            "approved_by": list(request.approved_by),
            "summary": request.summary,
        }
    )
