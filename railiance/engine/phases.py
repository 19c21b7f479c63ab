"""Keeping the times of a promotion's phases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from railiance.domain.ports import Clock
from railiance.domain.result_parts import PhaseInfo


class Phases:
    """The phases of one promotion so far, with their times and how each ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._done: list[PhaseInfo] = []

    @property
    def all(self) -> tuple[PhaseInfo, ...]:
        """Return the phases in order."""
        return tuple(self._done)

    @contextmanager
    def named(self, name: str) -> Iterator[None]:
        """Time one phase; an error ends it as `failed`."""
        started = self._clock.now()
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            self._done.append(
                PhaseInfo(name=name, started_at=started, ended_at=self._clock.now(), outcome=outcome)
            )
