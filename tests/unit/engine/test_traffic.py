"""Moving users: never to a track that cannot answer, and always written under the lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from railiance.domain.errors import Conflict, Unavailable
from railiance.domain.ports import ObjectRef
from railiance.engine.planning import CANARY, STABLE, plan_canary, stage_source
from railiance.engine.release import apply_release
from railiance.engine.traffic import close_route, current_weight, routed, set_weight, wait_quiet
from tests.story_kit import HeldLock, World


@pytest.fixture
def both(world: World, lock: HeldLock) -> World:
    """Return the world with both tracks ready."""
    work = world.work()
    plan = plan_canary(work, work.standing()).plan
    assert plan is not None
    source = stage_source(work, "stage2", CANARY, plan.baseline)
    apply_release(work, plan, plan.release(CANARY), source, lock, phase="installing")
    world.journal.clear()
    return world


def empty(world: World, track: str) -> None:
    """Let a track have no ready pod."""
    world.never_ready.add((track, world.serving(track) or ""))
    world._hold_back()
    world.controllers.reconcile()
    assert world.endpoints(track) == 0


@pytest.mark.parametrize("weight", [0, 1, 20, 100])
def test_a_weight_is_written_and_read_back(both: World, lock: HeldLock, weight: int) -> None:
    """What the cluster then has is the weight that was wanted."""
    work = both.work()
    set_weight(work, weight, lock)
    assert current_weight(work) == weight
    assert both.unserved == []


@pytest.mark.parametrize(
    ("weight", "dead", "refused"),
    [
        (100, "canary", True),
        (0, "stable", True),
        (20, "stable", True),
        (0, "canary", False),
        (20, "canary", False),
    ],
)
def test_no_user_is_moved_to_a_track_without_endpoints(
    both: World, lock: HeldLock, weight: int, dead: str, refused: bool
) -> None:
    """A track that would receive everybody must be ready; an empty canary is left out of the route."""
    work = both.work()
    set_weight(work, 100 if dead == "stable" else 0, lock)
    empty(both, dead)
    both.journal.clear()
    both.unserved.clear()
    if refused:
        with pytest.raises(Unavailable) as caught:
            set_weight(work, weight, lock)
        assert caught.value.code == "TRACK_NOT_READY"
        assert both.journal == []
    else:
        set_weight(work, weight, lock)
        assert both.journal == [f"users: stable {100 - weight} %; private look at the canary"]
    assert both.unserved == []


def test_the_private_look_is_closed_at_the_end(both: World, lock: HeldLock) -> None:
    """While a run is open the canary can be looked at, at any weight; afterwards nobody gets there."""
    set_weight(both.work(), 0, lock)
    set_weight(both.work(), 0, lock, header=False)
    assert both.journal == ["users: stable 100 %; private look at the canary", "users: stable 100 %"]


def test_the_lock_is_asked_just_before_the_write(both: World, lock: HeldLock) -> None:
    """A run that lost its lock moves nobody."""
    set_weight(both.work(), 0, lock)
    both.journal.clear()
    lock.lost = True
    with pytest.raises(Conflict):
        set_weight(both.work(), 20, lock)
    assert (both.journal, both.weight()) == ([], 0)


def test_a_hand_made_change_does_not_stop_the_way_back(both: World, lock: HeldLock) -> None:
    """Going to 0 wins over what somebody wrote into our route; going forward does not."""
    work = both.work()
    set_weight(work, 20, lock)
    split = {"name": "web", "namespace": "shop"}
    live = both.cluster.get(ObjectRef("traefik.io/v1alpha1", "TraefikService", "shop", "web"))
    assert live is not None
    services = [{**s, "weight": 50} for s in live["spec"]["weighted"]["services"]]
    by_hand = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": split}
    by_hand["spec"] = {"weighted": {"services": services}}
    both.cluster.apply(by_hand, field_manager="kubectl", force=True)
    with pytest.raises(Conflict):
        set_weight(work, 30, lock)
    set_weight(work, 0, lock)
    assert current_weight(work) == 0


def test_a_foreign_route_is_not_touched(world: World, lock: HeldLock) -> None:
    """An object of the route's name that somebody else owns stays as it is, also on the way back."""
    ref = ObjectRef("traefik.io/v1alpha1", "IngressRoute", "shop", "web")
    close_route(world.work())
    foreign = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"routes": []},
    }
    world.cluster.put(foreign)
    with pytest.raises(Conflict) as caught:
        set_weight(world.work(), 0, lock)
    assert caught.value.code == "DENY_FOREIGN_OWNER"
    live = world.cluster.get(ref)
    assert live is not None
    assert live["spec"] == {"routes": []}


def test_isolated_traffic_has_no_route(tmp_path: Path, lock: HeldLock) -> None:
    """Where the contract declares no weighted traffic the engine writes no route and reads no weight."""
    world = World(tmp_path, traffic='mode = "isolated"')
    world.serve("v1")
    work = world.work()
    set_weight(work, 0, lock)
    assert (routed(work), current_weight(work), world.journal) == (False, None, [])
    assert wait_quiet(work, CANARY) is True


# ----- quiet, then drained


def test_quiet_is_when_the_counter_stands_still(both: World, lock: HeldLock) -> None:
    """With nobody sent to the canary its counter stands still; the drain is waited for on top."""
    work = both.work()
    set_weight(work, 0, lock)
    started = both.clock.monotonic()
    assert wait_quiet(work, CANARY) is True
    assert both.clock.monotonic() - started >= 5 + 1


def test_requests_that_go_on_are_not_quiet(both: World, lock: HeldLock) -> None:
    """A gateway that has not taken the weight over yet is waited for, at most 20 s and the drain."""
    work = both.work()
    set_weight(work, 0, lock)
    started = both.clock.monotonic()
    assert wait_quiet(work, STABLE) is False
    assert 20 <= both.clock.monotonic() - started <= 30


def test_quiet_after_a_while(both: World, lock: HeldLock) -> None:
    """Requests that end within the limit make it quiet."""
    work = both.work()
    set_weight(work, 20, lock)
    both.clock.after(3, lambda: set_weight(work, 0, lock))
    assert wait_quiet(work, CANARY) is True


@pytest.mark.parametrize("trouble", ["down", "partial"])
def test_no_counters_are_no_proof_of_quiet(both: World, lock: HeldLock, trouble: str) -> None:
    """What cannot be read, wholly, proves nothing; the drain is waited for all the same."""
    work = both.work()
    set_weight(work, 0, lock)
    if trouble == "down":
        both.gateway.down = True
    else:
        both.gateway.complete = False
    started = both.clock.monotonic()
    assert wait_quiet(work, CANARY) is False
    assert both.clock.monotonic() - started >= 20 + 5
