"""Waiting for a condition, with a deadline and a message that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from railiance.adapters import clock
from railiance.domain.errors import Unavailable

_POLL = 0.1


def wait_until(condition: Callable[[], bool], timeout: float, what: str, log: Path | None = None) -> None:
    """Return as soon as the condition holds.

    Args:
        condition: Asked again and again.
        timeout: Seconds to keep asking.
        what: What is waited for, as in "waited 60 s for <what>".
        log: A log that tells why it did not come.

    Raises:
        Unavailable: It did not hold in time (`LAB_TIMEOUT`).
    """
    deadline = clock.monotonic() + timeout
    while not condition():
        if clock.monotonic() > deadline:
            where = f"Read {log}." if log else "Run `railiance lab status`."
            raise Unavailable("LAB_TIMEOUT", f"Waited {timeout:g} s for {what}.", where)
        clock.sleep(_POLL)
