"""How verdicts combine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railiance.domain.verdict import Verdict, combine

P, F, U = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [((), U), ((P,), P), ((P, P), P), ((P, U), U), ((U,), U), ((U, F), F), ((P, U, F), F)],
)
def test_combine(verdicts, expected):
    """FAIL outweighs UNKNOWN, UNKNOWN outweighs PASS, and nothing at all is UNKNOWN."""
    assert combine(verdicts) is expected


@given(st.lists(st.sampled_from(Verdict)), st.randoms())
def test_order_never_matters(verdicts, random):
    """No order of the same verdicts gives another answer, and no FAIL is ever hidden."""
    shuffled = list(verdicts)
    random.shuffle(shuffled)
    assert combine(shuffled) is combine(verdicts)
    assert (combine(verdicts) is F) == (F in verdicts)


@given(st.lists(st.sampled_from(Verdict)))
def test_pass_needs_only_passes(verdicts):
    """PASS is said exactly when there is an answer and every answer is PASS."""
    assert (combine(verdicts) is P) == (bool(verdicts) and set(verdicts) == {P})
