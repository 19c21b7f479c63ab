"""Watching one step: a verdict only from evidence, traffic back before anybody is told, and nothing lost by a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.lifecycle import Run, Verb
from railiance.domain.plan import Plan
from railiance.domain.ports import ProxyAnswer
from railiance.domain.watch_record import WatchRecord
from railiance.engine import watch
from railiance.engine.canary import install_canary, shift_users
from railiance.engine.planning import plan_canary
from railiance.engine.watch import StepEnd, Watched, watch_step
from tests.story_kit import HeldLock, World


class Shown:
    """A canary at the weight of the first step, and a journal that begins there."""

    def __init__(self, world: World, lock: HeldLock) -> None:
        self.world, self.lock, self.work = world, lock, world.work("run-a")
        plan = plan_canary(self.work, self.work.standing()).plan
        assert plan is not None
        self.plan: Plan = plan
        install_canary(self.work, plan, lock)
        shift_users(self.work, plan, 0, lock)
        self.record = WatchRecord.new(plan, "run-a", 5.0)
        self.started = world.clock.monotonic()
        world.journal.clear()

    def watch(self, **more: float) -> Watched:
        """Watch the open step."""
        watched = watch_step(self.work, self.plan, self.record, self.lock, **more)
        self.record = watched.record
        return watched

    @property
    def seconds(self) -> float:
        """Return how long it has been watched."""
        return self.world.clock.monotonic() - self.started


@pytest.fixture
def shown(world: World, lock: HeldLock) -> Shown:
    """Return a canary that 20 % of the users see."""
    return Shown(world, lock)


def prior(run_id: str = "run-a") -> Run:
    """Return an open run."""
    return Run(run_id, Verb.DEPLOY, "c", "p", watch.moment("2026-01-05T09:00:00Z"), "dana")


def test_a_good_step_closes_after_its_window(shown: Shown) -> None:
    """A step ends no sooner than its window, moves nobody, and is no verdict yet."""
    watched = shown.watch()
    assert (watched.end, shown.record.step, shown.record.concluded) == (StepEnd.CLOSED, 1, False)
    assert 30 <= shown.seconds <= 40
    assert shown.world.journal == []


def test_the_last_step_concludes(shown: Shown) -> None:
    """With all steps closed and enough evidence the verdict stands, in the cluster as well."""
    shown.watch()
    shift_users(shown.work, shown.plan, 1, shown.lock)
    watched = shown.watch()
    assert (watched.end, shown.record.verdict, shown.record.weight) == (StepEnd.CLOSED, "PASS", 0)
    assert watch.load(shown.work) == shown.record
    assert {check.verdict for check in watched.checks} == {"PASS"}


def test_on_fail_the_users_return_first(shown: Shown) -> None:
    """At FAIL the one thing done is weight 0, and it is done when this returns."""
    shown.world.failing["canary", "v2"] = 0.5
    watched = shown.watch()
    assert (watched.end, shown.record.verdict) == (StepEnd.FAILED, "FAIL")
    assert shown.world.journal == ["users: stable 100 %; private look at the canary"]
    assert shown.seconds <= 20


def test_on_fail_the_users_return_whatever_else_fails(shown: Shown) -> None:
    """A record that cannot be written keeps no user on a bad canary."""
    shown.world.failing["canary", "v2"] = 0.5
    shown.world.cluster.fail("apply", Unavailable("X", "no"), kind="ConfigMap", times=1000)
    assert shown.watch().end is StepEnd.FAILED
    assert shown.world.weight() == 0


def test_a_crash_is_a_fail_without_statistics(shown: Shown) -> None:
    """A canary pod that restarts fails at the next reading."""

    def crash() -> None:
        for pod in shown.world.cluster.objects("Pod"):
            if pod["metadata"]["name"].startswith("web-canary"):
                pod["status"]["containerStatuses"][0]["restartCount"] = 1

    shown.world.clock.after(7, crash)
    assert shown.watch().end is StepEnd.FAILED
    assert (shown.seconds, shown.world.weight()) == (10, 0)


@pytest.mark.parametrize("trouble", ["gateway down", "gateway partial", "no users", "api server"])
def test_no_data_never_passes(shown: Shown, trouble: str) -> None:
    """Without data the step stays open until hold_for is over; it is neither PASS nor FAIL."""
    match trouble:
        case "gateway down":
            shown.world.gateway.down = True
        case "gateway partial":
            shown.world.gateway.complete = False
        case "no users":
            shown.world.rate = 0  # type: ignore[misc]
        case _:
            shown.world.cluster.fail("list", Unavailable("X", "no"), kind="Pod", times=10000)
    watched = shown.watch()
    assert (watched.end, shown.record.concluded, shown.record.step) == (StepEnd.UNDECIDED, False, 0)
    assert 60 <= shown.seconds <= 100


def test_few_users_are_not_enough(shown: Shown) -> None:
    """Below min_samples a step does not close, however well they fare."""
    shown.world.rate = 1  # type: ignore[misc]
    assert shown.watch().end is StepEnd.UNDECIDED
    assert "canary requests" in " ".join(shown.record.waits)


def test_data_that_comes_back(shown: Shown) -> None:
    """An outage shorter than hold_for only takes time."""
    shown.world.clock.after(3, lambda: setattr(shown.world.gateway, "down", True))
    shown.world.clock.after(40, lambda: setattr(shown.world.gateway, "down", False))
    assert shown.watch().end is StepEnd.CLOSED
    assert shown.seconds >= 40


def test_a_required_check_keeps_the_step_open(shown: Shown) -> None:
    """Good numbers do not close a step whose required check fails."""
    for pod in shown.world.cluster.objects("Pod"):
        if pod["metadata"]["name"].startswith("web-canary"):
            key = ("shop", pod["metadata"]["name"], 8080, "/healthz")
            shown.world.cluster.answers[key] = ProxyAnswer(500, b"no")
    watched = shown.watch()
    assert watched.end is StepEnd.UNDECIDED
    assert "required checks: FAIL" in " ".join(shown.record.waits)


def test_a_canary_that_nobody_answers_for_leaves_the_route_at_once(shown: Shown) -> None:
    """An empty backend is taken out of the route at the next reading, and listed again when it is back."""
    canary = ("canary", "v2")

    def answering(ready: bool) -> None:
        (shown.world.never_ready.discard if ready else shown.world.never_ready.add)(canary)
        shown.world._hold_back()
        shown.world.controllers.reconcile()

    shown.world.clock.after(7, lambda: answering(False))
    shown.world.clock.after(17, lambda: answering(True))
    shown.watch()
    assert shown.world.journal[:2] == [
        "users: stable 80 %; private look at the canary",
        "users: stable 80 %, canary 20 %; private look at the canary",
    ]


# ----- giving way


def test_yielding_touches_nothing(shown: Shown) -> None:
    """Asked for the lock, the watch stops within a second and leaves the route to who asked."""
    shown.world.clock.after(6, lambda: setattr(shown.lock, "wanted", "the-abort"))
    watched = shown.watch()
    assert (watched.end, shown.world.journal, shown.world.weight()) == (StepEnd.YIELDED, [], 20)
    assert shown.seconds <= 7


def test_a_lost_lock_touches_nothing(shown: Shown) -> None:
    """A fenced-off run writes no weight, not even to go back: somebody else decides now."""
    shown.world.failing["canary", "v2"] = 0.5
    shown.lock.lost = True
    with pytest.raises(Conflict):
        shown.watch()
    assert (shown.world.journal, shown.world.weight()) == ([], 20)


# ----- visits and restarts


def test_a_visit_ends_in_time_and_keeps_its_evidence(shown: Shown) -> None:
    """A scheduled visit is over when it is over; the step stays open with what was seen."""
    watched = shown.watch(until=shown.started + 12)
    assert (watched.end, shown.record.step, shown.record.weight) == (StepEnd.VISIT_OVER, 0, 0)
    assert 12 <= shown.seconds <= 16
    assert shown.record.judge.total.canary_requests > 0


def test_evidence_goes_on_after_a_restart(shown: Shown) -> None:
    """The next run of the same candidate begins with what the dead one had seen, and closes that much sooner."""
    shown.watch(until=shown.started + 20)
    seen = shown.record.judge
    shown.world.clock.sleep(300)
    again = shown.world.work("run-b")
    record = watch.open_record(again, shown.plan, prior("run-a"))
    assert (record.run_id, record.judge) == ("run-b", seen)
    before = shown.world.clock.monotonic()
    watched = watch_step(again, shown.plan, record, shown.lock)
    assert watched.end is StepEnd.CLOSED
    assert shown.world.clock.monotonic() - before <= 30 - seen.step_seconds + 5


def test_the_pause_itself_is_not_judged(shown: Shown) -> None:
    """What users met while nobody watched, at other odds, is no evidence against the canary."""
    shown.watch(until=shown.started + 10)
    shown.world.gateway.serve("canary", 500, errors=500)
    record = watch.open_record(shown.work, shown.plan, prior())
    assert watch_step(shown.work, shown.plan, record, shown.lock).end is StepEnd.CLOSED


@pytest.mark.parametrize(
    "why", ["no prior run", "another prior run", "another candidate", "concluded", "other steps"]
)
def test_evidence_of_something_else_is_not_used(shown: Shown, why: str) -> None:
    """Only an open run's evidence of this very candidate goes on; else it begins anew."""
    shown.watch(until=shown.started + 10)
    run: Run | None = prior()
    plan = shown.plan
    match why:
        case "no prior run":
            run = None
        case "another prior run":
            run = prior("run-z")
        case "another candidate":
            plan = replace(plan, candidate="sha256:other")
        case "concluded":
            watch.save(shown.work, replace(shown.record, verdict="FAIL"))
        case _:
            plan = replace(plan, steps=plan.steps[:1])
    assert watch.open_record(shown.work, plan, run).judge.total.canary_requests == 0


def test_a_record_that_cannot_be_read_is_no_fresh_start(shown: Shown) -> None:
    """Damaged evidence is an error with a way out, never silently none."""
    shown.watch(until=shown.started + 5)
    for config in shown.world.cluster.objects("ConfigMap"):
        if config["metadata"]["name"] == "railiance-analysis-web":
            config["data"]["record.json"] = "{}"
    with pytest.raises(Broken) as caught:
        watch.open_record(shown.work, shown.plan, prior())
    assert caught.value.code == "ANALYSIS_UNREADABLE"


def test_every_reading_is_told(shown: Shown) -> None:
    """Who listens hears of each reading, the first at once."""
    told: list[float] = []

    def listen(_record: WatchRecord) -> None:
        told.append(shown.seconds)

    watch_step(shown.work, shown.plan, shown.record, shown.lock, until=shown.started + 11, on_reading=listen)
    assert told == [0, 5, 10, 15]
