"""The judge: may the canary go on, must it leave, or can nobody tell yet (observation.md, sections 6, 7).

All of it is pure: the terms, the remembered evidence, what the pods say and the moment go in, an assessment
comes out. Missing data never pass and never fail; they hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from railiance.domain import sentences
from railiance.domain.betting import Batch, fine_factors, fine_value, odds_of, requests_needed
from railiance.domain.hard_gates import Gates
from railiance.domain.judge_state import CANARY, STABLE, JudgeState, rebase, update
from railiance.domain.judge_terms import JudgeConfig
from railiance.domain.plan import Step
from railiance.domain.verdict import Verdict

__all__ = [
    "CANARY",
    "STABLE",
    "Assessment",
    "JudgeConfig",
    "JudgeState",
    "assess",
    "rebase",
    "stage_verdict",
    "step_closed",
    "update",
]

SPLIT_JUDGED_FROM = 200
"""Requests in a step from which on the observed split is judged."""

STALE_AFTER = 3
"""Readings that may fail before there is no data."""

IDLE_AFTER = timedelta(seconds=60)
"""How long a canary with a weight may go without a request before there is no data."""

_SUSPICIOUS = 0.1  # of what decides: enough to stay where we are


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the judge says after a reading.

    Attributes:
        verdict: PASS, FAIL or UNKNOWN.
        code: `gate`, `worse`, `no-data`, `both-bad`, `suspicious`, `too-early`, `pass` or `more-evidence`.
        reason: One sentence for the operator.
        worse: Capital of "worse than tolerated"; decides at 1 / `false_alarm`.
        fine: Capital of "not unacceptably worse"; enough at 1 / `false_pass`.
        needed: Canary requests still needed for PASS, about; None when none of this kind will do.
        no_data: Whether the readings are missing, old, partial, or the canary answers nobody.
        split_off: Whether the observed odds are not the planned ones.
        frozen: Whether the weight must stay where it is.
        breach_canary: Capital of "the canary breaks the absolute bound".
        breach_stable: The same for stable.
    """

    verdict: Verdict
    code: str
    reason: str
    worse: float
    fine: float
    needed: int | None
    no_data: bool
    split_off: bool
    frozen: bool
    breach_canary: float
    breach_stable: float


def assess(config: JudgeConfig, state: JudgeState, gates: Gates, now: datetime) -> Assessment:
    """Say where the canary stands; the first rule that applies decides.

    Args:
        config: The terms.
        state: The evidence.
        gates: What the pods say; `hard_gates.UNREADABLE` while they cannot be read.
        now: The present moment: old readings are no data.

    Returns:
        The assessment. Without data it is never PASS, and FAIL only by a gate or by evidence seen before.
    """
    missing = _missing(config, state, now)
    split_off = not _split_as_planned(config, state)
    found = _rule(config, state, gates, missing, split_off)
    verdict, code, reason = found
    return Assessment(
        verdict=verdict,
        code=code,
        reason=reason,
        worse=state.worse.value,
        fine=fine_value(state.fine),
        needed=_needed(config, state),
        no_data=missing is not None,
        split_off=split_off,
        frozen=code in {"no-data", "both-bad", "suspicious"},
        breach_canary=state.breach_canary.value,
        breach_stable=state.breach_stable.value,
    )


def step_closed(
    config: JudgeConfig, state: JudgeState, step: Step, assessment: Assessment, checks: Verdict
) -> tuple[bool, tuple[str, ...]]:
    """Tell whether a step is done (lifecycle.md, section 3, rule 3).

    Args:
        config: The terms.
        state: The evidence.
        step: The present step.
        assessment: What the judge says now.
        checks: The step's required checks together; PASS only where the step declares none or all pass.

    Returns:
        Whether it is closed, and else what it waits for, in words.
    """
    wanted = step.min_samples or config.min_samples
    seen = int(state.step.canary_requests)
    waits = (
        (
            state.weight != step.weight,
            f"the weight of this step is {step.weight} %, watched is {state.weight} %",
        ),
        (state.step_seconds < step.window, f"window: {state.step_seconds:.0f} of {step.window:.0f} s"),
        (seen < wanted, f"canary requests: {seen} of {wanted}"),
        (assessment.split_off, "the observed split is not the planned one"),
        (assessment.frozen or assessment.verdict is Verdict.FAIL, f"judge: {assessment.reason}"),
        (checks is not Verdict.PASS, f"required checks: {checks}"),
    )
    waiting = tuple(words for holds, words in waits if holds)
    return not waiting, waiting


