"""The port `Lease`: the lock of one app, in memory and on a real API server."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from railiance.adapters.lease import HeldLease, Timing, acquire, holder
from railiance.domain.errors import Conflict, Exit, Unavailable
from railiance.domain.ports import Clock, ObjectRef
from tests.fakes import FakeClock, FakeCluster

APP = "demo"
REF = "coordination.k8s.io/v1"


@pytest.fixture
def timing(cluster: Any) -> Timing:
    """Return the real durations in fake time, and short ones in real time."""
    return (
        Timing()
        if isinstance(cluster, FakeCluster)
        else Timing(duration=3, renew=1, grace=1.5, answer=2, poll=0.1)
    )


@pytest.fixture
def take(cluster: Any, namespace: str, clock: Clock, timing: Timing) -> Any:
    """Return `acquire` for the app under test; what it took is released in the end."""
    taken: list[HeldLease] = []

    def take(run_id: str, **options: Any) -> HeldLease:
        taken.append(acquire(cluster, namespace, APP, run_id, clock, timing=timing, **options))
        return taken[-1]

    yield take
    for lease in taken:
        lease.release()


def die(lease: HeldLease) -> None:
    """Do to a holder what kill -9 does: nothing is renewed, nothing released."""
    lease._stopped.set()


def refused(take: Any, run_id: str, **options: Any) -> Conflict:
    """Return the conflict of a run that does not get the lock."""
    with pytest.raises(Conflict) as error:
        take(run_id, **options)
    assert error.value.code == "DENY_LOCKED"
    assert error.value.exit_status is Exit.CONFLICT
    return error.value


def lost(lease: HeldLease) -> bool:
    """Tell whether the holder is refused its next change."""
    try:
        lease.assert_held()
    except Conflict as error:
        return error.code == "DENY_LOCK_LOST"
    return False


class TestHolding:
    def test_the_lease_says_who_holds_the_lock(self, take: Any, cluster: Any, namespace: str) -> None:
        """Anyone can see who holds it, and nobody before the first."""
        assert holder(cluster, namespace, APP) is None
        lease = take("run-1")
        info = holder(cluster, namespace, APP)
        assert info is not None
        assert (info.holder, info.fence, info.yield_to) == ("run-1", lease.fence, None)
        assert info.expires > info.since
        lease.assert_held()

    def test_a_second_run_is_told_who_was_first(self, take: Any) -> None:
        """The refusal names the holder."""
        take("run-1")
        assert "run-1" in refused(take, "run-2").message

    def test_released_is_free_and_the_fence_grows(self, take: Any, cluster: Any, namespace: str) -> None:
        """Every taking has a higher fence than all before."""
        first = take("run-1")
        first.release()
        first.release()
        assert holder(cluster, namespace, APP) is None
        second = take("run-2")
        assert second.fence > first.fence
        assert second.taken_over_from is None
        assert lost(first)

    def test_apps_do_not_wait_for_each_other(
        self, take: Any, cluster: Any, namespace: str, clock: Clock, timing: Timing
    ) -> None:
        """A lock is one app's."""
        take("run-1")
        with acquire(cluster, namespace, "other", "run-2", clock, timing=timing) as other:
            other.assert_held()

    def test_a_resumed_run_takes_its_own_lock_again_and_fences_its_former_process(self, take: Any) -> None:
        """The same run waits for nobody, and its old process may not go on."""
        former = take("run-1")
        resumed = take("run-1")
        resumed.assert_held()
        assert resumed.fence > former.fence
        assert lost(former)
        assert not former.renew()
        resumed.assert_held()

    def test_a_deleted_lease_is_lost(self, take: Any, cluster: Any, namespace: str) -> None:
        """A lock that somebody removed protects nothing."""
        lease = take("run-1")
        cluster.delete(ObjectRef(REF, "Lease", namespace, f"railiance-{APP}"))
        if not isinstance(cluster, FakeCluster):
            from tests.real_cluster import gone

            assert gone(cluster, ObjectRef(REF, "Lease", namespace, f"railiance-{APP}"))
        assert lost(lease)


