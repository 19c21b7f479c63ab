"""What the judge tells the operator: one sentence, with the numbers that decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from railiance.domain.betting import share_bounds
from railiance.domain.counters import TrackDelta
from railiance.domain.hard_gates import GateSignal


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests and failed requests of both tracks over some time."""

    canary_requests: float = 0.0
    canary_errors: float = 0.0
    stable_requests: float = 0.0
    stable_errors: float = 0.0

    def plus(self, canary: TrackDelta, stable: TrackDelta) -> Counts:
        """Return the counts with what both tracks did added."""
        return Counts(
            self.canary_requests + canary.requests,
            self.canary_errors + canary.errors,
            self.stable_requests + stable.requests,
            self.stable_errors + stable.errors,
        )


def of_gates(signals: Iterable[GateSignal]) -> str:
    """Return what the gates say, each once."""
    return "; ".join(dict.fromkeys(signal.reason for signal in signals))


def worse(counts: Counts, seconds: float, ratio: float, tolerance: float, false_alarm: float) -> str:
    """Return why the canary must leave."""
    low, _ = share_bounds(counts.canary_errors, counts.canary_requests)
    _, high = share_bounds(counts.stable_errors, counts.stable_requests)
    return (
        f"after {_span(seconds)}: canary failed {_of(counts.canary_errors, counts.canary_requests)}, "
        f"surely over {_percent(low)}), stable {_of(counts.stable_errors, counts.stable_requests)}, "
        f"surely under {_percent(high)}); a canary within tolerance ({ratio:g} x stable + "
        f"{100 * tolerance:g} pp) would ever look this bad in fewer than {false_alarm:.0%} of rollouts"
    )


def fine(counts: Counts, false_pass: float) -> str:
    """Return why the canary may be promoted."""
    return (
        f"canary failed {_of(counts.canary_errors, counts.canary_requests)}), "
        f"stable {_of(counts.stable_errors, counts.stable_requests)}); an unacceptable canary would ever "
        f"look this good in fewer than {false_pass:.0%} of rollouts"
    )


def more(counts: Counts, seconds: float, needed: int | None, rate: float) -> str:
    """Return what is missing for a decision."""
    head = (
        f"not decided after {_span(seconds)}: {_number(counts.canary_requests)} canary requests, "
        f"{_number(counts.canary_errors)} failed; "
    )
    if needed is None:
        return head + "at this error share no number of requests will show that the canary is fine"
    if rate <= 0:
        return head + f"about {_number(needed)} more are needed"
    return head + f"about {_number(needed)} more are needed (about {_span(needed / rate)} at this rate)"


def split_off(counts: Counts, weight: int) -> str:
    """Return that the requests are not split as they should be."""
    total = counts.canary_requests + counts.stable_requests
    observed = 100.0 * counts.canary_requests / total if total else 0.0
    return (
        f"the canary got {observed:.1f} % of {_number(total)} requests where {weight} % were set: "
        "the two tracks may not be compared"
    )


def both_bad(counts: Counts, weight: int) -> str:
    """Return that nobody can be blamed."""
    return (
        f"both tracks fail: canary {_of(counts.canary_errors, counts.canary_requests)}), "
        f"stable {_of(counts.stable_errors, counts.stable_requests)}), at a weight of {weight} %; "
        "no comparison can tell who broke it"
    )


def suspicious(counts: Counts) -> str:
    """Return that it looks bad, but not bad enough."""
    return (
        f"suspicious: canary failed {_of(counts.canary_errors, counts.canary_requests)}), "
        f"stable {_of(counts.stable_errors, counts.stable_requests)}); the weight stays"
    )


def too_early(seconds: float, earliest: float) -> str:
    """Return that it is too early for a PASS."""
    return f"watched for {_span(seconds)} of at least {_span(earliest)}"


def _of(errors: float, requests: float) -> str:
    """Return a share in numbers, with an open bracket: `17 of 236 requests (7.2 %`."""
    share = errors / requests if requests else 0.0
    return f"{_number(errors)} of {_number(requests)} requests ({_percent(share)}"


def _percent(share: float) -> str:
    """Return a share in percent with two digits that mean something."""
    percent = 100.0 * share
    return f"{percent:.0f} %" if percent >= 99.95 or percent == 0 else f"{percent:.2g} %"


def _number(value: float) -> str:
    """Return a whole number with thin groups."""
    return f"{value:,.0f}".replace(",", " ")


def _span(seconds: float) -> str:
    """Return a duration as people say it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
