"""Stage 3's parts: the error budget, and the watch after the users are back."""

from __future__ import annotations

from pathlib import Path

import pytest

from railiance.domain.errors import Conflict, Unavailable
from railiance.domain.verdict import Verdict
from railiance.engine.promotion import bake, over_budget
from tests.story_kit import HeldLock, World


@pytest.mark.parametrize(
    ("requests", "errors", "ratio", "too_much"),
    [
        (0, 0, 0.99, False),
        (49, 49, 0.99, False),
        (50, 50, 0.99, True),
        (1000, 143, 0.99, False),
        (1000, 145, 0.99, True),
        (10000, 143, 0.999, False),
        (10000, 145, 0.999, True),
        (1000, 0, 1.0, False),
        (1000, 1, 1.0, True),
        (1000, 1000, 0.5, False),
    ],
)
def test_over_budget(requests: float, errors: float, ratio: float, too_much: bool) -> None:
    """More than 14.4 times the allowed share fails, from 50 requests on (lifecycle.md 3, rule 7)."""
    assert bool(over_budget((requests, errors), ratio)) is too_much


def test_a_good_bake_lasts_as_long_as_it_should(world: World, lock: HeldLock) -> None:
    """A pass comes at the end of the time, not before, and tells how many users were watched."""
    started = world.clock.monotonic()
    baked = bake(world.work(), lock)
    assert (baked.verdict, world.clock.monotonic() - started) == (Verdict.PASS, 30)
    assert baked.requests == 30 * world.rate


def test_a_bad_bake_ends_at_once(world: World, lock: HeldLock) -> None:
    """A candidate that burns its budget is not watched to the end."""
    world.failing["stable", "v1"] = 0.5
    started = world.clock.monotonic()
    baked = bake(world.work(), lock)
    assert baked.verdict is Verdict.FAIL
    assert world.clock.monotonic() - started <= 10


def test_pods_that_crash_fail_the_bake(world: World, lock: HeldLock) -> None:
    """A restart of the new stable is seen in its pods, whatever the counters say."""
    for pod in world.cluster.objects("Pod"):
        pod["status"]["containerStatuses"][0]["restartCount"] = 3
    baked = bake(world.work(), lock)
    assert baked.verdict is Verdict.FAIL
    assert "restarted 3 times" in baked.reason


def test_a_check_that_does_not_pass_fails_nothing_open(world: World, lock: HeldLock) -> None:
    """The checks at the end count: without ready endpoints there is no pass."""
    world.never_ready.add(("stable", "v1"))
    world._hold_back()
    world.controllers.reconcile()
    assert bake(world.work(), lock).verdict is not Verdict.PASS


@pytest.mark.parametrize("trouble", ["down", "partial"])
def test_no_counters_never_pass_a_bake(world: World, lock: HeldLock, trouble: str) -> None:
    """A bake that nobody could watch is waited with for hold_for, and then UNKNOWN."""
    if trouble == "down":
        world.gateway.down = True
    else:
        world.gateway.complete = False
    started = world.clock.monotonic()
    assert bake(world.work(), lock).verdict is Verdict.UNKNOWN
    assert 30 + 60 <= world.clock.monotonic() - started <= 30 + 60 + 5


def test_counters_that_come_back_end_the_bake(world: World, lock: HeldLock) -> None:
    """An outage of the gateway's counters at the end only makes the bake longer."""
    world.clock.after(5, lambda: setattr(world.gateway, "down", True))
    world.clock.after(50, lambda: setattr(world.gateway, "down", False))
    started = world.clock.monotonic()
    assert bake(world.work(), lock).verdict is Verdict.PASS
    assert 50 <= world.clock.monotonic() - started <= 55


def test_an_api_server_that_is_away_is_no_fault_of_the_pods(world: World, lock: HeldLock) -> None:
    """One failed look at the pods does not roll anything back."""
    world.cluster.fail("list", Unavailable("CLUSTER_UNREACHABLE", "down"), kind="Pod")
    assert bake(world.work(), lock).verdict is Verdict.PASS


def test_isolated_traffic_bakes_by_pods_and_checks(tmp_path: Path, lock: HeldLock) -> None:
    """Where no route is ours, no counter is asked for."""
    world = World(tmp_path, traffic='mode = "isolated"')
    world.serve("v1")
    world.gateway.down = True
    assert bake(world.work(), lock).verdict is Verdict.PASS


@pytest.mark.parametrize(("lost", "code"), [(True, "DENY_LOCK_LOST"), (False, "LOCK_YIELDED")])
def test_a_bake_gives_way(world: World, lock: HeldLock, lost: bool, code: str) -> None:
    """A lost lock, or a run that asks for it to go back, ends the bake without a verdict."""

    def happen() -> None:
        lock.lost, lock.wanted = lost, "the-rollback"

    world.clock.after(12, happen)
    with pytest.raises(Conflict) as caught:
        bake(world.work(), lock)
    assert caught.value.code == code
    assert world.clock.monotonic() < 20
