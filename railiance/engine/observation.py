"""Reading how Stage 2 stands, without judging: the judge's stored state, the pods, the route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from railiance.domain.errors import Unavailable
from railiance.domain.lifecycle import Run, Verb
from railiance.domain.results import ObserveResult, Status
from railiance.domain.watch_record import WatchRecord
from railiance.engine import watch
from railiance.engine.observe_document import observe_document
from railiance.engine.rollout import TrackState
from railiance.engine.traffic import CANARY, STABLE, current_weight, track_state
from railiance.engine.work import Work


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at Stage 2.

    Attributes:
        record: What the judge has seen so far; None before the first run.
        run: The open run, if any.
        canary: The canary track.
        stable: The stable track.
        weight: The weight as the route has it.
        document: The same as an observe-result.
    """

    record: WatchRecord | None
    run: Run | None
    canary: TrackState
    stable: TrackState
    weight: int | None
    document: ObserveResult

    @property
    def over(self) -> bool:
        """Tell whether there is nothing more to wait for: no open canary run."""
        return self.run is None or self.run.verb is not Verb.DEPLOY


def read_now(work: Work, mode: str = "live") -> Seen:
    """Take one look. A judge that stopped without a verdict, or none at all, is UNKNOWN, never PASS."""
    run = work.standing().open_run
    record = watch.load(work)
    canary, stable, weight = track_state(work, CANARY), track_state(work, STABLE), current_weight(work)
    warnings = _warnings(work, record, run)
    judged = record if record is not None and _speaks_for(work, record) else None
    document = observe_document(
        work,
        mode,
        Status.COMPLETED,
        judged,
        warnings=warnings,
        canary=canary,
        stable=stable,
        weight=weight,
    )
    return Seen(record, run, canary, stable, weight, document)


def follow(work: Work, show: Callable[[Seen], None]) -> Seen:
    """Look again and again until the run concludes; an outage is waited out, as it says nothing.

    Args:
        work: Whose canary.
        show: Told of each look.
    """
    seen: Seen | None = None
    while True:
        try:
            seen = read_now(work)
            show(seen)
        except Unavailable:
            if seen is None:
                raise
        if seen is not None and seen.over:
            return seen
        work.clock.sleep(max(1.0, min(work.contract.analysis.interval.total_seconds(), 5.0)))


def _speaks_for(work: Work, record: WatchRecord) -> bool:
    """Tell whether the judge's state is of this candidate, and fresh or concluded."""
    return record.candidate == work.candidate.digest and not record.stale(work.clock.now())


def _warnings(work: Work, record: WatchRecord | None, run: Run | None) -> tuple[str, ...]:
    if record is None:
        return ("nothing has been judged yet: start with `railiance deploy --stage 2 DIR --apply`",)
    found = []
    if record.candidate != work.candidate.digest:
        found.append("the judge's state is of another candidate than this folder holds")
    if run is not None and record.stale(work.clock.now()):
        found.append(
            f"nobody has judged since {record.updated_at}: the run is gone; `railiance abort DIR` ends it"
        )
    return tuple(found)
