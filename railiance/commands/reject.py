"""`railiance reject`: say no to a request, or to a candidate for ever."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, output_options


@click.command()
@click.argument("request_id", metavar="[REQUEST]", required=False)
@app_argument
@click.option("-m", "--comment", "--reason", required=True, help="Why not.")
@click.option("--candidate", metavar="DIGEST", help="Reject this candidate everywhere, for ever.")
@output_options
def reject(
    request_id: str | None, directory: str, comment: str, candidate: str | None, output: Output
) -> None:
    """Say no. A no to a request is final; a rejected candidate is denied in every stage from now on."""
    from railiance.commands.answers import answer
    from railiance.commands.staged import open_app
    from railiance.domain.lifecycle import EventKind
    from railiance.engine.record import note

    if bool(request_id) == bool(candidate):
        raise click.UsageError("Name either a REQUEST or --candidate DIGEST.")
    work = open_app(directory)
    if request_id:
        answer(work, request_id, "reject", comment, output)
        return
    note(work, EventKind.REJECTED, candidate=candidate, reason=comment)
    output.reporter.say(f"Candidate {candidate} is rejected for ever: {comment}")
    output.emit({"candidate": candidate, "reason": comment, "by": work.executor})
