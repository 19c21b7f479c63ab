"""Evidence as a betting capital: the arithmetic under the judge (observation.md, section 2).

Each test starts with a capital of 1 and bets on what it is out to show. If the opposite is true, the chance
that the capital *ever* reaches 100 is at most 1 %, however often somebody looks (Ville's inequality).
That is why a canary may be judged at every reading without paying for the looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WORSE_RATIOS = (1.5, 3.0, 8.0, 30.0)
"""The alternatives of the test for "worse": the canary fails so many times as often as tolerated."""

FINE_BETS = (0.25, 0.5, 0.75, 0.95)
"""The stakes of the test for "fine"."""

BREACH_RATIOS = (2.0, 5.0, 20.0)
"""The alternatives of the test against an absolute bound, as factors on the odds of failing."""

SHARE_PRIOR = 20.0
"""The planned weight counts as much as so many requests when the split is estimated."""

_LATE = 0.2  # held back for faults that begin late, so that evidence of a good start is no debt
_HALF_LIFE = 600.0  # seconds after which half of it is invested
_LARGEST_LOG = 50.0  # a factor is cut here; cutting a bet's gain keeps the bound
_GUARD_SLACK = 1e-9  # keeps a capital at the guard's bound strictly below the line it guards
_TIME_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class CapitalRule:
    """The fixed terms of one capital.

    Attributes:
        alpha: Bound on the chance of a false decision.
        blip: Seconds of trouble that are forgiven: in `blip` plus one reading the capital grows at most
            `alpha ** -0.5`-fold, so that a blip cannot decide by itself.
        ceiling: The capital never exceeds this, so that it forgets a past incident in good time.
    """

    alpha: float
    blip: float
    ceiling: float = 1e12


@dataclass(frozen=True, slots=True)
class Capital:
    """A capital that is spread over alternatives, with a reserve that is invested bit by bit.

    Attributes:
        invested: The capital per alternative.
        reserve: What is not invested yet.
        seconds: How long it has been watched.
        value: All of it together; 1 at the start.
        past: Time and value of the last readings, as far back as the guard looks.
    """

    invested: tuple[float, ...]
    reserve: float
    seconds: float
    value: float
    past: tuple[tuple[float, float], ...]

    @classmethod
    def new(cls, alternatives: int) -> Capital:
        """Return the capital at the start, spread evenly."""
        invested = (1.0 - _LATE) / alternatives
        return cls((invested,) * alternatives, _LATE, 0.0, 1.0, ((0.0, 1.0),))

    def to_json(self) -> dict[str, Any]:
        """Return the capital as JSON values."""
        return {
            "invested": list(self.invested),
            "reserve": self.reserve,
            "seconds": self.seconds,
            "value": self.value,
            "past": [list(entry) for entry in self.past],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Capital:
        """Return the capital that `to_json` wrote."""
        return cls(
            invested=tuple(float(part) for part in value["invested"]),
            reserve=float(value["reserve"]),
            seconds=float(value["seconds"]),
            value=float(value["value"]),
            past=tuple((float(at), float(level)) for at, level in value["past"]),
        )


def grow(capital: Capital, rule: CapitalRule, log_factors: Sequence[float], seconds: float) -> Capital:
    """Return the capital after one more reading.

    Args:
        capital: The capital before.
        rule: Its fixed terms.
        log_factors: Logarithm of what each alternative's bet won or lost.
        seconds: Time since the reading before.

    Returns:
        The new capital. Taking from it (guard, ceiling) never breaks the bound, adding would.
    """
    now = capital.seconds + seconds
    reserve = _LATE * _HALF_LIFE / (_HALF_LIFE + now)
    fresh = (capital.reserve - reserve) / len(capital.invested)
    grown = [
        (part + fresh) * math.exp(min(log_factor, _LARGEST_LOG))
        for part, log_factor in zip(capital.invested, log_factors, strict=True)
    ]
    horizon = now - rule.blip - seconds - _TIME_SLACK
    past = tuple(entry for entry in capital.past[:-1] if entry[0] >= horizon) + capital.past[-1:]
    limit = min(level for _, level in past) * rule.alpha ** -(0.5 + _GUARD_SLACK)
    limit = min(limit, rule.ceiling)
    total = math.fsum(grown)
    if total + reserve > limit:
        scale = max(limit - reserve, 0.0) / total if total > 0.0 else 0.0
        grown = [part * scale for part in grown]
    value = math.fsum(grown) + reserve
    return Capital(tuple(grown), reserve, now, value, (*past, (now, value)))


@dataclass(frozen=True, slots=True)
class Batch:
    """What both tracks did between two readings, and the odds canary : stable at which requests are dealt."""

    canary_requests: float
    canary_errors: float
    stable_requests: float
    stable_errors: float
    odds: float


def odds_of(weight: float, canary_requests: float, stable_requests: float) -> float:
    """Return the odds canary : stable of a step, drawn to the planned weight while there is little traffic.

    Args:
        weight: Planned share of the canary, from 0 to 1.
        canary_requests: The canary's requests in this step.
        stable_requests: Stable's requests in this step.
    """
    stable = stable_requests + SHARE_PRIOR * (1.0 - weight)
    # All requests to the canary and none to stable: nothing to compare with, but no division by zero either.
    return (canary_requests + SHARE_PRIOR * weight) / max(stable, 1e-9)


def worse_factors(batch: Batch, *, ratio: float, tolerance: float, dispersion: float) -> tuple[float, ...]:
    """Return the log factors of the test for "the canary fails more often than tolerated".

    Args:
        batch: What happened.
        ratio: Tolerated multiple of stable's error share.
        tolerance: Tolerated error share on top of it.
        dispersion: Size of clusters of dependent requests, 1 or more.
    """
    paid = ratio * batch.odds  # stable's errors pay for the canary's, so a shared outage moves nothing
    factors = []
    for alternative in WORSE_RATIOS:
        stake = (alternative - 1.0) / (1.0 + alternative * paid)
        won = batch.canary_errors * math.log1p(stake) + batch.stable_errors * math.log1p(-stake * paid)
        factors.append((won - stake * tolerance * batch.canary_requests) / dispersion)
    return tuple(factors)


def fine_factors(batch: Batch, *, ratio: float, worst: float, dispersion: float) -> tuple[float, ...]:
    """Return the log factors of the test for "the canary is not unacceptably worse".

    Args:
        batch: What happened.
        ratio: Tolerated multiple of stable's error share.
        worst: Error share on top of it that is unacceptable.
        dispersion: Size of clusters of dependent requests, 1 or more.
    """
    return tuple(
        (
            batch.canary_errors * math.log1p(-stake)
            + batch.stable_errors * math.log1p(stake * ratio * batch.odds)
            + stake * worst * batch.canary_requests
        )
        / dispersion
        for stake in FINE_BETS
    )


def fine_value(logs: Sequence[float]) -> float:
    """Return the capital of the test for "fine" from the logarithms of its bets."""
    return math.fsum(math.exp(min(log, 600.0)) for log in logs) / len(logs)


def breach_factors(requests: float, errors: float, *, bound: float, dispersion: float) -> tuple[float, ...]:
    """Return the log factors of the test for "this track fails more often than `bound`"; 0 < bound < 1."""
    factors = []
    for ratio in BREACH_RATIOS:
        odds = ratio * bound / (1.0 - bound)
        share = odds / (1.0 + odds)
        won = errors * math.log(share / bound) + (requests - errors) * math.log((1 - share) / (1 - bound))
        factors.append(won / dispersion)
    return tuple(factors)


def requests_needed(logs: Sequence[float], gains: Sequence[float], target: float) -> int | None:
    """Return how many more canary requests the test for "fine" needs, if things go on as they are.

    Args:
        logs: Logarithms of its bets now.
        gains: What each bet's logarithm gains a canary request.
        target: The capital that is enough.

    Returns:
        The number; 0 when it is enough already, None when no number of such requests will do.
    """

    def value(requests: int) -> float:
        return fine_value([log + gain * requests for log, gain in zip(logs, gains, strict=True)])

    if value(0) >= target:
        return 0
    if max(gains) <= 0.0:
        return None
    enough = 1
    while value(enough) < target:
        enough *= 2
    return _first(lambda requests: value(requests) >= target, enough // 2, enough)


def share_bounds(errors: float, requests: float, alpha: float = 0.01) -> tuple[float, float]:
    """Return bounds on an error share that hold at every look, with probability 1 - alpha (Robbins' mixture).

    Args:
        errors: Failed requests.
        requests: All requests.
        alpha: Chance that the true share is ever outside.

    Returns:
        Lower and upper bound; 0 and 1 when nothing is known.
    """
    if requests <= 0:
        return 0.0, 1.0
    good = requests - errors
    # The mixture's likelihood over the likelihood at p; p is excluded once this reaches 1/alpha.
    mixture = _log_beta(errors + 0.5, good + 0.5) - _log_beta(0.5, 0.5)

    def excluded(share: float) -> bool:
        likelihood = errors * math.log(share) + good * math.log1p(-share)
        return mixture - likelihood >= -math.log(alpha)

    middle = min(max(errors / requests, 1e-12), 1.0 - 1e-12)
    low = 0.0 if errors == 0 else _crossing(lambda share: not excluded(share), 1e-15, middle)
    high = 1.0 if good == 0 else _crossing(excluded, middle, 1.0 - 1e-15)
    return low, high


def _log_beta(first: float, second: float) -> float:
    """Return the logarithm of the beta function."""
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)


def _crossing(reached: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that is false at `low` becomes true on the way to `high`."""
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _first(reached: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first number above `low`, up to `high`, at which a condition holds; it holds at `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
