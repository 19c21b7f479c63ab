"""What a story is played with: the real command line and its users as processes, and a way to say yes."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from railiance.adapters import clock, process
from railiance.demo_app.load import Tally
from railiance.domain.errors import Broken, Unavailable

RPS = 50

_POLL = 0.05
_TIDY_UP = 60.0  # seconds that a command gets to return traffic when it is told to stop
_LONGEST = 900.0  # seconds of load at most, whatever happens to us
_FIRST_TALLY = 20.0
_WAITS = "flow run is Suspended"

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command line answered.

    Attributes:
        argv: The arguments, without the program.
        exit_code: Its exit code.
        document: The JSON document of its stdout; None if it printed none.
        stderr: What it told people.
    """

    argv: tuple[str, ...]
    exit_code: int
    document: dict[str, Any] | None
    stderr: str


@dataclass(frozen=True, slots=True)
class Cli:
    """The command `railiance`, always as a process of its own.

    Attributes:
        folder: Where it runs.
        env: Variables added to our own environment.
    """

    folder: Path
    env: Mapping[str, str]

    def run(
        self,
        *arguments: str,
        actor: str,
        on_line: OnLine | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run it to its end; an error or Ctrl-C here tells it to stop, and gives it time to tidy up.

        Args:
            arguments: The verb and what follows it.
            actor: Who types it.
            on_line: Called with each line of its stderr as it comes.
            env: Variables for this one command, besides those of all.
        """
        argv = [sys.executable, "-m", "railiance", *arguments]
        with tempfile.TemporaryDirectory(prefix="railiance-story-") as scratch:
            out, err = Path(scratch) / "out", Path(scratch) / "err"
            known = {**self.env, **(env or {}), "RAILIANCE_ACTOR": actor}
            child = process.spawn(argv, cwd=self.folder, env=known, stdout=out, stderr=err)
            try:
                exit_code = _followed(child, err, on_line or _silent)
            except BaseException:
                child.end(_TIDY_UP)
                raise
            told = err.read_text(encoding="utf-8", errors="replace")
            return Answer(tuple(arguments), exit_code, _document(out.read_text("utf-8")), told)

    def promote(
        self, app: str, *, actor: str, approver: str, on_line: OnLine, on_command: OnLine | None = None
    ) -> Answer:
        """Promote an app; when the promotion waits, another person approves it from a process of their own.

        Args:
            app: The app's folder or id.
            actor: Who promotes.
            approver: Who approves.
            on_line: Called with each line of either's stderr.
            on_command: Called with each command line of the approver before it runs.
        """

        def answer_when_asked(line: str) -> None:
            on_line(line)
            if _WAITS in line:
                self._approve(app, approver, on_line, on_command or _silent)

        return self.run("promote", app, "--apply", "--wait", actor=actor, on_line=answer_when_asked)

    def _approve(self, app: str, approver: str, on_line: OnLine, on_command: OnLine) -> None:
        listed = self.run("requests", app, "--json", actor=approver)
        waiting = (listed.document or {}).get("requests") or []
        if not waiting:
            raise Broken("NO_REQUEST", f"The promotion of {app} waits, but no request is listed.")
        arguments = ("approve", waiting[-1]["id"], app, "-m", "Stage 2 passed and I looked at the page.")
        on_command(command_line(arguments))
        approved = self.run(*arguments, actor=approver, on_line=on_line)
        if approved.exit_code != 0:
            message = f"The approval of {waiting[-1]['id']} ended with exit code {approved.exit_code}."
            raise Broken("NOT_APPROVED", message)


@contextmanager
def visiting(url: str, host: str, *, rps: float = RPS, seconds: float = _LONGEST) -> Iterator[Visit]:
    """Have users ask for a host while the block runs; the visit's tally is complete after it.

    Args:
        url: Address of the gateway, on this machine.
        host: Host that they ask for.
        rps: Requests a second.
        seconds: How long at most, whatever the block does.

    Raises:
        Unavailable: No request was sent within 20 s (`NO_LOAD`).
    """
    with tempfile.TemporaryDirectory(prefix="railiance-users-") as scratch:
        visit = Visit(Path(scratch) / "tally.json")
        arguments = ["--url", url, "--host", host, "--rps", str(rps), "--seconds", str(seconds)]
        argv = [sys.executable, "-m", "railiance.demo_app.load", *arguments, "--out", str(visit.path)]
        child = process.spawn(argv, stderr=visit.path.with_name("errors"))
        try:
            _wait_for_first(child, visit)
            yield visit
        finally:
            child.end(term_timeout=30)
            visit.last = Tally.read(visit.path)


@dataclass(slots=True)
class Visit:
    """Users that are there for a while."""

    path: Path
    last: Tally | None = None

    @property
    def tally(self) -> Tally:
        """Return what they have seen so far."""
        return self.last or Tally.read(self.path)


def command_line(arguments: Sequence[str]) -> str:
    """Return a command as a person would type it."""
    return "railiance " + " ".join(f"'{each}'" if " " in each else each for each in arguments)


def _wait_for_first(child: process.Process, visit: Visit) -> None:
    deadline = clock.monotonic() + _FIRST_TALLY
    while visit.tally.sent == 0:
        if child.poll() is not None or clock.monotonic() > deadline:
            errors = visit.path.with_name("errors").read_text("utf-8").strip()
            message = f"The load generator sends nothing. {errors}"
            raise Unavailable("NO_LOAD", message, "Try again; the machine may be too busy.")
        clock.sleep(_POLL)


def _followed(child: process.Process, err: Path, on_line: OnLine) -> int:
    """Pass each line on as it comes, until the process has ended and all is read; return its exit code."""
    with err.open(encoding="utf-8", errors="replace") as stream:
        rest = ""
        while True:
            exit_code = child.poll()  # before reading: what was written before the end is read after it
            rest = _pass_lines(stream, rest, on_line)
            if exit_code is not None:
                if rest:
                    on_line(rest)
                return exit_code
            clock.sleep(_POLL)


def _pass_lines(stream: IO[str], rest: str, on_line: OnLine) -> str:
    *lines, rest = (rest + stream.read()).split("\n")
    for line in lines:
        on_line(line)
    return rest


def _document(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    found = json.loads(text)
    return found if isinstance(found, dict) else None


def _silent(_line: str) -> None:
    return