class TestExpiring:
    def test_renewing_keeps_a_lock_for_ever(self, take: Any, clock: Clock, timing: Timing) -> None:
        """A live holder is never taken over, however long it lasts."""
        lease = take("run-1")
        for _ in range(5):
            clock.sleep(timing.renew)
            assert lease.renew()
        refused(take, "run-2", wait=timing.poll)
        lease.assert_held()

    def test_a_dead_holder_is_taken_over_after_expiry_and_grace(
        self, take: Any, clock: Clock, timing: Timing
    ) -> None:
        """Not before the Lease expired and was watched for the time of grace; and the taker knows from whom."""
        dead = take("run-1")
        die(dead)
        started = clock.monotonic()
        lease = take("run-2", wait=timing.duration + 2 * timing.grace)
        took = clock.monotonic() - started
        assert took >= timing.duration
        assert took <= timing.duration + 2 * timing.grace
        assert lease.taken_over_from == "run-1"
        assert lease.fence > dead.fence
        assert lost(dead)

    def test_an_expired_lock_is_taken_without_being_willing_to_wait(
        self, take: Any, clock: Clock, timing: Timing
    ) -> None:
        """Only the grace is waited for, which nobody can do without."""
        die(take("run-1"))
        clock.sleep(timing.duration + 1)
        started = clock.monotonic()
        assert take("run-2").taken_over_from == "run-1"
        assert timing.grace <= clock.monotonic() - started <= timing.grace + 2

    def test_a_holder_that_comes_back_in_time_goes_on(self, take: Any, clock: Clock, timing: Timing) -> None:
        """Expired is not lost as long as the Lease still names this run: looking renews it."""
        lease = take("run-1")
        die(lease)
        clock.sleep(timing.duration + 0.5)
        lease.assert_held()
        refused(take, "run-2")


class TestYielding:
    def test_a_holder_learns_that_it_is_asked(
        self, take: Any, cluster: Any, namespace: str, clock: Clock, timing: Timing
    ) -> None:
        """The wish reaches the holder, and is taken back when the asker goes."""
        lease = take("run-1")
        assert lease.yield_wanted() is None
        refused(take, "run-2", wait=timing.poll * 2)
        assert lease.yield_wanted() is None
        ask(cluster, namespace, "run-2")
        clock.sleep(1.1)
        assert lease.yield_wanted() == "run-2"
        info = holder(cluster, namespace, APP)
        assert info is not None
        assert info.yield_to == "run-2"
        lease.assert_held()

    def test_what_was_given_up_is_the_askers(self, take: Any, cluster: Any, namespace: str) -> None:
        """Nobody slips in between: a lock given back on request waits for the one that asked."""
        lease = take("run-1")
        ask(cluster, namespace, "run-2")
        lease.release()
        refused(take, "run-3")
        won = take("run-2")
        won.assert_held()
        assert won.yield_wanted() is None

    def test_an_asker_that_never_came_blocks_nobody(
        self, take: Any, cluster: Any, namespace: str, timing: Timing
    ) -> None:
        """The lock is kept for the asker for a little while only."""
        lease = take("run-1")
        ask(cluster, namespace, "run-2")
        lease.release()
        take("run-3", wait=timing.grace * 2).assert_held()

    def test_a_holder_that_does_not_answer_loses_the_lock(
        self, take: Any, cluster: Any, namespace: str, clock: Clock, timing: Timing
    ) -> None:
        """Going back is always possible: who is asked and stays silent stops renewing, and may change nothing more."""
        lease = take("run-1")
        ask(cluster, namespace, "run-2")
        clock.sleep(1.1)
        lease.yield_wanted()
        clock.sleep(timing.answer + 0.1)
        assert not lease.renew()
        assert lost(lease)
        assert take("run-2", ask_to_yield=True).taken_over_from == "run-1"


def ask(cluster: Any, namespace: str, run_id: str) -> None:
    """Write the wish for the lock, as a waiting run does."""
    for _ in range(5):
        found = cluster.get(ObjectRef(REF, "Lease", namespace, f"railiance-{APP}"))
        found["metadata"].setdefault("annotations", {})["railiance.dev/yield-to"] = run_id
        try:
            cluster.replace(found)
        except Conflict:
            continue
        return
    pytest.fail("the Lease could not be annotated")


# ----- what only fake time and a fake cluster can show


@pytest.fixture
def fake() -> FakeCluster:
    """Return a cluster without the app's namespace, with a clock of its own."""
    return FakeCluster(clock=FakeClock())


def take_on(fake: FakeCluster, run_id: str, **options: Any) -> HeldLease:
    """Take the lock of `demo` in `shop`."""
    assert fake.clock is not None
    return acquire(fake, "shop", APP, run_id, fake.clock, **options)


def test_a_missing_namespace_is_made(fake: FakeCluster) -> None:
    """The lock is the first thing in a new app's namespace."""
    take_on(fake, "run-1").assert_held()
    assert fake.get(ObjectRef("v1", "Namespace", "", "shop"))


