"""The fast way back: traffic first, then the rest. Plain code over the adapters, so it works while Prefect is down.

The CLI calls it without importing Prefect; the flow `rollback` wraps the same steps in tasks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from railiance.adapters import progress
from railiance.domain.check import CheckResult, combine_checks
from railiance.domain.errors import Conflict, RailianceError
from railiance.domain.lifecycle import EventKind, Run, Standing, Verb, left_by
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.results import ResultDocument
from railiance.domain.verdict import Verdict
from railiance.engine.checks import run_checks
from railiance.engine.conclude import conclude_rollback
from railiance.engine.known_good import Kept
from railiance.engine.lock import taken
from railiance.engine.planning import (
    CANARY,
    STABLE,
    canary_release,
    kept_source,
    plan_rollback,
    stable_release,
    surges,
)
from railiance.engine.promotion import carry_users, change_stable, give_back
from railiance.engine.record import note, open_run
from railiance.engine.release import remove_release, stored
from railiance.engine.stages import Prepared
from railiance.engine.traffic import close_route, current_weight, routed, set_weight, track_state, wait_quiet
from railiance.engine.work import Work


@dataclass(frozen=True, slots=True)
class Returned:
    """How going back ended.

    Attributes:
        done: Whether anything had to be done.
        verdict: PASS when users are on a whole, known track; FAIL when none could be made ready.
        reason: One sentence.
        left: Digest of the candidate that was left, if it is known.
    """

    done: bool
    verdict: Verdict
    reason: str
    left: str | None = None


@contextmanager
def traffic_returned_on_error(work: Work, lease: Lease) -> Iterator[None]:
    """Give users back to stable when the block ends by an error, unless another run has taken over.

    A process that is killed runs none of this: the next `deploy`, `abort` or `rollback` finds the open run.
    """
    try:
        yield
    except Conflict as error:
        if error.code not in {"DENY_LOCK_LOST", "LOCK_YIELDED"}:
            _try_traffic_back(work, lease)
        raise
    except BaseException:
        _try_traffic_back(work, lease)
        raise


def _try_traffic_back(work: Work, lease: Lease) -> None:
    # The first error is the one to tell; a second one here leaves the run open, which `status` shows.
    with suppress(RailianceError):
        traffic_back(work, lease)


def abort(work: Work, reason: str) -> Returned:
    """Take the canary back out of Stage 2: weight 0 first, then drain, then remove its helm_release.

    With nothing open and no canary there this changes nothing, and says so.

    Raises:
        Conflict: A promotion is open, which only a rollback can undo (PROMOTION_OPEN).
    """
    run = _canary_run(work)
    stage = work.stage("stage2")
    present = work.hands.releases.state(stage.release, stage.namespace) is not None
    if run is None and not present:
        return Returned(False, Verdict.PASS, "no canary is there, nothing to abort")
    with taken(work, asking=True) as lease:
        run = _canary_run(work)  # another may have begun before the lock was ours
        traffic_back(work, lease)
        if routed(work):
            wait_quiet(work, CANARY)
        remove_release(work, stage.release, stage.namespace, phase="concluded")
        set_weight(work, 0, lease, header=False)
        note(work, EventKind.ABORTED, run=run.id if run else work.run_id, reason=reason)
    return Returned(
        True,
        Verdict.PASS,
        f"helm_release {stage.release} is removed; all users are on stable",
        run.candidate if run else None,
    )


def _canary_run(work: Work) -> Run | None:
    """Return the open run if it is a canary's, None without one; anything else is not abort's to undo."""
    run = work.standing().open_run
    if run is not None and run.verb is not Verb.DEPLOY:
        raise Conflict(
            "PROMOTION_OPEN",
            f"run {run.id} is a {run.verb}, not a canary",
            "go back with `railiance rollback DIR`",
        )
    return run


def traffic_back(work: Work, lease: Lease) -> None:
    """Give all users back to the stable track: one write, when it is ready."""
    note(work, EventKind.MUTATING, phase="step", object="route", weight=0)
    set_weight(work, 0, lease)
    note(work, EventKind.MUTATED, phase="step", object="route", weight=0)
    progress.say("Weight 0 %: all users are on stable")


def begin(work: Work, plan: Plan) -> None:
    """Write that a rollback is under way; a second call finds it and goes on."""
    open_run(work, plan)


def users_to_safety(work: Work, plan: Plan, kept: Kept, lease: Lease) -> Verdict:
    """Routing first: put users on a ready track that runs the known-good candidate, whichever that is."""
    present = stored(work, stable_release(work), plan.target.namespace)
    stable = track_state(work, STABLE)
    if (
        present is not None
        and present.manifest_digest == plan.release(STABLE).manifest_digest
        and stable.ready
    ):
        progress.say("The stable track already runs the known-good candidate and is ready")
        traffic_back(work, lease)
        return Verdict.PASS
    if not surges(work, plan.baseline) or _carried_by_canary(work):
        # Somebody whole serves already, or there is no second track: upgrade stable straight away.
        return Verdict.UNKNOWN
    return carry_users(work, plan, kept_source(work, kept, CANARY), lease).verdict


def _carried_by_canary(work: Work) -> bool:
    """Tell whether a ready canary track carries all users now, as in the middle of a promotion."""
    if not routed(work):
        return False
    return current_weight(work) == 100 and track_state(work, CANARY).ready


def restore_stable(work: Work, plan: Plan, kept: Kept, lease: Lease) -> Returned:
    """Bring the stable track to the known-good candidate, give users back to it, and remove the canary track."""
    _, rollout = change_stable(work, plan, kept_source(work, kept, STABLE), lease, phase="rolling-back")
    if rollout.verdict is not Verdict.PASS:
        return Returned(True, Verdict.FAIL, f"the known-good candidate does not get ready: {rollout.reason}")
    give_back(work, plan, lease)
    return Returned(
        True, Verdict.PASS, f"all users are on candidate {plan.candidate[:19]}", plan.baseline.candidate
    )


def undo_promotion(work: Work, lease: Lease, reason: str) -> Returned:
    """Go back from a promotion that failed, to what served before it; its approval covers this.

    Args:
        work: Whose promotion.
        lease: The lock, which the promotion holds.
        reason: Why it failed.
    """
    rollback = work.contract.rollback
    if rollback is None or not (rollback.automatic and rollback.reversible):
        return Returned(
            False, Verdict.FAIL, "the contract forbids going back by itself; `railiance rollback DIR`"
        )
    standing = work.standing()
    if standing.serving is None:
        return uninstall_first(work, lease, reason)
    with tempfile.TemporaryDirectory(prefix="railiance-known-good-") as folder:
        planned, kept = plan_rollback(work, standing, standing.serving, Path(folder))
        if planned.plan is None:
            return Returned(False, Verdict.UNKNOWN, "no plan for going back could be made")
        returned = bring_back(work, planned.plan, kept, lease)
    finish(work, standing, returned, planned.plan.candidate, reason)
    return returned


def bring_back(work: Work, plan: Plan, kept: Kept, lease: Lease) -> Returned:
    """Carry a rollback's plan out: users to safety, stable to the known-good candidate, users back to it."""
    safe = users_to_safety(work, plan, kept, lease)
    if safe is Verdict.FAIL:
        progress.say("No second track gets ready; the stable track is brought back directly")
    return restore_stable(work, plan, kept, lease)


