"""Going back, in plain code: users first, then the rest; from wherever a run stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from railiance import recovery
from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.lifecycle import EventKind, Verb
from railiance.domain.verdict import Verdict
from railiance.engine.canary import install_canary, shift_users
from railiance.engine.planning import plan_canary
from railiance.engine.record import note, open_run
from railiance.engine.stages import prepare
from railiance.engine.traffic import set_weight
from tests.story_kit import HeldLock, World


def show(world: World, run_id: str = "run-shows") -> None:
    """Have a run show the canary to 20 % of the users, and die there."""
    work, lock = world.work(run_id), HeldLock()
    plan = plan_canary(work, work.standing()).plan
    assert plan is not None
    open_run(work, plan)
    install_canary(work, plan, lock)
    shift_users(work, plan, 0, lock)
    world.journal.clear()


def promoted(world: World) -> None:
    """Have v2 serve after v1, and v3 in the folder."""
    world.serve("v2")
    world.version("v3")


# ----- abort


def test_abort_with_nothing_to_abort_changes_nothing(world: World) -> None:
    """It says so, takes no lock and writes nothing."""
    returned = recovery.abort(world.work(), "why")
    assert (returned.done, returned.verdict, world.journal) == (False, Verdict.PASS, [])


def test_abort_returns_users_before_the_canary_leaves(world: World) -> None:
    """Weight 0, then the helm_release, then the end of the run; twice is once."""
    show(world)
    recovery.abort(world.work(), "why")
    effects = [line for line in world.journal if not line.startswith(" ")]
    assert effects == [
        "users: stable 100 %; private look at the canary",
        "helm uninstall shop/web-canary",
        "users: stable 100 %",
    ]
    assert world.standing().open_run is None
    world.journal.clear()
    assert recovery.abort(world.work(), "why").done is False
    assert (world.journal, world.unserved) == ([], [])


def test_abort_does_not_undo_a_promotion(world: World) -> None:
    """Half a promotion is a rollback's to undo; abort names that and touches nothing."""
    work = world.work("run-promotes")
    plan = prepare(work, Verb.PROMOTE).plan
    assert plan is not None
    open_run(work, plan)
    world.journal.clear()
    with pytest.raises(Conflict) as caught:
        recovery.abort(world.work(), "why")
    assert (caught.value.code, world.journal) == ("PROMOTION_OPEN", [])


def test_abort_looks_again_under_the_lock(world: World) -> None:
    """A promotion that began before the lock was ours is seen, and its canary track is left alone."""
    show(world)
    note(world.work("run-shows"), EventKind.CONCLUDED)
    plan = prepare(world.work(), Verb.PROMOTE).plan
    assert plan is not None

    def begin(verb: str, ref: object) -> None:
        if verb == "create" and getattr(ref, "kind", "") == "Lease":
            world.cluster.before = lambda *_: None
            open_run(world.work("run-promotes"), plan)

    world.cluster.before = begin
    with pytest.raises(Conflict) as caught:
        recovery.abort(world.work(), "why")
    assert (caught.value.code, world.serving("canary")) == ("PROMOTION_OPEN", "v2")


# ----- the net below a run


@pytest.mark.parametrize(
    ("error", "weight"),
    [
        (Broken("X", "bug"), 0),
        (Unavailable("X", "away"), 0),
        (KeyboardInterrupt(), 0),
        (Conflict("MANIFEST_DIFFERS", "x"), 0),
        (Conflict("DENY_LOCK_LOST", "x"), 20),
        (Conflict("LOCK_YIELDED", "x"), 20),
    ],
)
def test_an_error_returns_the_users_unless_another_run_decides(
    world: World, lock: HeldLock, error: BaseException, weight: int
) -> None:
    """However a run ends, its users go back; but who lost the lock moves nobody."""
    show(world)
    with pytest.raises(type(error)), recovery.traffic_returned_on_error(world.work(), lock):
        raise error
    assert world.weight() == weight


def test_the_first_error_is_told(world: World, lock: HeldLock) -> None:
    """That the users could not be returned either does not hide why."""
    show(world)
    world.cluster.down = True
    with pytest.raises(Broken), recovery.traffic_returned_on_error(world.work(), lock):
        raise Broken("X", "the reason")


def test_the_lock_is_given_back_after_an_error(world: World) -> None:
    """A run that fails leaves no lock behind."""
    with pytest.raises(Broken), recovery.taken(world.work(), asking=False):
        raise Broken("X", "bug")
    with recovery.taken(world.work(), asking=False) as lease:
        lease.assert_held()


