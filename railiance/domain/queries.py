"""PromQL as data: which question a check asks, and what an answer means."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from railiance.domain.verdict import Verdict

if TYPE_CHECKING:
    from railiance_schema.checks import PromqlCheck

_PREFIX = "promql:"
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
# The worst value of a while: if that one keeps the bound, all did.
_WORST = {"<": "max_over_time", "<=": "max_over_time", ">": "min_over_time", ">=": "min_over_time"}

COUNTERS = "traefik_service_requests_total"


def query_of(check: PromqlCheck) -> str:
    """Return the PromQL that answers a check with one number: its query, or its worst value during `for`."""
    query = check.query.strip().removeprefix(_PREFIX).strip()
    if check.for_ is None or check.compare is None:
        return query
    function = _WORST.get(str(check.compare))
    return query if function is None else f"{function}(({query})[{_seconds(check.for_.total_seconds())}:])"


def stable_query_of(check: PromqlCheck) -> str | None:
    """Return the same question to stable, or None for an absolute bound."""
    query = check.stable_query
    return None if query is None else query.strip().removeprefix(_PREFIX).strip()


def samples_query_of(check: PromqlCheck) -> str | None:
    """Return the PromQL that counts the readings behind a check, or None when no number is asked for."""
    if not check.min_samples:
        return None
    query = check.query.strip().removeprefix(_PREFIX).strip()
    span = check.for_.total_seconds() if check.for_ is not None else 300.0
    return f"count_over_time(({query})[{_seconds(span)}:])"


def single(vector: Sequence[tuple[Mapping[str, str], float]]) -> float | None:
    """Return the one number of an answer; None when there is none, or several that nobody can choose from."""
    return vector[0][1] if len(vector) == 1 else None


def judge_reading(
    check: PromqlCheck, value: float | None, stable_value: float | None = None, samples: float | None = None
) -> Verdict | None:
    """Judge one answer.

    Args:
        check: The check with its bound.
        value: The answer; None for no data, or for an answer that is not one number.
        stable_value: Stable's answer to the same question, for a relative bound.
        samples: Readings behind the answer, where the check asks for a number of them.

    Returns:
        The verdict; never PASS without data. None for a check without a bound, which is only recorded.
    """
    if not check.judged:
        return None
    if value is None:
        return Verdict.FAIL if str(check.on_no_data) == "fail" else Verdict.UNKNOWN
    if check.min_samples and (samples is None or samples < check.min_samples):
        return Verdict.UNKNOWN
    bound = bound_of(check, stable_value)
    if bound is None:
        return Verdict.UNKNOWN
    compare = "<=" if check.stable_query is not None else str(check.compare)
    holds = _HOLDS.get(compare)
    if holds is None:
        return Verdict.UNKNOWN
    return Verdict.PASS if holds(value, bound) else Verdict.FAIL


def bound_of(check: PromqlCheck, stable_value: float | None) -> float | None:
    """Return the number that the answer is compared with; None when stable did not answer."""
    if check.stable_query is None:
        return check.threshold
    if stable_value is None:
        return None
    return stable_value * check.tolerance_ratio + check.tolerance_abs


def counters_query(names: Iterable[str], label: str, seconds: float) -> str:
    """Return the PromQL for the raw samples of the gateway's counters.

    Args:
        names: Values of the label, as Traefik writes them.
        label: `service`, or `exported_service` where Prometheus keeps that name for itself.
        seconds: How far back to look.

    Returns:
        A range selector: asked as an instant query it gives the raw samples with the times at which they were
        scraped, and nothing is extrapolated.
    """
    # Backslashes twice: once for the regular expression, once for PromQL's string.
    pattern = "|".join(re.escape(name).replace("\\", "\\\\") for name in sorted(names))
    return f'{COUNTERS}{{{label}=~"{pattern}"}}[{_seconds(seconds)}]'


def _seconds(seconds: float) -> str:
    """Return a duration as PromQL writes it."""
    return f"{max(1, round(seconds))}s"
