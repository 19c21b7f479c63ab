"""Changing a helm_release exactly as planned, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railiance.domain.errors import Conflict, Unavailable
from railiance.domain.plan import Plan, ReleasePlan
from railiance.engine.planning import CANARY, Source, plan_canary, stage_source
from railiance.engine.release import apply_release, remove_release, stored
from railiance.engine.work import Work
from tests.story_kit import HeldLock, World


def canary_plan(world: World) -> tuple[Work, Plan, ReleasePlan, Source]:
    """Return what installing the canary needs."""
    work = world.work()
    plan = plan_canary(work, work.standing()).plan
    assert plan is not None
    return work, plan, plan.release(CANARY), stage_source(work, "stage2", CANARY, plan.baseline)


def test_a_change_is_written_down_before_and_after(world: World, lock: HeldLock) -> None:
    """The ledger knows of a change before Helm does, so that whoever comes after a crash finds it."""
    work, plan, release, source = canary_plan(world)
    applied = apply_release(work, plan, release, source, lock, phase="installing")
    assert world.journal == [
        "    ledger: mutating, installing, helm_release/web-canary",
        "helm install shop/web-canary",
        "    ledger: mutated, installing, helm_release/web-canary",
    ]
    assert (applied.changed, applied.helm_revision) == (True, 1)
    assert applied.manifest_digest == release.manifest_digest


def test_nothing_happens_when_it_is_there_already(world: World, lock: HeldLock) -> None:
    """Repeating a change after a crash changes nothing, not even the ledger."""
    work, plan, release, source = canary_plan(world)
    apply_release(work, plan, release, source, lock, phase="installing")
    world.journal.clear()
    again = apply_release(work, plan, release, source, lock, phase="installing")
    assert (again.changed, again.helm_revision, world.journal) == (False, 1, [])


def test_another_manifest_than_planned_is_an_error(world: World, lock: HeldLock) -> None:
    """What Helm stored must be what was approved, whoever touched the chart in between."""
    work, plan, release, source = canary_plan(world)
    (world.folder / "values" / "stage2-canary.yaml").write_text("greeting: something else\n")
    with pytest.raises(Conflict) as caught:
        apply_release(work, plan, release, source, lock, phase="installing")
    assert caught.value.code == "MANIFEST_DIFFERS"
    assert "    ledger: mutated, installing, helm_release/web-canary" not in world.journal


def test_a_lost_lock_stops_before_helm(world: World, lock: HeldLock) -> None:
    """A run that lost its lock calls Helm no more."""
    work, plan, release, source = canary_plan(world)
    lock.lost = True
    with pytest.raises(Conflict) as caught:
        apply_release(work, plan, release, source, lock, phase="installing")
    assert caught.value.code == "DENY_LOCK_LOST"
    assert not [line for line in world.journal if line.startswith("helm")]


def test_no_ledger_no_change(world: World, lock: HeldLock) -> None:
    """What cannot be written down is not done."""
    work, plan, release, source = canary_plan(world)
    world.cluster.fail("create", Unavailable("CLUSTER_UNREACHABLE", "down"), kind="ConfigMap")
    with pytest.raises(Unavailable) as caught:
        apply_release(work, plan, release, source, lock, phase="installing")
    assert caught.value.code == "DENY_LEDGER_UNWRITABLE"
    assert world.serving("canary") is None


@pytest.mark.parametrize("after_objects", [False, True])
def test_a_failed_upgrade_is_no_state_to_rely_on(world: World, lock: HeldLock, after_objects: bool) -> None:
    """A helm_release whose last attempt failed counts as not there as planned, so the next attempt is made."""
    work, plan, release, source = canary_plan(world)
    world.releases.fail("install", Unavailable("HELM_TIMEOUT", "slow"), after_objects=after_objects)
    with pytest.raises(Unavailable):
        apply_release(work, plan, release, source, lock, phase="installing")
    assert stored(work, "web-canary", "shop") is None
    assert apply_release(work, plan, release, source, lock, phase="installing").changed
    assert stored(work, "web-canary", "shop") is not None


def test_a_pending_release_is_refused(world: World, lock: HeldLock) -> None:
    """Another Helm client at work, or dead, is named; nothing is forced."""
    work, plan, release, source = canary_plan(world)
    apply_release(work, plan, release, source, lock, phase="installing")
    world.releases.leave_pending("web-canary", "shop")
    with pytest.raises(Conflict) as caught:
        apply_release(work, plan, replace(release, manifest="other"), source, lock, phase="installing")
    assert caught.value.code == "DENY_PENDING_RELEASE"


def test_removing_what_is_not_there_changes_nothing(world: World) -> None:
    """Uninstalling twice is uninstalling once."""
    work = world.work()
    assert remove_release(work, "web-canary", "shop", phase="concluded") is False
    assert world.journal == []
