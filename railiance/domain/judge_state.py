"""What the judge remembers of one candidate, and how a reading is added to it.

The state travels as JSON, so a run that was killed goes on with the evidence it had. Time in it is what has
been watched, not what has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from railiance.domain.betting import (
    BREACH_RATIOS,
    FINE_BETS,
    WORSE_RATIOS,
    Batch,
    Capital,
    CapitalRule,
    breach_factors,
    fine_factors,
    grow,
    odds_of,
    worse_factors,
)
from railiance.domain.counters import CounterState, Difference, TrackDelta, difference
from railiance.domain.judge_terms import JudgeConfig
from railiance.domain.ports import GatewayReading
from railiance.domain.sentences import Counts

CANARY = "canary"
STABLE = "stable"

_BREACH_CEILING = 1000.0  # so that it forgets a past incident in minutes


@dataclass(frozen=True, slots=True)
class JudgeState:
    """All that the judge remembers of one candidate; `JudgeState()` before the first reading.

    Attributes:
        counters: The last raw counters.
        worse: The capital that bets on "worse than tolerated".
        fine: The logarithms of the bets on "not unacceptably worse".
        breach_canary: The capital that bets on "the canary breaks the absolute bound".
        breach_stable: The same for stable.
        weight: Planned weight of the present step.
        seconds: Time watched in all.
        step_seconds: Time watched in the present step.
        step: Counts of the present step.
        total: Counts since the beginning.
        canary_seen_at: When the canary last answered somebody, or the step began.
    """

    counters: CounterState = field(default_factory=CounterState)
    worse: Capital = field(default_factory=lambda: Capital.new(len(WORSE_RATIOS)))
    fine: tuple[float, ...] = (0.0,) * len(FINE_BETS)
    breach_canary: Capital = field(default_factory=lambda: Capital.new(len(BREACH_RATIOS)))
    breach_stable: Capital = field(default_factory=lambda: Capital.new(len(BREACH_RATIOS)))
    weight: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    step: Counts = field(default_factory=Counts)
    total: Counts = field(default_factory=Counts)
    canary_seen_at: datetime | None = None

    @property
    def started_at(self) -> datetime | None:
        """Return when the first reading was taken."""
        return self.counters.began

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "counters": self.counters.to_json(),
            "worse": self.worse.to_json(),
            "fine": list(self.fine),
            "breach_canary": self.breach_canary.to_json(),
            "breach_stable": self.breach_stable.to_json(),
            "weight": self.weight,
            "seconds": self.seconds,
            "step_seconds": self.step_seconds,
            "step": asdict(self.step),
            "total": asdict(self.total),
            "canary_seen_at": self.canary_seen_at and self.canary_seen_at.isoformat(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JudgeState:
        """Return the state that `to_json` wrote.

        Raises:
            KeyError, ValueError, TypeError: It is not such a state; then the evidence is lost, not forged.
        """
        seen = value["canary_seen_at"]
        return cls(
            counters=CounterState.from_json(value["counters"]),
            worse=Capital.from_json(value["worse"]),
            fine=tuple(float(log) for log in value["fine"]),
            breach_canary=Capital.from_json(value["breach_canary"]),
            breach_stable=Capital.from_json(value["breach_stable"]),
            weight=int(value["weight"]),
            seconds=float(value["seconds"]),
            step_seconds=float(value["step_seconds"]),
            step=Counts(**value["step"]),
            total=Counts(**value["total"]),
            canary_seen_at=seen and datetime.fromisoformat(seen),
        )


def update(config: JudgeConfig, state: JudgeState, reading: GatewayReading, weight: int) -> JudgeState:
    """Add one reading to the evidence.

    Evidence runs on across steps, as the question stays the same; only the odds begin anew with each weight.
    The requests between the last reading of the old weight and the first of the new are judged at the new
    odds, but belong to neither step's counts.

    Args:
        config: The terms.
        state: The state before; a new candidate starts with `JudgeState()`.
        reading: Counters by track.
        weight: Planned percent of the canary while they were counted.

    Returns:
        The new state; the same one for a reading that is not newer.
    """
    counters, change = difference(state.counters, reading)
    if counters is state.counters:
        return state
    if not change.fresh or weight != state.weight:
        fresh_step = replace(state, weight=weight, step=Counts(), step_seconds=0.0, canary_seen_at=reading.at)
        after = _bet(config, fresh_step, change) if change.fresh else fresh_step
        return replace(after, counters=counters, step=Counts(), step_seconds=0.0)
    after = _bet(config, state, change)
    seen = reading.at if change.of(CANARY).requests > 0 else state.canary_seen_at
    return replace(after, counters=counters, canary_seen_at=seen)


def rebase(state: JudgeState, reading: GatewayReading) -> JudgeState:
    """Take a reading as the new beginning of the counters, and keep all evidence.

    For a watch that goes on after the canary had no users in between (a scheduled window): what happened
    meanwhile was dealt at other odds and is not judged.
    """
    counters, _ = difference(state.counters, reading)
    return replace(state, counters=counters, canary_seen_at=reading.at)


def _bet(config: JudgeConfig, state: JudgeState, change: Difference) -> JudgeState:
    """Return the state after all capitals have bet on what happened."""
    canary, stable = change.of(CANARY), change.of(STABLE)
    step, total = state.step.plus(canary, stable), state.total.plus(canary, stable)
    odds = odds_of(state.weight / 100.0, step.canary_requests, step.stable_requests)
    batch = Batch(canary.requests, canary.errors, stable.requests, stable.errors, odds)
    ratio, phi = config.tolerance_ratio, config.dispersion
    worse = worse_factors(batch, ratio=ratio, tolerance=config.tolerance_abs, dispersion=phi)
    fine = fine_factors(batch, ratio=ratio, worst=config.worst_abs, dispersion=phi)
    return replace(
        state,
        worse=grow(state.worse, CapitalRule(config.false_alarm, config.blip), worse, change.seconds),
        fine=tuple(log + gain for log, gain in zip(state.fine, fine, strict=True)),
        breach_canary=_breach(config, state.breach_canary, canary, change.seconds),
        breach_stable=_breach(config, state.breach_stable, stable, change.seconds),
        seconds=state.seconds + change.seconds,
        step_seconds=state.step_seconds + change.seconds,
        step=step,
        total=total,
    )


def _breach(config: JudgeConfig, capital: Capital, delta: TrackDelta, seconds: float) -> Capital:
    """Return a track's capital against the absolute bound."""
    bound = min(max(1.0 - config.success_ratio_min, 1e-6), 0.999)
    factors = breach_factors(delta.requests, delta.errors, bound=bound, dispersion=config.dispersion)
    rule = CapitalRule(config.false_alarm, blip=0.0, ceiling=_BREACH_CEILING)
    return grow(capital, rule, factors, seconds)
