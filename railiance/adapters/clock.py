"""The only place that reads a clock or waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the wall clock's time, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds that only ever grow; good for durations, meaningless as a date."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait for so many seconds."""
    time.sleep(seconds)


class SystemClock:
    """The port `Clock`, as the machine has it; a test hands over its own clock instead."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return now()

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for measuring durations."""
        return monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        sleep(seconds)
