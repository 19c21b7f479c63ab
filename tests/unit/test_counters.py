"""Counters are differenced exactly: nothing lost, nothing counted twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from railiance.domain.counters import (
    CounterState,
    Difference,
    TrackDelta,
    difference,
    observed_weight,
)
from railiance.domain.ports import GatewayReading, Sample

START = datetime(2026, 1, 1, tzinfo=UTC)
OLD = "gw-1@2025-12-31T00:00:00+00:00"


def reading(seconds: float, canary: object = None, stable: object = None, **kwargs: object) -> GatewayReading:
    """Return a reading of one gateway pod; a track is (requests, errors), or None for no series."""
    pod = str(kwargs.get("pod", OLD))
    samples = {
        track: (Sample(f"{pod}/{track}", *value),) if value else ()
        for track, value in (("canary", canary), ("stable", stable))
    }
    complete = bool(kwargs.get("complete", True))
    return GatewayReading(START + timedelta(seconds=seconds), complete, samples, (pod,))


def run(*readings: GatewayReading) -> tuple[CounterState, list[Difference]]:
    """Return the last state and all differences, through JSON after each reading."""
    state, seen = CounterState(), []
    for each in readings:
        state, change = difference(state, each)
        state = CounterState.from_json(json.loads(json.dumps(state.to_json())))
        seen.append(change)
    return state, seen


def test_first_reading_is_only_a_baseline() -> None:
    """What was counted before we looked is nobody's evidence."""
    _, (first,) = run(reading(0, (100, 50), (1000, 1)))
    assert not first.fresh
    assert first.of("canary") == TrackDelta(0, 0)


def test_difference_of_two_readings() -> None:
    """Later minus earlier, by track, with the time between."""
    _, (_, second) = run(reading(0, (100, 5), (1000, 1)), reading(5, (150, 7), (1450, 1)))
    assert second == Difference(5.0, {"canary": TrackDelta(50, 2), "stable": TrackDelta(450, 0)}, True, True)


def test_reset_counts_from_zero() -> None:
    """A counter that fell was reset, and both counters of a series with it."""
    _, (_, second) = run(reading(0, (100, 5)), reading(5, (30, 6)))
    assert second.of("canary") == TrackDelta(30, 6)
    _, (_, errors_fell) = run(reading(0, (100, 50)), reading(5, (120, 3)))
    assert errors_fell.of("canary") == TrackDelta(120, 3)


def test_first_error_of_a_fresh_canary_counts() -> None:
    """A new series of an exporter that answered before without it counts from zero."""
    _, (_, second) = run(reading(0, None, (1000, 0)), reading(5, (1, 1), (1005, 0)))
    assert second.of("canary") == TrackDelta(1, 1)


def test_new_series_of_an_unknown_old_exporter_is_a_baseline() -> None:
    """A gateway pod that we never read, older than the analysis, brings a past that is not ours."""
    _, (_, second) = run(reading(0, (5, 0)), reading(5, (900, 90), pod="gw-2@2025-12-31T00:00:00+00:00"))
    assert second.of("canary") == TrackDelta(0, 0)


def test_exporter_started_after_the_beginning_counts_from_zero() -> None:
    """All that a younger gateway pod ever counted happened while we were looking."""
    young = f"gw-2@{(START + timedelta(seconds=3)).isoformat()}"
    _, (_, second) = run(reading(0, (5, 0)), reading(5, (9, 2), pod=young))
    assert second.of("canary") == TrackDelta(9, 2)


def test_vanished_series_is_kept_for_five_minutes() -> None:
    """A series that comes back in time goes on; later it is a new one, and never is anything negative."""
    back = reading(290, (120, 3), (10, 0))
    _, seen = run(reading(0, (100, 1), (0, 0)), reading(5, None, (5, 0)), back)
    assert seen[1].of("canary") == TrackDelta(0, 0)
    assert seen[2].of("canary") == TrackDelta(20, 2)
    state, _ = run(reading(0, (100, 1), (0, 0)), reading(400, None, (5, 0)))
    assert all("canary" not in name for name in state.series)


def test_same_timestamp_changes_nothing() -> None:
    """A step may be repeated: the same reading again adds nothing and forgets nothing."""
    state, seen = run(reading(0, (1, 0)), reading(5, (9, 1)), reading(5, (9, 1)), reading(4, (3, 0)))
    assert not seen[2].fresh
    assert not seen[3].fresh
    assert state.at == START + timedelta(seconds=5)


def test_gap_is_one_batch() -> None:
    """The counters still hold the sum of what was missed."""
    _, (_, second) = run(reading(0, (0, 0)), reading(60, (600, 6)))
    assert second.of("canary") == TrackDelta(600, 6)
    assert second.seconds == 60.0


def test_errors_never_exceed_requests() -> None:
    """Counters read a moment apart cannot make more failures than requests."""
    _, (_, second) = run(reading(0, (10, 0)), reading(5, (12, 3)))
    assert second.of("canary") == TrackDelta(2, 2)


def test_several_gateway_pods_are_summed() -> None:
    """Each pod is differenced by itself, then the pods are added."""
    both = ("gw-1", "gw-2")

    def of(seconds: float, first: float, second: float) -> GatewayReading:
        samples = (Sample("gw-1/canary", first, 0), Sample("gw-2/canary", second, 0))
        return GatewayReading(START + timedelta(seconds=seconds), True, {"canary": samples}, both)

    _, (_, change) = run(of(0, 10, 100), of(5, 15, 3))
    assert change.of("canary") == TrackDelta(5 + 3, 0)


def test_incomplete_reading_says_so() -> None:
    """A reading without one gateway pod still counts, and is marked."""
    state, (_, second) = run(reading(0, (1, 0)), reading(5, (2, 0), complete=False))
    assert not second.complete
    assert not state.complete
    assert second.of("canary").requests == 1


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_sum_of_differences_is_what_happened(steps: list[tuple[int, float, bool]]) -> None:
    """Whatever resets happen between readings, what was counted after the last reset of each gap is all there."""
    state, _ = difference(CounterState(), reading(0, (0, 0)))
    total, errors, happened, seen = 0, 0, 0, 0.0
    for number, (requests, share, reset) in enumerate(steps, start=1):
        if reset:
            total = errors = 0
        total, errors = total + requests, errors + int(requests * share)
        happened += requests
        state, change = difference(state, reading(5.0 * number, (total, errors)))
        delta = change.of("canary")
        assert 0 <= delta.errors <= delta.requests
        seen += delta.requests
    # A reset that is overtaken within one reading looks like a smaller growth: less is seen, never more.
    assert seen <= happened
    if not any(reset for _, _, reset in steps):
        assert seen == happened


def test_observed_weight() -> None:
    """The share is in percent, and unknown without a request."""
    assert observed_weight(20, 80) == 20.0
    assert observed_weight(0, 0) is None