def test_an_answering_holder_hands_over_within_a_second(fake: FakeCluster) -> None:
    """Abort and rollback get the lock as soon as the holder gives it up."""
    clock = fake.clock
    assert isinstance(clock, FakeClock)
    lease = take_on(fake, "run-1")

    def look() -> None:
        if lease.yield_wanted():
            lease.release()
        else:
            clock.after(1, look)

    clock.after(1, look)
    won = take_on(fake, "run-2", ask_to_yield=True)
    assert clock.monotonic() <= 3
    assert won.taken_over_from is None


def test_a_silent_live_holder_is_overcome_in_known_time(fake: FakeCluster) -> None:
    """A holder that renews and never answers stops renewing after its time; then the lock expires."""
    clock = fake.clock
    assert isinstance(clock, FakeClock)
    lease = take_on(fake, "run-1")

    def renew() -> None:
        lease.renew()
        clock.after(10, renew)

    clock.after(10, renew)
    won = take_on(fake, "run-2", ask_to_yield=True)
    assert won.taken_over_from == "run-1"
    assert clock.monotonic() <= 60 + 30 + 2 * 10
    with pytest.raises(Conflict):
        lease.assert_held()


def test_a_live_holder_with_a_slow_clock_is_not_robbed(fake: FakeCluster) -> None:
    """Clocks may differ: a renewal while we watch is a sign of life, whatever time it claims."""
    clock = fake.clock
    assert isinstance(clock, FakeClock)
    lease = take_on(fake, "run-1")

    def renew_with_an_old_time() -> None:
        stored = fake.objects("Lease")[0]
        stored["spec"]["renewTime"] = f"2020-01-01T00:00:{int(clock.monotonic()) % 60:02d}.000000Z"
        clock.after(9, renew_with_an_old_time)

    renew_with_an_old_time()
    with pytest.raises(Conflict, match="run-1"):
        take_on(fake, "run-2", wait=120)
    assert lease.fence == 1


def test_a_dead_holder_with_a_fast_clock_is_taken_over_all_the_same(fake: FakeCluster) -> None:
    """A renewTime in the future does not lock an app for ever."""
    die(take_on(fake, "run-1"))
    fake.objects("Lease")[0]["spec"]["renewTime"] = "2036-01-01T00:00:00.000000Z"
    assert take_on(fake, "run-2", wait=60).taken_over_from == "run-1"


def test_two_takers_of_a_dead_lock_never_both_succeed(fake: FakeCluster) -> None:
    """Between looking and writing another taker may be faster; then there is a new holder."""
    clock = fake.clock
    assert isinstance(clock, FakeClock)
    die(take_on(fake, "run-1"))
    clock.sleep(31)
    rivals = iter([True])

    def rival(verb: str, ref: ObjectRef | None) -> None:
        if verb == "replace" and next(rivals, False):
            take_on(fake, "run-3")

    fake.before = rival
    with pytest.raises(Conflict, match="run-3"):
        take_on(fake, "run-2")
    assert fake.objects("Lease")[0]["spec"]["holderIdentity"] == "run-3"


def test_without_an_api_server_nothing_is_held_and_nothing_is_lost(fake: FakeCluster) -> None:
    """No answer forbids the next change; when it answers again and names us, the run goes on."""
    lease = take_on(fake, "run-1")
    fake.down = True
    with pytest.raises(Unavailable):
        lease.assert_held()
    assert not lease.renew()
    assert lease.yield_wanted() is None
    fake.down = False
    lease.assert_held()


def test_a_release_without_an_api_server_is_told_and_harmless(
    fake: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Releasing happens on the way out, where an error would hide another one."""
    lease = take_on(fake, "run-1")
    fake.down = True
    with caplog.at_level(logging.WARNING):
        lease.release()
    assert "it will expire" in caplog.text


def test_the_lock_is_released_on_the_way_out_of_a_with(fake: FakeCluster) -> None:
    """An error inside releases as well, and comes through."""
    with pytest.raises(ZeroDivisionError), take_on(fake, "run-1"):
        raise ZeroDivisionError
    assert holder(fake, "shop", APP) is None


def test_the_renewing_thread_renews_and_ends(fake: FakeCluster) -> None:
    """It renews by itself, and is gone after the release."""
    import threading

    others = set(threading.enumerate())
    seen = threading.Event()
    fake.before = lambda verb, ref: seen.set() if verb == "replace" and ref and ref.kind == "Lease" else None
    lease = take_on(fake, "run-1", timing=Timing(renew=0.01))
    seen.clear()
    assert seen.wait(5)
    lease.release()
    for thread in set(threading.enumerate()) - others:
        thread.join(5)
    assert set(threading.enumerate()) <= others
