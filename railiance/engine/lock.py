"""The app's lock around a change, as a `with` block that notes itself in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from railiance.adapters.lease import HeldLease, acquire
from railiance.domain.lifecycle import EventKind
from railiance.engine.record import note
from railiance.engine.work import Work


@contextmanager
def taken(work: Work, *, asking: bool) -> Iterator[HeldLease]:
    """Hold the app's lock; `asking` makes a live holder yield, which is for going back only.

    Raises:
        Conflict: Another live run holds it (DENY_LOCKED).
    """
    lease = acquire(
        work.hands.cluster, work.namespace, work.app_id, work.run_id, work.clock, ask_to_yield=asking
    )
    try:
        note(work, EventKind.LOCK_TAKEN, fence=lease.fence, taken_over_from=lease.taken_over_from)
        yield lease
    finally:
        lease.release()