def stage_verdict(
    config: JudgeConfig, state: JudgeState, assessment: Assessment, *, steps_closed: bool
) -> Verdict:
    """Return the verdict of the whole analysis (lifecycle.md, section 3, rule 4).

    Args:
        config: The terms; `pass_rule` decides what is enough.
        state: The evidence.
        assessment: What the judge says now.
        steps_closed: Whether every step is closed.

    Returns:
        FAIL as the judge says; PASS only with all steps closed, `earliest` over and the pass rule met.
    """
    if assessment.verdict is Verdict.FAIL:
        return Verdict.FAIL
    if not steps_closed or assessment.frozen or state.seconds < config.earliest:
        return Verdict.UNKNOWN
    if config.pass_rule == "samples":  # noqa: S105 - no password
        return Verdict.PASS if assessment.code in {"pass", "more-evidence"} else Verdict.UNKNOWN
    return assessment.verdict


def _rule(  # noqa: PLR0911 - one return a row of the table, in its order
    config: JudgeConfig, state: JudgeState, gates: Gates, missing: str | None, split_off: bool
) -> tuple[Verdict, str, str]:
    """Return verdict, code and sentence of the first rule that applies."""
    decides = 1.0 / config.false_alarm
    breach_canary, breach_stable = state.breach_canary.value, state.breach_stable.value
    if gates.failures:
        return Verdict.FAIL, "gate", sentences.of_gates(gates.failures)
    if state.worse.value >= decides:
        return (
            Verdict.FAIL,
            "worse",
            sentences.worse(
                state.total, state.seconds, config.tolerance_ratio, config.tolerance_abs, config.false_alarm
            ),
        )
    if missing is not None:
        return Verdict.UNKNOWN, "no-data", missing
    if gates.unknowns:
        return Verdict.UNKNOWN, "no-data", sentences.of_gates(gates.unknowns)
    if split_off:
        return Verdict.UNKNOWN, "no-data", sentences.split_off(state.step, state.weight)
    if breach_canary >= decides and breach_stable >= decides:
        verdict = Verdict.FAIL if config.both_bad == "abort" else Verdict.UNKNOWN
        return verdict, "both-bad", sentences.both_bad(state.total, state.weight)
    bad = (state.worse.value, breach_canary, 0.0 if config.fix_forward else breach_stable)
    if max(bad) >= _SUSPICIOUS * decides:
        return Verdict.UNKNOWN, "suspicious", sentences.suspicious(state.total)
    if state.seconds < config.earliest:
        return Verdict.UNKNOWN, "too-early", sentences.too_early(state.seconds, config.earliest)
    if fine_value(state.fine) >= 1.0 / config.false_pass:
        return Verdict.PASS, "pass", sentences.fine(state.total, config.false_pass)
    needed = _needed(config, state)
    return Verdict.UNKNOWN, "more-evidence", sentences.more(state.total, state.seconds, needed, _rate(state))


def _missing(config: JudgeConfig, state: JudgeState, now: datetime) -> str | None:
    """Return why there is no data, or None."""
    at = state.counters.at
    if at is None:
        return "the gateway's counters have not been read yet"
    age = now - at
    if age > STALE_AFTER * timedelta(seconds=config.interval):
        return f"the last reading of the gateway's counters is {age.total_seconds():.0f} s old"
    if not state.counters.complete:
        return "a gateway pod could not be read"
    if state.weight > 0 and state.canary_seen_at is not None and now - state.canary_seen_at >= IDLE_AFTER:
        idle = (now - state.canary_seen_at).total_seconds()
        return f"the canary has a weight of {state.weight} % but got no request for {idle:.0f} s"
    return None


def _split_as_planned(config: JudgeConfig, state: JudgeState) -> bool:
    """Tell whether the observed odds are near the planned ones, from 200 requests of the step on."""
    canary, stable = state.step.canary_requests, state.step.stable_requests
    if canary + stable < SPLIT_JUDGED_FROM or not 0 < state.weight < 100:
        return True
    if canary <= 0 or stable <= 0:
        return False
    off = (canary / stable) / (state.weight / (100.0 - state.weight))
    return 1.0 / config.split_tolerance <= off <= config.split_tolerance


def _needed(config: JudgeConfig, state: JudgeState) -> int | None:
    """Return how many more canary requests a PASS needs, if both tracks go on failing as they did in all."""
    step, total = state.step, state.total
    requests = total.canary_requests + total.stable_requests
    share = (total.canary_errors + total.stable_errors) / requests if requests else 0.0
    odds = odds_of(state.weight / 100.0, step.canary_requests, step.stable_requests)
    if odds <= 0.0 or not math.isfinite(odds):
        return None
    one = Batch(1.0, share, 1.0 / odds, share / odds, odds)
    gains = fine_factors(
        one, ratio=config.tolerance_ratio, worst=config.worst_abs, dispersion=config.dispersion
    )
    return requests_needed(state.fine, gains, 1.0 / config.false_pass)


def _rate(state: JudgeState) -> float:
    """Return the canary's requests a second in the present step."""
    return state.step.canary_requests / state.step_seconds if state.step_seconds > 0 else 0.0