def roll_back(work: Work, prepared: Prepared, reason: str) -> ResultDocument:
    """Carry out a whole rollback without Prefect, and return its document.

    Raises:
        Conflict: A live run did not give up the lock (DENY_LOCKED).
    """
    with taken(work, asking=True) as lease:
        if prepared.plan is None or prepared.kept is None:
            returned = uninstall_first(work, lease, reason)
        else:
            begin(work, prepared.plan)
            returned = bring_back(work, prepared.plan, prepared.kept, lease)
        return conclude(work, prepared, returned, reason)


def conclude(work: Work, prepared: Prepared, returned: Returned, reason: str) -> ResultDocument:
    """Close a rollback: the declared checks, the hold, the event, the document."""
    verdict, held = returned.verdict, returned.left
    checks: tuple[CheckResult, ...] = ()
    if prepared.plan is not None and prepared.standing is not None:
        if verdict is Verdict.PASS:
            checks = run_checks(
                work, "stage3", work.contract.rollback.checks if work.contract.rollback else None
            )
            verdict = combine_checks(checks) if any(c.required for c in checks) else verdict
        held = finish(work, prepared.standing, returned, prepared.plan.candidate, reason)
    return conclude_rollback(work, prepared, verdict, returned.reason, held, checks)


def finish(work: Work, standing: Standing, returned: Returned, candidate: str, reason: str) -> str | None:
    """Set a hold on what was left and close the run, so that no automation promotes it again.

    Args:
        work: Whose rollback.
        standing: Where the app stood before it.
        returned: How it ended; one that failed stays open, for a second call to go on with.
        candidate: The candidate that serves again.
        reason: Why.

    Returns:
        Digest of the candidate that is on hold now, or None when none could be named.
    """
    if returned.verdict is not Verdict.PASS:
        return None
    run = standing.open_run
    left = left_by(standing)
    if left and left != candidate:
        note(work, EventKind.HOLD_SET, candidate=left, reason=f"rolled back: {reason}")
    note(
        work,
        EventKind.ROLLED_BACK,
        run=run.id if run else work.run_id,
        candidate=candidate,
        left=left,
        verdict=str(returned.verdict),
        reason=reason,
    )
    return left if left != candidate else None


def uninstall_first(work: Work, lease: Lease, reason: str) -> Returned:
    """Undo a first install: there is no earlier candidate, so the route and the helm_releases go; volumes stay."""
    run = work.standing().open_run
    namespace = work.stage("stage3").namespace
    close_route(work)
    for name in (canary_release(work), stable_release(work)):
        lease.assert_held()
        remove_release(work, name, namespace, phase="rolling-back")
    if run is not None:
        note(work, EventKind.HOLD_SET, candidate=run.candidate, reason=f"rolled back: {reason}")
    note(work, EventKind.ROLLED_BACK, run=run.id if run else work.run_id, candidate="", reason=reason)
    left = run.candidate if run else None
    return Returned(True, Verdict.PASS, "the first install is removed; its volumes are kept", left)
