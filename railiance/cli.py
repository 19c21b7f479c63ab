"""The command `railiance`: one verb per module of `railiance.commands`, loaded when it is used."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import traceback
from pathlib import Path
from types import FrameType
from typing import IO, Any

import click

from railiance import __version__
from railiance.commands.output import interrupted_sentence
from railiance.domain.errors import Exit, RailianceError

# Verb, then where it is, then what it does: the text stands here so that --help imports no verb.
VERBS: dict[str, tuple[str, str]] = {
    "run": ("railiance.commands.run:run", "Stage 1: check the app on this machine."),
    "deploy": ("railiance.commands.deploy:deploy", "Stage 2: show the candidate to few users, and watch."),
    "observe": ("railiance.commands.observe:observe", "Look at a running canary; changes nothing."),
    "promote": ("railiance.commands.promote:promote", "Stage 3: make the candidate stable."),
    "rollback": ("railiance.commands.rollback:rollback", "Bring an earlier stable back."),
    "status": ("railiance.commands.status:status", "Say where an app stands."),
    "abort": ("railiance.commands.abort:abort", "Stop a canary and return its traffic."),
    "resume": ("railiance.commands.resume:resume", "Go on with a run that lost its process."),
    "request": ("railiance.commands.request:request", "Ask for an approval."),
    "requests": ("railiance.commands.requests:requests", "List what waits for an answer."),
    "show": ("railiance.commands.show:show", "Show a request, with the plan it asks for."),
    "approve": ("railiance.commands.approve:approve", "Say yes to a request."),
    "reject": ("railiance.commands.reject:reject", "Say no to a request, or to a candidate for ever."),
    "hold": ("railiance.commands.hold:hold", "Keep a candidate from being promoted, or let it go on."),
    "adopt": ("railiance.commands.adopt:adopt", "Take over an app that already runs."),
    "contract": ("railiance.commands.contract:contract", "Check and explain railiance/app.toml."),
    "explain": ("railiance.commands.explain:explain", "Explain an error code."),
    "server": ("railiance.commands.server:server", "Look at, start and stop the local Prefect server."),
    "lab": ("railiance.commands.lab:lab", "A real cluster on this machine."),
}


class Problem(click.ClickException):
    """An error as the person at the command line reads it.

    Args:
        text: What is wrong, where, and what to do next.
        status: Exit status of the command.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.exit_code = int(status)  # type: ignore[misc]  # click declares a class variable and reads ours

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the text to stderr."""
        click.echo(self.message, file=file, err=file is None)


class Verbs(click.Group):
    """The group of verbs: imports one when it is used, turns errors into messages and exit statuses."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs whose modules exist, in the order of the lifecycle."""
        return [
            verb for verb, (place, _) in VERBS.items() if importlib.util.find_spec(place.partition(":")[0])
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one verb."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs with their texts, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; whatever it raises becomes a message and an exit status."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except RailianceError as error:
            raise Problem(_text(error.code, error.message, error.help), error.exit_status) from error
        except KeyboardInterrupt as error:
            raise Problem(f"\nInterrupted. {interrupted_sentence(ctx)}", Exit.NO_ANSWER) from error
        except Exception as error:
            raise _problem(ctx, error) from error


def _problem(ctx: click.Context, error: Exception) -> Problem:
    from railiance_schema import ContractError

    if isinstance(error, ContractError):
        return Problem(str(error), error.exit_status)
    if ctx.params.get("debug"):
        traceback.print_exception(error)
    kept = _keep_traceback(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    message = (
        f"{type(error).__name__} at {where.filename}:{where.lineno}: a bug of railiance, not of your app."
    )
    return Problem(_text("BUG", message, f"Please report it with {kept}."), Exit.BUG)


def _keep_traceback(error: Exception) -> str:
    """Keep the traceback in a file and return its name; on the screen it might repeat a secret."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "railiance"
    path = Path(".railiance/bug.txt") if Path(".railiance").is_dir() else state / "bug.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), "utf-8")
    except OSError:
        return "what `railiance --debug …` prints"
    return str(path)


def _text(code: str, message: str, help_: str) -> str:
    return f"error[{code}]: {message}" + (f"\n  = help: {help_}" if help_ else "")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="railiance %(version)s")
@click.option("--debug", is_flag=True, envvar="RAILIANCE_DEBUG", help="Print the traceback of a bug.")
def cli(debug: bool) -> None:
    """Take an app from this machine to production on Kubernetes and back, safely.

    Stage 1 checks it here (run), Stage 2 shows it to few users (deploy, observe), Stage 3 makes it stable
    (promote) or brings the earlier one back (rollback). Plans change nothing; --apply acts.

    Exit status: 0 yes, 1 no, 2 usage, 3 a bug of ours, 4 no answer, 5 conflict: make a new plan.
    """


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and leave with its exit status. TERM is what Ctrl-C is: stop, tidy up, say so."""
    signal.signal(signal.SIGTERM, _interrupt)
    cli(prog_name="railiance")


if __name__ == "__main__":
    main()
