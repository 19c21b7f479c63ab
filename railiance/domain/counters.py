"""From raw counters to what happened between two readings: exact differences, never rates.

Rates extrapolate, overlap and drop the first value of a new series, and the first 500 of a fresh canary
*is* a new series. So the counters are read raw and differenced here (observation.md, section 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from railiance.domain.ports import GatewayReading, Sample

KEEP_VANISHED = timedelta(minutes=5)
"""How long the last value of a series that vanished is kept, in case it comes back."""

SERIES_SEPARATOR = "/"
"""Between the exporter and the rest of a series' name; the exporter is `<pod>@<start of its process>`."""


@dataclass(frozen=True, slots=True)
class TrackDelta:
    """What one track did between two readings, in whole requests; `errors` is never above `requests`."""

    requests: float = 0.0
    errors: float = 0.0


NOTHING = TrackDelta()
"""A track that answered nobody."""


@dataclass(frozen=True, slots=True)
class Last:
    """The last value of one series: its track, its counters and when they were read."""

    track: str
    requests: float
    errors: float
    at: datetime


@dataclass(frozen=True, slots=True)
class CounterState:
    """The memory that differencing needs; JSON in and out, so that a restarted run goes on.

    Attributes:
        began: When the first reading was taken; None before it.
        at: When the last reading was taken.
        complete: Whether every ready gateway pod answered then.
        exporters: The exporters that answered since the beginning, by identity.
        series: The last value by series.
    """

    began: datetime | None = None
    at: datetime | None = None
    complete: bool = False
    exporters: frozenset[str] = frozenset()
    series: Mapping[str, Last] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "began": self.began and self.began.isoformat(),
            "at": self.at and self.at.isoformat(),
            "complete": self.complete,
            "exporters": sorted(self.exporters),
            "series": {
                name: [last.track, last.requests, last.errors, last.at.isoformat()]
                for name, last in sorted(self.series.items())
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CounterState:
        """Return the state that `to_json` wrote.

        Raises:
            KeyError, ValueError, TypeError: It is not such a state.
        """
        return cls(
            began=_moment(value["began"]),
            at=_moment(value["at"]),
            complete=bool(value["complete"]),
            exporters=frozenset(value["exporters"]),
            series={
                name: Last(track, float(requests), float(errors), datetime.fromisoformat(at))
                for name, (track, requests, errors, at) in value["series"].items()
            },
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What two readings say together.

    Attributes:
        seconds: Time between them; 0 for the first reading and for a repeated one.
        tracks: What each track did; a track without any series did nothing that could be seen.
        fresh: False when there is nothing to add: the first reading, or the same one again.
        complete: Whether every ready gateway pod answered.
    """

    seconds: float
    tracks: Mapping[str, TrackDelta]
    fresh: bool
    complete: bool

    def of(self, track: str) -> TrackDelta:
        """Return what one track did."""
        return self.tracks.get(track, NOTHING)


def difference(state: CounterState, reading: GatewayReading) -> tuple[CounterState, Difference]:
    """Add a reading and say what happened since the one before.

    A counter that fell was reset and counts from 0. A series that is new counts from 0 if an earlier reading
    of the same exporter did without it, or if the exporter started after the first reading; otherwise its
    first value is only a baseline. A series that vanished keeps its last value for five minutes.
    A reading that is not newer than the last changes nothing, so a step may be repeated safely.

    Args:
        state: What is remembered; `CounterState()` before the first reading.
        reading: Counters by track at one moment.

    Returns:
        The new state, and the differences by track.
    """
    if state.at is not None and reading.at <= state.at:
        return state, Difference(0.0, {}, fresh=False, complete=reading.complete)
    deltas: dict[str, TrackDelta] = {}
    series = {name: last for name, last in state.series.items() if reading.at - last.at <= KEEP_VANISHED}
    for track, sample in _samples(reading):
        step = _delta(state, sample, reading.pods)
        before = deltas.get(track, NOTHING)
        deltas[track] = TrackDelta(before.requests + step.requests, before.errors + step.errors)
        series[sample.series] = Last(track, sample.requests, sample.errors, reading.at)
    new = replace(
        state,
        began=state.began or reading.at,
        at=reading.at,
        complete=reading.complete,
        exporters=state.exporters | frozenset(reading.pods),
        series=series,
    )
    seconds = (reading.at - state.at).total_seconds() if state.at else 0.0
    return new, Difference(seconds, deltas, fresh=state.at is not None, complete=reading.complete)


def observed_weight(canary_requests: float, stable_requests: float) -> float | None:
    """Return the share of requests that reached the canary, in percent; None without a request."""
    total = canary_requests + stable_requests
    return 100.0 * canary_requests / total if total > 0 else None


def _samples(reading: GatewayReading) -> Iterable[tuple[str, Sample]]:
    """Yield every sample with its track."""
    for track, samples in reading.samples.items():
        for sample in samples:
            yield track, sample


def _delta(state: CounterState, sample: Sample, pods: Iterable[str]) -> TrackDelta:
    """Return what one series added; its two counters are reset together, as they live in one process."""
    last = state.series.get(sample.series)
    if last is None:
        if not _counts_from_zero(state, sample.series, pods):
            return NOTHING
        requests, errors = sample.requests, sample.errors
    elif sample.requests < last.requests or sample.errors < last.errors:
        requests, errors = sample.requests, sample.errors
    else:
        requests, errors = sample.requests - last.requests, sample.errors - last.errors
    return TrackDelta(requests, min(errors, requests))


def _counts_from_zero(state: CounterState, series: str, pods: Iterable[str]) -> bool:
    """Tell whether everything that a new series has counted happened while we were looking."""
    if state.began is None:
        return False
    exporter = max((pod for pod in pods if series.startswith(pod)), key=len, default=None)
    if exporter is None:
        return False
    if exporter in state.exporters:
        return True
    started = _started(exporter)
    return started is not None and started > state.began


def _started(exporter: str) -> datetime | None:
    """Return when an exporter's process started, if its identity says so."""
    _, _, start = exporter.rpartition("@")
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _moment(text: str | None) -> datetime | None:
    """Return a moment from its text."""
    return None if text is None else datetime.fromisoformat(text)
