"""`railiance approve REQ`: say yes to a request."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, output_options


@click.command()
@click.argument("request_id", metavar="REQUEST")
@app_argument
@click.option("-m", "--comment", required=True, help="Why is this safe now?")
@output_options
def approve(request_id: str, directory: str, comment: str, output: Output) -> None:
    """Say yes to exactly the plan of a request, and wake the run that waits for it.

    The answer is unsigned in this version: it counts for low apps, and for medium ones that allow it.
    """
    from railiance.commands.answers import answer
    from railiance.commands.staged import open_app

    answer(open_app(directory), request_id, "approve", comment, output)
