"""The judge's running record: kept as JSON, gone on with after a restart, never mistaken for a verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railiance.domain.canonical import canonical_json
from railiance.domain.hard_gates import Gates
from railiance.domain.judge import JudgeConfig, JudgeState, assess, update
from railiance.domain.lifecycle import Verb, stamp
from railiance.domain.plan import Baseline, Plan, Step, Target
from railiance.domain.ports import GatewayReading, Sample
from railiance.domain.verdict import Verdict
from railiance.domain.watch_record import WatchRecord, concluded, seen, step_ended

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
CONFIG = JudgeConfig()
PLAN = Plan(
    verb=Verb.DEPLOY,
    app_id="web",
    candidate="sha256:c",
    target=Target("default", "uid", "shop", "web-canary"),
    baseline=Baseline(),
    releases=(),
    traffic_mode="weighted",
    provider="traefik",
    source="gateway",
    steps=(Step(20, 30.0, 50), Step(50, 60.0, 50)),
    actions=(),
    versions={},
    rollback={},
)
NEW = WatchRecord.new(PLAN, "r1", 5.0)


def reading(number: int, *, complete: bool = True) -> GatewayReading:
    """Return the counters after so many readings of five seconds."""
    samples = {
        "canary": (Sample("gw/c", 100.0 * number, 0.0),),
        "stable": (Sample("gw/s", 400.0 * number, 0.0),),
    }
    return GatewayReading(START + timedelta(seconds=5 * number), complete, samples, ("gw",))


def judged(readings: int, *, complete: bool = True) -> JudgeState:
    """Return the evidence after some readings at the first step's weight."""
    state = JudgeState()
    for number in range(readings):
        state = update(CONFIG, state, reading(number, complete=complete), 20)
    return state


def looked(record: WatchRecord, state: JudgeState, now: datetime) -> WatchRecord:
    """Return the record after one more reading."""
    return seen(record, state, assess(CONFIG, state, Gates(), now), ("window: 5 of 30 s",), now)


def test_a_new_record_has_the_plans_steps_and_no_verdict() -> None:
    """Nothing is concluded before anything was watched."""
    assert [(s.weight, s.window, s.verdict) for s in NEW.steps] == [(20, 30.0, None), (50, 60.0, None)]
    assert (NEW.step, NEW.weight, NEW.concluded) == (0, 0, False)


@settings(deadline=None, max_examples=30)
@given(readings=st.integers(0, 6), ended=st.booleans(), verdict=st.sampled_from([None, *Verdict]))
def test_a_record_survives_its_json(readings: int, ended: bool, verdict: Verdict | None) -> None:
    """What is written and read again is the same, so a restarted run goes on with the very evidence."""
    now = START + timedelta(seconds=5 * readings)
    record = replace(looked(NEW, judged(readings), now), tracks={"canary": "2 of 2"})
    if ended:
        record = step_ended(record, Verdict.PASS, "closed", now)
    if verdict:
        record = concluded(record, verdict, "because", now)
    assert WatchRecord.from_json(json.loads(canonical_json(record.to_json()))) == record


@pytest.mark.parametrize("key", sorted(set(WatchRecord.__dataclass_fields__) - {"tracks"}))
def test_a_damaged_record_is_an_error(key: str) -> None:
    """A record with a key taken away or of another shape is not read as some other record."""
    value: dict[str, Any] = NEW.to_json()
    required = {"run_id", "candidate", "plan_digest", "interval", "steps", "judge", "waits"}
    if key in required:
        with pytest.raises((KeyError, TypeError, ValueError)):
            WatchRecord.from_json({k: v for k, v in value.items() if k != key})
    with pytest.raises((KeyError, TypeError, ValueError)):
        WatchRecord.from_json({**value, f"{key}_": 1})


@pytest.mark.parametrize(
    ("interval", "age", "stale"), [(5.0, 59, False), (5.0, 61, True), (30.0, 89, False), (30.0, 91, True)]
)
def test_a_record_that_nobody_writes_is_stale(interval: float, age: int, stale: bool) -> None:
    """After a minute or three readings, whichever is longer, the judge must be gone."""
    record = replace(NEW, interval=interval, updated_at=stamp(START))
    assert record.stale(START + timedelta(seconds=age)) is stale


def test_a_verdict_does_not_grow_stale() -> None:
    """What was concluded stands; what has not begun cannot be stale."""
    late = START + timedelta(days=9)
    assert not concluded(NEW, Verdict.PASS, "fine", START).stale(late)
    assert not NEW.stale(late)


def test_seen_keeps_since_when_nobody_can_tell() -> None:
    """Being held is dated from its beginning, and ends with the first reading that can tell."""
    blind, sighted = judged(2, complete=False), judged(3)
    first = looked(NEW, blind, START + timedelta(seconds=10))
    second = looked(first, blind, START + timedelta(seconds=15))
    assert first.held_since == second.held_since == stamp(START + timedelta(seconds=10))
    assert looked(second, sighted, START + timedelta(seconds=10)).held_since is None


def test_seen_counts_the_open_step_only_at_its_own_weight() -> None:
    """Samples of a step are those seen at its weight; the start stays the first reading's."""
    state = judged(3)
    first = looked(NEW, state, START + timedelta(seconds=10))
    assert (first.steps[0].samples, first.steps[1].samples) == (200, 0)
    later = looked(first, replace(state, weight=50), START + timedelta(seconds=20))
    assert later.steps[0] == first.steps[0]


def test_a_step_ends_and_the_next_is_open() -> None:
    """A closed step keeps its verdict and when; the next one has not begun."""
    record = step_ended(NEW, Verdict.PASS, "closed", START)
    assert (record.step, record.steps[0].verdict, record.steps[0].ended_at) == (1, "PASS", stamp(START))
    assert record.steps[1].verdict is None
    assert not record.concluded


def test_a_conclusion_returns_the_weight_and_waits_for_nothing() -> None:
    """With the verdict standing, no user is on the canary any more."""
    record = concluded(replace(NEW, weight=20, waits=("x",)), Verdict.FAIL, "worse", START)
    assert (record.weight, record.waits, record.verdict, record.reason) == (0, (), "FAIL", "worse")
