"""`railiance hold`: candidates that no automation may promote."""

from __future__ import annotations

import click

from railiance.commands.output import Output, app_argument, output_options


@click.group()
def hold() -> None:
    """Keep a candidate from being promoted, or let it go on; a rollback sets a hold by itself."""


@hold.command("list")
@app_argument
@output_options
def list_(directory: str, output: Output) -> None:
    """List the candidates on hold, and why."""
    from railiance.commands.staged import open_app

    holds = open_app(directory).standing().holds
    output.reporter.say(
        "\n".join(f"{candidate}  {why}" for candidate, why in holds.items()) or "Nothing is on hold."
    )
    output.emit({"holds": dict(holds)})


@hold.command("set")
@app_argument
@click.option("--candidate", metavar="DIGEST", help="Which; by default the one of this folder.")
@click.option("-m", "--reason", required=True, help="Why.")
@output_options
def set_(directory: str, candidate: str | None, reason: str, output: Output) -> None:
    """Put a candidate on hold."""
    _note("HOLD_SET", directory, candidate, reason, output)


@hold.command()
@app_argument
@click.option("--candidate", metavar="DIGEST", help="Which; by default the one of this folder.")
@click.option("-m", "--reason", required=True, help="Why it may go on.")
@output_options
def lift(directory: str, candidate: str | None, reason: str, output: Output) -> None:
    """Lift the hold on a candidate."""
    _note("HOLD_LIFTED", directory, candidate, reason, output)


def _note(kind: str, directory: str, candidate: str | None, reason: str, output: Output) -> None:
    """Write the event, unless it would change nothing."""
    from railiance.commands.staged import open_app
    from railiance.domain.lifecycle import EventKind
    from railiance.engine.record import note

    work = open_app(directory)
    digest = candidate or work.candidate.digest
    on_hold = digest in work.standing().holds
    if on_hold == (kind == "HOLD_SET"):
        output.reporter.say(
            f"{digest} is {'on hold already' if on_hold else 'not on hold'}; nothing was changed."
        )
    else:
        note(work, EventKind[kind], candidate=digest, reason=reason)
        output.reporter.say(f"{digest}: hold {'set' if kind == 'HOLD_SET' else 'lifted'}.")
    output.emit({"candidate": digest, "on_hold": kind == "HOLD_SET", "reason": reason})
