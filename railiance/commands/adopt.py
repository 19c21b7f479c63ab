"""`railiance adopt DIR`: take over an app that already runs."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, output_options


@click.command()
@app_argument
@output_options
def adopt(directory: str, output: Output) -> None:
    """Record the live stable version as known-good, so that a rollback can come back to it.

    The live helm_release must be what the app's chart and values here render; the pods are not touched.
    The route is taken over as it is: all users on the stable version.
    """
    from railiance.commands.staged import open_app
    from railiance.engine.adoption import adopt as take_over

    work = open_app(directory)
    with output.reporter.listening():
        adopted = take_over(work)
    output.reporter.say(
        f"Candidate {adopted.candidate} (helm_revision {adopted.helm_revision}) is known-good now."
    )
    output.emit(
        {"candidate": adopted.candidate, "helm_revision": adopted.helm_revision, "object": adopted.object}
    )