def test_two_runs_never_hold_it_together(world: World) -> None:
    """The second run is told who holds the lock, and changes nothing."""
    with recovery.taken(world.work("run-first"), asking=False):
        world.journal.clear()
        with pytest.raises(Conflict, match="run-first") as caught, recovery.taken(world.work(), asking=False):
            pass
        assert (caught.value.code, world.journal) == ("DENY_LOCKED", [])


# ----- rollback


def test_a_rollback_without_a_second_track(tmp_path: Path) -> None:
    """Isolated traffic has no track to carry users: stable is upgraded to known-good in place."""
    world = World(tmp_path, traffic='mode = "isolated"')
    world.serve("v1")
    promoted(world)
    work = world.work()
    prepared = prepare(work, Verb.ROLLBACK, approval_id="CHG-1")
    assert prepared.denials == ()
    document = recovery.roll_back(work, prepared, "why")
    assert (document.verdict, world.serving()) == (Verdict.PASS, "v1")
    assert [line for line in world.journal if line.startswith("helm")] == ["helm upgrade shop/web"]


def test_a_rollback_needs_neither_folder_nor_history(world: World) -> None:
    """Chart and values come from the ledger, whatever became of the repository and of Helm's history."""
    promoted(world)
    for name in ("stage2-canary", "stage3-production"):
        (world.folder / "values" / f"{name}.yaml").unlink()
    (world.folder / "charts/web/Chart.yaml").unlink()
    work = world.work()
    document = recovery.roll_back(work, prepare(work, Verb.ROLLBACK, approval_id="CHG-1"), "why")
    assert (document.verdict, world.serving(), world.unserved) == (Verdict.PASS, "v1", [])


def test_a_rollback_that_does_not_get_ready_stays_open(world: World) -> None:
    """Users stay on the track that works, no hold is set, and a second call goes on."""
    promoted(world)
    world.never_ready.add(("stable", "v1"))
    work = world.work()
    document = recovery.roll_back(work, prepare(work, Verb.ROLLBACK, approval_id="CHG-1"), "why")
    assert (document.verdict, world.weight(), world.serving("canary")) == (Verdict.FAIL, 100, "v1")
    standing = world.standing()
    assert (standing.open_run is not None, dict(standing.holds), world.unserved) == (True, {}, [])
    world.never_ready.clear()
    again = world.work()
    document = recovery.roll_back(again, prepare(again, Verb.ROLLBACK, approval_id="CHG-1"), "why")
    assert (document.verdict, world.weight(), world.serving()) == (Verdict.PASS, 0, "v1")
    assert [world.names[c] for c in world.standing().holds] == ["v2"]


def test_a_rollback_whose_second_track_fails_goes_the_direct_way(world: World) -> None:
    """If no canary track gets ready, stable itself is brought back."""
    promoted(world)
    world.never_ready.add(("canary", "v1"))
    work = world.work()
    document = recovery.roll_back(work, prepare(work, Verb.ROLLBACK, approval_id="CHG-1"), "why")
    assert (document.verdict, world.weight(), world.serving()) == (Verdict.PASS, 0, "v1")


def test_stable_that_is_known_good_already(world: World, lock: HeldLock) -> None:
    """Where stable already runs the target, one weight write is all that users need."""
    show(world)
    set_weight(world.work(), 100, lock)
    work = world.work()
    promotion = prepare(work, Verb.PROMOTE).plan
    assert promotion is not None
    open_run(work, promotion)
    world.journal.clear()
    prepared = prepare(work, Verb.ROLLBACK, approval_id="CHG-1")
    assert prepared.plan is not None
    assert prepared.kept is not None
    assert recovery.users_to_safety(work, prepared.plan, prepared.kept, lock) is Verdict.PASS
    assert [line for line in world.journal if not line.startswith(" ")] == [
        "users: stable 100 %; private look at the canary"
    ]


@pytest.mark.parametrize("setting", ["automatic = false", "reversible = false"])
def test_a_contract_may_forbid_going_back_by_itself(tmp_path: Path, lock: HeldLock, setting: str) -> None:
    """Where going back needs a person, a failed promotion stops and asks."""
    world = World(tmp_path, rollback=f", {setting}")
    world.serve("v1")
    returned = recovery.undo_promotion(world.work(), lock, "why")
    assert (returned.done, returned.verdict, world.journal) == (False, Verdict.FAIL, [])
