"""Waiting for a track: ready, beyond hope, or out of time; and never past a lock that is gone."""

from __future__ import annotations

import pytest

from railiance.domain.errors import Conflict, Unavailable
from railiance.domain.verdict import Verdict
from railiance.engine.rollout import Rollout, keep_on, read_track, wait_ready
from railiance.engine.traffic import STABLE, track_of
from tests.story_kit import HeldLock, World


def wait(world: World, lock: HeldLock, timeout: float = 30) -> Rollout:
    """Wait for the stable track."""
    return wait_ready(world.hands, track_of(world.work(), STABLE), timeout, lock)


def unready(world: World) -> None:
    """Let no stable pod be ready."""
    world.never_ready.add(("stable", "v1"))
    world._hold_back()
    world.controllers.reconcile()


def test_a_ready_track_passes_at_once(world: World, lock: HeldLock) -> None:
    """What is ready is not waited for."""
    assert wait(world, lock).verdict is Verdict.PASS
    assert world.clock.monotonic() == 0


def test_a_track_that_gets_ready(world: World, lock: HeldLock) -> None:
    """Waiting ends with the pods, not with the time."""
    unready(world)

    def better() -> None:
        world.never_ready.clear()
        world._hold_back()
        world.controllers.reconcile()

    world.clock.after(10, better)
    assert wait(world, lock).verdict is Verdict.PASS
    assert world.clock.monotonic() == 10


def test_a_track_that_never_gets_ready(world: World, lock: HeldLock) -> None:
    """Out of time is FAIL, with the counts."""
    unready(world)
    found = wait(world, lock)
    assert (found.verdict, world.clock.monotonic()) == (Verdict.FAIL, 30)
    assert "not ready after 30 s" in found.reason
    assert "0/2 ready" in found.reason


def test_an_image_that_nobody_has(world: World, lock: HeldLock) -> None:
    """The reason that the container itself gives is told."""
    world.controllers.cannot_pull.add("registry.example/web")
    world.controllers.reconcile()
    assert "ImagePullBackOff" in wait(world, lock).reason


def test_a_pod_beyond_hope_is_not_waited_for(world: World, lock: HeldLock) -> None:
    """A crash loop ends the wait long before the time is over."""
    unready(world)
    for pod in world.cluster.objects("Pod"):
        pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    found = wait(world, lock, 600)
    assert found.verdict is Verdict.FAIL
    assert "crashes again and again" in found.reason
    assert world.clock.monotonic() == 0


def test_nothing_there_is_not_ready(world: World, lock: HeldLock) -> None:
    """A track without a workload can take nobody."""
    work = world.work()
    work.hands.releases.uninstall("web", "shop")
    state = read_track(world.cluster, track_of(work, STABLE))
    assert (state.ready, state.words()) == (False, "no workload yet, 0 endpoints")
    assert wait(world, lock).verdict is Verdict.FAIL


def test_ready_pods_that_no_service_lists_are_not_ready(world: World, lock: HeldLock) -> None:
    """Pods are not enough: users come through the Service."""
    for piece in world.cluster.objects("EndpointSlice"):
        piece["endpoints"] = []
    assert wait(world, lock).verdict is Verdict.FAIL


def test_no_answer_is_for_the_caller(world: World, lock: HeldLock) -> None:
    """An API server that does not answer is neither ready nor a failure."""
    world.cluster.down = True
    with pytest.raises(Unavailable):
        wait(world, lock)


@pytest.mark.parametrize(("lost", "code"), [(True, "DENY_LOCK_LOST"), (False, "LOCK_YIELDED")])
def test_waiting_ends_with_the_lock(world: World, lock: HeldLock, lost: bool, code: str) -> None:
    """Within a second of losing the lock, or of being asked for it, the wait is over."""
    unready(world)

    def happen() -> None:
        lock.lost, lock.wanted = lost, "r9"

    world.clock.after(5, happen)
    with pytest.raises(Conflict) as caught:
        wait(world, lock)
    assert (caught.value.code, world.clock.monotonic()) == (code, 5)


def test_keep_on_says_who_asks() -> None:
    """The run that has to stop can say for whom."""
    lock = HeldLock()
    keep_on(lock)
    lock.wanted = "run-7"
    with pytest.raises(Conflict, match="run-7"):
        keep_on(lock)
