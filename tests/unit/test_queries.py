"""A PromQL check asks the right question, and no data never passes."""

from __future__ import annotations

from typing import Any

import pytest

from railiance.domain.queries import (
    bound_of,
    counters_query,
    judge_reading,
    query_of,
    samples_query_of,
    single,
    stable_query_of,
)
from railiance.domain.verdict import Verdict
from railiance_schema.checks import PromqlCheck


def check(**keys: Any) -> PromqlCheck:
    """Return a check with a bound, unless the keys say otherwise."""
    base = {"id": "queue", "type": "promql", "query": "promql: max(queue)", "compare": "<", "threshold": 5.0}
    return PromqlCheck.model_validate({**base, **keys})


@pytest.mark.parametrize(
    ("compare", "value", "verdict"),
    [
        ("<", 4.9, Verdict.PASS),
        ("<", 5.0, Verdict.FAIL),
        ("<=", 5.0, Verdict.PASS),
        (">", 5.0, Verdict.FAIL),
        (">=", 5.0, Verdict.PASS),
        ("==", 5.0, Verdict.PASS),
        ("==", 5.1, Verdict.FAIL),
        ("<", float("inf"), Verdict.FAIL),
    ],
)
def test_absolute_bound(compare: str, value: float, verdict: Verdict) -> None:
    """The reading, the sign, the threshold."""
    assert judge_reading(check(compare=compare), value) is verdict


def test_no_data_is_never_pass() -> None:
    """No data is UNKNOWN, or FAIL where the contract says so."""
    assert judge_reading(check(), None) is Verdict.UNKNOWN
    assert judge_reading(check(on_no_data="fail"), None) is Verdict.FAIL


def test_relative_bound() -> None:
    """Against stable: its value times the ratio, plus the absolute tolerance; without stable nobody can tell."""
    relative = check(
        compare=None, threshold=None, stable_query="max(stable)", tolerance_ratio=2.0, tolerance_abs=0.5
    )
    assert bound_of(relative, 3.0) == 6.5
    assert judge_reading(relative, 6.5, 3.0) is Verdict.PASS
    assert judge_reading(relative, 6.6, 3.0) is Verdict.FAIL
    assert judge_reading(relative, 0.0, None) is Verdict.UNKNOWN
    assert stable_query_of(relative) == "max(stable)"


def test_without_a_bound_nothing_is_judged() -> None:
    """A metric without a bound is recorded, and blocks nobody."""
    assert judge_reading(check(compare=None, threshold=None), 1e9) is None


def test_too_few_readings_are_unknown() -> None:
    """A check that wants a number of readings is UNKNOWN below it."""
    wanting = check(min_samples=10)
    assert judge_reading(wanting, 1.0, samples=None) is Verdict.UNKNOWN
    assert judge_reading(wanting, 1.0, samples=9) is Verdict.UNKNOWN
    assert judge_reading(wanting, 1.0, samples=10) is Verdict.PASS
    assert samples_query_of(wanting) == "count_over_time((max(queue))[300s:])"
    assert samples_query_of(check()) is None


@pytest.mark.parametrize(
    ("compare", "text"),
    [
        ("<", "max_over_time((max(queue))[60s:])"),
        (">=", "min_over_time((max(queue))[60s:])"),
        ("==", "max(queue)"),
    ],
)
def test_for_asks_for_the_worst_value(compare: str, text: str) -> None:
    """A bound that must be kept for a while is kept by the worst value of the while."""
    assert query_of(check(**{"compare": compare, "for": "1m"})) == text
    assert query_of(check()) == "max(queue)"


def test_only_one_number_is_an_answer() -> None:
    """None and several are no answer: nobody may choose among them."""
    assert single([({}, 3.0)]) == 3.0
    assert single([]) is None
    assert single([({"a": "1"}, 3.0), ({"a": "2"}, 4.0)]) is None


def test_counters_are_asked_raw() -> None:
    """A range selector, so that nothing is extrapolated; names are literal."""
    text = counters_query(["b-80@x", "a.b@x"], "service", 300)
    assert text == 'traefik_service_requests_total{service=~"a\\\\.b@x|b\\\\-80@x"}[300s]'
