"""`railiance requests`: what waits for an answer."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, output_options


@click.command()
@app_argument
@click.option(
    "--all", "everything", is_flag=True, help="Also those that were answered, ran out or were superseded."
)
@output_options
def requests(directory: str, everything: bool, output: Output) -> None:
    """List the requests of an app that wait for an answer."""
    from railiance.commands.staged import open_app
    from railiance.domain.lifecycle import stamp
    from railiance.domain.report import request_line

    work = open_app(directory)
    now = work.clock.now()
    found = [r for r in work.standing().requests.values() if everything or r.state(now) == "missing"]
    output.reporter.say("\n".join(request_line(r, now) for r in found) or "Nothing waits for an answer.")
    output.emit(
        {
            "requests": [
                {
                    "id": r.id,
                    "verb": str(r.verb),
                    "state": r.state(now),
                    "candidate": r.candidate,
                    "plan_digest": r.plan_digest,
                    "requester": r.requester,
                    "needed": r.needed,
                    "approved_by": list(r.approved_by),
                    "expires_at": stamp(r.expires_at),
                }
                for r in found
            ]
        }
    )
