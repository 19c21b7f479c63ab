"""Stage 2 in actions: install beside stable, look, move users step by step, return them, leave."""

from __future__ import annotations

from railiance.adapters import progress
from railiance.domain.lifecycle import EventKind
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.verdict import Verdict
from railiance.engine.planning import CANARY, canary_release, stage_source
from railiance.engine.record import note
from railiance.engine.release import apply_release, remove_release
from railiance.engine.rollout import Rollout, wait_ready
from railiance.engine.traffic import current_weight, set_weight, track_of, wait_quiet, wait_seen
from railiance.engine.work import Work


def install_canary(work: Work, plan: Plan, lease: Lease) -> Rollout:
    """Install the canary track at weight 0 and wait until it can take users; then open the private look.

    Users that a run which was cut short left on the canary go back to stable before anything else.
    """
    stage = work.stage("stage2")
    if current_weight(work):
        set_weight(work, 0, lease)
    source = stage_source(work, "stage2", CANARY, plan.baseline)
    apply_release(work, plan, plan.release(CANARY), source, lease, phase="installing")
    rollout = wait_ready(
        work.hands,
        track_of(work, CANARY),
        stage.timeout.total_seconds(),
        lease,
        restart_limit=work.contract.analysis.restart_limit,
    )
    progress.answer(str(rollout.verdict), f"canary track: {rollout.reason}")
    if rollout.verdict is Verdict.PASS:
        set_weight(work, 0, lease)
        note(work, EventKind.VERIFIED, phase="smoke", object=f"helm_release/{canary_release(work)}")
    return rollout


def shift_users(work: Work, plan: Plan, index: int, lease: Lease) -> None:
    """Give the canary the weight of a step."""
    weight = plan.steps[index].weight
    note(work, EventKind.MUTATING, phase="step", step=index, object="route", weight=weight)
    set_weight(work, weight, lease)
    note(work, EventKind.MUTATED, phase="step", step=index, object="route", weight=weight)
    wait_seen(work, CANARY)
    progress.say(f"Weight {weight} %: {weight} of 100 requests go to the canary")


def return_users(work: Work, lease: Lease) -> None:
    """Give all users back to stable, and wait until the canary has answered its last."""
    note(work, EventKind.MUTATING, phase="step", object="route", weight=0)
    set_weight(work, 0, lease)
    note(work, EventKind.MUTATED, phase="step", object="route", weight=0)
    progress.say("Weight 0 %: all users are on stable")
    wait_quiet(work, CANARY)


def leave(work: Work, lease: Lease, *, keep: bool) -> None:
    """Close the private look; remove the canary track unless it is kept for the promotion."""
    set_weight(work, 0, lease, header=False)
    if keep:
        return
    lease.assert_held()
    stage = work.stage("stage2")
    if remove_release(work, stage.release, stage.namespace, phase="concluded"):
        progress.say(f"helm_release {stage.release} is removed")
