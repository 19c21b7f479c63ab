"""The arithmetic of evidence keeps its promises."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railiance.domain.betting import (
    FINE_BETS,
    WORSE_RATIOS,
    Batch,
    Capital,
    CapitalRule,
    fine_factors,
    fine_value,
    grow,
    odds_of,
    requests_needed,
    share_bounds,
    worse_factors,
)

RULE = CapitalRule(alpha=0.01, blip=10.0)
RATIO, TOLERANCE, WORST = 1.5, 0.001, 0.01


def worse(batch: Batch) -> tuple[float, ...]:
    """Return the factors at the defaults."""
    return worse_factors(batch, ratio=RATIO, tolerance=TOLERANCE, dispersion=1.0)


def fine(batch: Batch) -> tuple[float, ...]:
    """Return the factors at the defaults."""
    return fine_factors(batch, ratio=RATIO, worst=WORST, dispersion=1.0)


@pytest.mark.parametrize(("weight", "stable"), [(0.1, 0.001), (0.5, 0.2), (0.05, 0.01), (0.5, 0.4)])
def test_no_bet_wins_on_average_at_the_line(weight: float, stable: float) -> None:
    """One randomly routed request multiplies each bet by at most 1 on average, exactly at the tolerance line."""
    odds = weight / (1 - weight)

    def mean(factors: object, canary: float) -> list[float]:
        outcomes = [
            (weight * canary, Batch(1, 1, 0, 0, odds)),
            (weight * (1 - canary), Batch(1, 0, 0, 0, odds)),
            ((1 - weight) * stable, Batch(0, 0, 1, 1, odds)),
            ((1 - weight) * (1 - stable), Batch(0, 0, 1, 0, odds)),
        ]
        rows = [[chance * math.exp(log) for log in factors(batch)] for chance, batch in outcomes]  # type: ignore[operator]
        return [math.fsum(column) for column in zip(*rows, strict=True)]

    assert max(mean(worse, min(1.0, RATIO * stable + TOLERANCE))) <= 1 + 1e-12
    assert max(mean(fine, min(1.0, RATIO * stable + WORST))) <= 1 + 1e-12


def test_silence_moves_nothing() -> None:
    """Without requests the capital stays 1, however long one waits."""
    capital = Capital.new(len(WORSE_RATIOS))
    for _ in range(1000):
        capital = grow(capital, RULE, worse(Batch(0, 0, 0, 0, 1 / 9)), 5.0)
    assert capital.value == pytest.approx(1.0, abs=1e-9)


def test_outage_is_called_after_the_blip_and_two_readings() -> None:
    """A canary that fails everything is called at 20 s: 10 s of forgiveness and two readings of 5 s."""
    capital, seconds = Capital.new(len(WORSE_RATIOS)), 0.0
    while capital.value < 100:
        capital = grow(capital, RULE, worse(Batch(50, 50, 450, 0, 1 / 9)), 5.0)
        seconds += 5.0
    assert seconds == 20.0


def test_shared_outage_never_blames_the_canary() -> None:
    """Stable's errors pay for the canary's."""
    capital = Capital.new(len(WORSE_RATIOS))
    for _ in range(200):
        capital = grow(capital, RULE, worse(Batch(50, 20, 450, 180, 1 / 9)), 5.0)
        assert capital.value < 10
    assert capital.value < 1


def test_one_error_never_decides() -> None:
    """A single failed canary request is not even suspicious."""
    capital = grow(Capital.new(len(WORSE_RATIOS)), RULE, worse(Batch(1, 1, 9, 0, odds_of(0.1, 1, 9))), 5.0)
    assert capital.value < 10


def test_a_blip_cannot_decide_by_itself() -> None:
    """Ten seconds of total failure leave the capital below the line."""
    capital = Capital.new(len(WORSE_RATIOS))
    for errors in (0, 0, 50, 50, 0, 0, 0):
        capital = grow(capital, RULE, worse(Batch(50, errors, 450, 0, 1 / 9)), 5.0)
        assert capital.value < 100


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.floats(0, 1), st.integers(0, 5000), st.floats(0, 1)), max_size=40
    )
)
def test_capital_stays_positive_and_finite(batches: list[tuple[int, float, int, float]]) -> None:
    """No traffic whatever makes a capital negative, infinite or not a number."""
    capital = Capital.new(len(WORSE_RATIOS))
    for canary, bad, stable, stable_bad in batches:
        batch = Batch(
            canary, int(canary * bad), stable, int(stable * stable_bad), odds_of(0.1, canary, stable)
        )
        capital = grow(capital, RULE, worse(batch), 5.0)
        assert all(part >= 0 for part in capital.invested)
        assert 0 < capital.value <= 1e12 + 1


def test_a_million_requests_do_not_break_it() -> None:
    """Long healthy rollouts neither overflow nor underflow into nonsense."""
    capital, logs = Capital.new(len(WORSE_RATIOS)), [0.0] * len(FINE_BETS)
    for _ in range(1000):
        batch = Batch(1000, 1, 9000, 9, 1 / 9)
        capital = grow(capital, RULE, worse(batch), 5.0)
        logs = [log + gain for log, gain in zip(logs, fine(batch), strict=True)]
    assert 0 < capital.value < 1
    assert math.isfinite(fine_value(logs))


def test_false_alarms_at_the_line_stay_below_the_bound() -> None:
    """A canary exactly as bad as tolerated is failed in at most 1 % of rollouts, though looked at 40 times."""
    chance, alarms, runs = random.Random(4711), 0, 500
    for _ in range(runs):
        capital, canary, stable = Capital.new(len(WORSE_RATIOS)), 0.0, 0.0
        for _ in range(40):
            failed = sum(chance.random() < 0.5 * 0.02 + 0.02 + TOLERANCE for _ in range(10))
            failed_stable = sum(chance.random() < 0.02 for _ in range(40))
            canary, stable = canary + 10, stable + 40
            batch = Batch(10, failed, 40, failed_stable, odds_of(0.2, canary, stable))
            capital = grow(capital, RULE, worse(batch), 5.0)
            if capital.value >= 100:
                alarms += 1
                break
    assert alarms / runs <= 0.01


def test_least_clean_requests_for_a_pass() -> None:
    """408 canary requests without an error are enough, and 407 are not."""
    gains = fine(Batch(1, 0, 9, 0, 1 / 9))
    assert requests_needed([0.0] * 4, gains, 20.0) == 408
    assert fine_value([408 * gain for gain in gains]) >= 20 > fine_value([407 * gain for gain in gains])


def test_needed_says_never_when_it_cannot_be() -> None:
    """A canary at the unacceptable line gains nothing from waiting, and an enough is enough."""
    assert requests_needed([0.0] * 4, fine(Batch(1, 0.05, 9, 0, 1 / 9)), 20.0) is None
    assert requests_needed([9.0] * 4, fine(Batch(1, 0, 9, 0, 1 / 9)), 20.0) == 0


@pytest.mark.parametrize(
    ("errors", "requests", "low", "high"),
    # By the reference, which searches a grid and is therefore a little narrower.
    [
        (17, 236, 0.02417, 0.15536),
        (2, 2116, 0.0, 0.00690),
        (0, 100, 0.0, 0.07202),
        (100, 100, 0.92798, 1.0),
        (500, 1000, 0.43601, 0.56407),
    ],
)
def test_share_bounds(errors: int, requests: int, low: float, high: float) -> None:
    """The band holds the observed share and is the reference's, to its grid."""
    lower, upper = share_bounds(errors, requests)
    assert lower <= errors / requests <= upper
    assert lower == pytest.approx(low, abs=0.0003)
    assert upper == pytest.approx(high, abs=0.0003)


def test_share_bounds_know_nothing_without_requests() -> None:
    """No data is no bound."""
    assert share_bounds(0, 0) == (0.0, 1.0)
