"""What the checks of a stage say together."""

import pytest

from railiance.domain.check import CheckResult, combine_checks, skipped
from railiance.domain.verdict import Verdict


def _result(verdict: Verdict, *, required: bool = True) -> CheckResult:
    return CheckResult("c", "command", required=required, verdict=verdict)


def test_required_only():
    """An optional check that fails does not count."""
    results = [_result(Verdict.PASS), _result(Verdict.FAIL, required=False)]
    assert combine_checks(results) is Verdict.PASS


@pytest.mark.parametrize("results", [[], [_result(Verdict.PASS, required=False)]])
def test_nothing_required_is_unknown(results):
    """Without a required check that ran, nothing has passed."""
    assert combine_checks(results) is Verdict.UNKNOWN


def test_required_but_skipped_is_unknown():
    """A required check that was skipped is no pass."""
    results = [_result(Verdict.PASS), skipped("d", "http", required=True, why="no server")]
    assert combine_checks(results) is Verdict.UNKNOWN


@pytest.mark.parametrize(("verdict", "why"), [(None, None), (Verdict.PASS, "no server")])
def test_answer_or_skipped(verdict, why):
    """A result is either an answer or skipped, never both or neither."""
    with pytest.raises(ValueError, match="exactly one"):
        CheckResult("c", "http", required=True, verdict=verdict, skipped=why)
