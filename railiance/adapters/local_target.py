"""The local target: what a contract's `serve` starts, waits for, and never leaves behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from railiance.adapters import clock, process, progress
from railiance.adapters.local_checks import Place, fresh_log, read
from railiance.domain.check import Reading
from railiance.domain.local import ServeOutcome
from railiance.domain.verdict import Verdict
from railiance_schema import HttpCheck, TcpCheck

_TERM_SECONDS = 10.0
_POLL_SECONDS = 0.2
_TRY_SECONDS = 2.0


class LocalTarget:
    """A running local target.

    Args:
        running: Its process.
        started: When it was started, on the monotonic clock.
    """

    def __init__(self, running: process.Process, started: float) -> None:
        self._process = running
        self._started = started
        self._ready_after: float | None = None
        self._awaited = False

    def wait(self, checks: Sequence[HttpCheck | TcpCheck], place: Place, timeout: float) -> Reading:
        """Repeat the checks until all pass, the target ends with an error, or the time is over.

        Returns:
            PASS, or the last reading of the first check that does not pass.
        """
        self._awaited = bool(checks)
        deadline = self._started + timeout
        reading = Reading(Verdict.PASS, "There is no check to wait for.")
        for check in checks:
            reading = self._wait_for(check, place, deadline)
            if reading.verdict is not Verdict.PASS:
                return reading
        self._ready_after = clock.monotonic() - self._started
        return reading

    def outcome(self) -> ServeOutcome:
        """Return how it did until now."""
        ready = None if self._ready_after is None else round(self._ready_after * 1000)
        return ServeOutcome(ready, self._process.poll(), self._awaited)

    def _wait_for(self, check: HttpCheck | TcpCheck, place: Place, deadline: float) -> Reading:
        while True:
            left = max(deadline - clock.monotonic(), _POLL_SECONDS)
            reading = read(check, place, timeout=min(left, _TRY_SECONDS))
            ended = self._process.poll()
            if reading.verdict is Verdict.PASS:
                return reading
            if ended:  # a target that ends with 0 may have put its server into the background
                return Reading(Verdict.FAIL, f"The local target ended by itself with {ended}.")
            if clock.monotonic() >= deadline:
                return reading
            clock.sleep(_POLL_SECONDS)


@contextmanager
def serving(command: str, place: Place) -> Iterator[LocalTarget]:
    """Run a local target while the block runs; end it with its process group however the block ends.

    This is plain code on purpose: it must work while Prefect's server is down or its run is crashing.
    """
    note = _note(place)
    log = fresh_log(place.logs, "serve")
    started = clock.monotonic()
    argv = ["/bin/sh", "-c", command]
    running = process.spawn(argv, cwd=place.app_dir, env=place.environment, stdout=log)
    try:
        note.write_text(json.dumps({"pid": running.pid, "start_time": running.start_time}))
        yield LocalTarget(running, started)
    finally:
        _end(running)
        note.unlink(missing_ok=True)


def already_answered(checks: Sequence[HttpCheck | TcpCheck], place: Place) -> bool:
    """Return whether all checks that should tell when the target is ready pass before it is started."""
    readings = [read(check, place, timeout=_TRY_SECONDS) for check in checks]
    return bool(readings) and all(reading.verdict is Verdict.PASS for reading in readings)


def end_leftover(place: Place) -> None:
    """End the local target that an earlier run left behind because it was killed, if it still is there."""
    note = _note(place)
    try:
        left = json.loads(note.read_text())
        pid, start_time = int(left["pid"]), str(left["start_time"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        progress.say(f"{note} cannot be read; a local target of an earlier run may still be there.")
        return
    if process.alive(pid, start_time):
        progress.say("Ending the local target of an earlier run that was killed.")
        process.end(pid, start_time)


def _note(place: Place) -> Path:
    return place.logs / "serve.json"


def _end(running: process.Process) -> None:
    try:
        running.end(_TERM_SECONDS)
    except BaseException:
        running.end(0)  # a second Ctrl-C: at once
        raise
