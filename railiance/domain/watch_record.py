"""What the judge has seen so far, as one small document beside the ledger: overwritten at every reading.

A restarted run goes on with it, and `observe` reads it without judging itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from railiance.domain.judge import Assessment, JudgeState
from railiance.domain.lifecycle import moment, stamp
from railiance.domain.plan import Plan
from railiance.domain.verdict import Verdict

STALE_AFTER = timedelta(seconds=60)
"""A record that nobody wrote for so long, or for three readings, belongs to a judge that is gone."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How far one step got; `samples` are the canary's requests."""

    weight: int
    window: float
    started_at: str | None = None
    ended_at: str | None = None
    samples: int = 0
    verdict: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WatchRecord:
    """The running state of one Stage 2 run.

    Attributes:
        run_id: The run that judges.
        candidate: What it judges.
        plan_digest: The plan it carries out.
        interval: Seconds between readings.
        steps: All steps of the plan, as far as they got.
        step: Index of the open step; the number of steps when all are closed.
        weight: Percent of the requests that the canary has been given; 0 between visits.
        judge: The evidence.
        assessment: The last assessment, as JSON values; empty before the first.
        waits: What the open step still waits for.
        updated_at: When this was written.
        held_since: Since when the judge has not been able to tell; None while it can.
        verdict: The verdict once it stands; None while watching.
        reason: The deciding sentence.
        tracks: Pods and endpoints by track, in words.
    """

    run_id: str
    candidate: str
    plan_digest: str
    interval: float
    steps: tuple[StepRecord, ...]
    step: int = 0
    weight: int = 0
    judge: JudgeState = field(default_factory=JudgeState)
    assessment: Mapping[str, Any] = field(default_factory=dict)
    waits: tuple[str, ...] = ()
    updated_at: str = ""
    held_since: str | None = None
    verdict: str | None = None
    reason: str = ""
    tracks: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def new(cls, plan: Plan, run_id: str, interval: float) -> WatchRecord:
        """Return the record of a run that has not watched yet."""
        steps = tuple(StepRecord(s.weight, s.window) for s in plan.steps)
        return cls(run_id, plan.candidate, plan.digest, interval, steps)

    @property
    def concluded(self) -> bool:
        """Tell whether a verdict stands."""
        return self.verdict is not None

    def stale(self, now: datetime) -> bool:
        """Tell whether a record that should be fresh is not: its judge has stopped without a verdict."""
        if self.concluded or not self.updated_at:
            return False
        return now - moment(self.updated_at) > max(STALE_AFTER, 3 * timedelta(seconds=self.interval))

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {**_shallow(self), "judge": self.judge.to_json(), "steps": [asdict(s) for s in self.steps]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WatchRecord:
        """Return the record that `to_json` wrote.

        Raises:
            KeyError, ValueError, TypeError: It is not such a record.
        """
        fields = dict(value)
        fields["judge"] = JudgeState.from_json(fields["judge"])
        fields["steps"] = tuple(StepRecord(**step) for step in fields["steps"])
        fields["waits"] = tuple(fields["waits"])
        return cls(**fields)


def seen(
    record: WatchRecord, judge: JudgeState, assessment: Assessment, waits: tuple[str, ...], now: datetime
) -> WatchRecord:
    """Return the record after one more reading."""
    held = record.held_since or stamp(now) if assessment.frozen else None
    steps = list(record.steps)
    if record.step < len(steps):
        open_step = steps[record.step]
        steps[record.step] = replace(
            open_step,
            started_at=open_step.started_at or stamp(now),
            samples=int(judge.step.canary_requests)
            if judge.weight == open_step.weight
            else open_step.samples,
        )
    return replace(
        record,
        judge=judge,
        steps=tuple(steps),
        assessment=asdict(assessment),
        waits=waits,
        updated_at=stamp(now),
        held_since=held,
        reason=assessment.reason,
    )


def step_ended(record: WatchRecord, verdict: Verdict, reason: str, now: datetime) -> WatchRecord:
    """Return the record with its open step closed."""
    steps = list(record.steps)
    steps[record.step] = replace(steps[record.step], ended_at=stamp(now), verdict=str(verdict), reason=reason)
    return replace(record, steps=tuple(steps), step=record.step + 1)


def concluded(record: WatchRecord, verdict: Verdict, reason: str, now: datetime) -> WatchRecord:
    """Return the record with its verdict standing and the weight returned."""
    return replace(record, verdict=str(verdict), reason=reason, weight=0, waits=(), updated_at=stamp(now))


def _shallow(record: WatchRecord) -> dict[str, Any]:
    kept = {
        name: getattr(record, name)
        for name in WatchRecord.__dataclass_fields__
        if name not in {"judge", "steps"}
    }
    return {
        **kept,
        "waits": list(record.waits),
        "assessment": dict(record.assessment),
        "tracks": dict(record.tracks),
    }
