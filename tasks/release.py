"""Tasks that change helm_releases."""

from __future__ import annotations

from prefect import task

from railiance import recovery
from railiance.domain.lifecycle import KnownGood
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.verdict import Verdict
from railiance.engine import canary, promotion
from railiance.engine.known_good import Kept
from railiance.engine.planning import CANARY, STABLE, stage_source, surges
from railiance.engine.release import Applied
from railiance.engine.rollout import Rollout
from railiance.engine.work import Work
from railiance.recovery import Returned
from tasks.retry import RETRIED


@task(**RETRIED)
def install_canary(work: Work, plan: Plan, lease: Lease) -> Rollout:
    """Bring the canary track up beside the stable one, at weight 0."""
    return canary.install_canary(work, plan, lease)


@task(**RETRIED)
def leave(work: Work, lease: Lease, *, keep: bool) -> None:
    """Close the private look; remove the canary track unless the promotion may need it."""
    canary.leave(work, lease, keep=keep)


@task(**RETRIED)
def carry_users(work: Work, plan: Plan, lease: Lease) -> Verdict:
    """Bring the canary track to full size and send all users to it; a first install has nobody to carry."""
    if not surges(work, plan.baseline):
        return Verdict.PASS
    return promotion.carry_users(
        work, plan, stage_source(work, "stage3", CANARY, plan.baseline), lease
    ).verdict


@task(**RETRIED)
def change_stable(work: Work, plan: Plan, lease: Lease) -> tuple[Applied, Rollout]:
    """Bring the stable track to the candidate and wait until it can take users."""
    return promotion.change_stable(work, plan, stage_source(work, "stage3", STABLE, plan.baseline), lease)


@task(**RETRIED)
def give_back(work: Work, plan: Plan, lease: Lease) -> None:
    """Send all users to the stable track and remove the canary track."""
    promotion.give_back(work, plan, lease)


@task(**RETRIED)
def keep_known_good(work: Work, plan: Plan, applied: Applied) -> KnownGood:
    """Keep the promoted candidate whole in the ledger."""
    return promotion.keep_known_good(work, plan, applied)


@task(**RETRIED)
def users_to_safety(work: Work, plan: Plan, kept: Kept, lease: Lease) -> Verdict:
    """Put users on a ready track that runs the known-good candidate."""
    return recovery.users_to_safety(work, plan, kept, lease)


@task(**RETRIED)
def restore_stable(work: Work, plan: Plan, kept: Kept, lease: Lease) -> Returned:
    """Bring the stable track to the known-good candidate and give users back to it."""
    return recovery.restore_stable(work, plan, kept, lease)


@task(**RETRIED)
def undo_first_install(work: Work, lease: Lease, reason: str) -> Returned:
    """Remove a first install; there is no earlier version."""
    return recovery.uninstall_first(work, lease, reason)
