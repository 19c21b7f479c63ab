"""Before a change: each thing that must be true is asked, by its name, and nothing is changed by asking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.lifecycle import EventKind, Verb
from railiance.domain.plan import Plan
from railiance.engine import approving
from railiance.engine.conclude import stage1_into_ledger
from railiance.engine.planning import plan_canary
from railiance.engine.record import note, open_run, record_stage
from railiance.engine.stages import Prepared, prepare
from tests.story_kit import World


def codes(world: World, verb: Verb = Verb.DEPLOY, **claims: object) -> list[str]:
    """Return the codes of the denials of a verb."""
    return [d.code for d in prepare(world.work(), verb, **claims).denials]  # type: ignore[arg-type]


def passed_stage2(world: World) -> None:
    """Record a PASS of Stage 2 for the folder's candidate."""
    record_stage(world.work(), "stage2", world.candidate.digest, "PASS", {})


def planned(world: World, verb: Verb, run_id: str = "run-open") -> Plan:
    """Leave a run of this verb open in the ledger, and return its plan."""
    work = world.work(run_id)
    plan = prepare(work, verb).plan
    assert plan is not None
    open_run(work, plan)
    return plan


def test_a_good_candidate_is_let_through(world: World) -> None:
    """With Stage 1 passed and everything in its place the gate of Stage 2 is open, and asking changed nothing."""
    prepared = prepare(world.work(), Verb.DEPLOY)
    assert (prepared.denials, world.journal) == ((), [])
    assert prepared.plan is not None
    assert prepared.plan.baseline.candidate == world.standing().serving.candidate  # type: ignore[union-attr]


def test_the_same_world_gives_the_same_plan(world: World) -> None:
    """Planning twice gives one digest, whoever plans and when."""
    first = prepare(world.work(), Verb.DEPLOY).plan
    world.clock.sleep(3600)
    second = prepare(world.work(requester="omar"), Verb.DEPLOY).plan
    assert first is not None
    assert second is not None
    assert first.digest == second.digest


def test_what_needs_no_cluster_comes_first(world: World) -> None:
    """With a reason on this machine the cluster is not asked at all."""
    world.version("v3", tested=False)
    world.cluster.down = True
    assert codes(world) == ["DENY_SUBJECT"]


def _chart(world: World) -> None:
    (world.folder / "charts/web/Chart.yaml").unlink()


def _values(world: World) -> None:
    (world.folder / "values/stage2-canary.yaml").unlink()


def _stage1(world: World) -> None:
    world.stage1("FAIL")


def _down(world: World) -> None:
    world.cluster.down = True


def _dry_run(world: World) -> None:
    world.cluster.fail("apply", Broken("INVALID_OBJECT", "spec.replicas: Invalid value"), kind="Deployment")


def _pending(world: World) -> None:
    world.releases.leave_pending("web", "shop")


def _counters(world: World) -> None:
    world.gateway.complete = False


def _no_counters(world: World) -> None:
    world.gateway.down = True


def _held(world: World) -> None:
    note(world.work(), EventKind.HOLD_SET, candidate=world.candidate.digest, reason="r")


def _rejected(world: World) -> None:
    note(world.work(), EventKind.REJECTED, candidate=world.candidate.digest, reason="r")


def _drift(world: World) -> None:
    work = world.work()
    values = [world.folder / "values/stage1.yaml"]
    overlay = {"image": {"repository": "x", "digest": "y"}, "railiance": {"candidate": "z"}}
    work.hands.releases.upgrade(world.folder / "charts/web", "web", "shop", values, overlay)


def _old(world: World) -> None:
    world.clock.sleep(400 * 24 * 3600)


def _promoting(world: World) -> None:
    passed_stage2(world)
    world.clock.sleep(86400)
    planned(world, Verb.PROMOTE)
    world.stage1("PASS")


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (_chart, "DENY_CHART_MISSING"),
        (_values, "DENY_VALUES_MISSING"),
        (_stage1, "DENY_CHECK_NOT_PASSED"),
        (_old, "DENY_EXPIRED"),
        (_down, "DENY_UNREACHABLE"),
        (_dry_run, "DENY_DRY_RUN"),
        (_pending, "DENY_PENDING_RELEASE"),
        (_counters, "DENY_NO_EVIDENCE_SOURCE"),
        (_no_counters, "DENY_NO_EVIDENCE_SOURCE"),
        (_held, "DENY_HOLD"),
        (_rejected, "DENY_CANDIDATE_REJECTED"),
        (_drift, "DENY_DRIFT"),
        (_promoting, "DENY_RUN_OPEN"),
    ],
)
def test_each_reason_before_stage_2(world: World, trouble: Callable[[World], None], code: str) -> None:
    """One thing that is not as it should be: its denial is among the reasons, and nothing was changed."""
    trouble(world)
    world.journal.clear()
    assert code in codes(world)
    assert world.journal == []


def test_an_image_that_the_registry_does_not_have(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing image is found before a pod waits for it; a registry that cannot be asked is a warning."""
    monkeypatch.setattr("railiance.engine.preflight.manifest_exists", lambda *_: False)
    assert codes(world) == ["DENY_IMAGE_MISSING"]
    monkeypatch.setattr("railiance.engine.preflight.manifest_exists", lambda *_: None)
    prepared = prepare(world.work(), Verb.DEPLOY)
    assert prepared.plan is not None
    assert "cannot be asked" in " ".join(prepared.plan.warnings)


def test_an_app_that_nobody_recorded(tmp_path: Path) -> None:
    """What runs without a ledger entry could not be brought back, so nothing goes out over it."""
    world = World(tmp_path)
    work = world.work()
    plan = prepare(work, Verb.PROMOTE).plan
    assert plan is not None
    overlay = plan.release("stable").overlay
    values = [world.folder / "values/stage3-production.yaml"]
    world.releases.install(world.folder / "charts/web", "web", "shop", values, overlay)
    assert "DENY_PREVIOUS_STABLE_MISSING" in codes(world)


def test_a_secret_that_is_missing_or_incomplete(tmp_path: Path) -> None:
    """Presence and keys of a referenced secret are asked for; its values are not looked at."""
    reference = (
        '[[secrets.references]]\nname = "db"\nroute = "r"\ntarget = "Secret/db"\nkeys = ["user", "password"]'
    )
    world = World(tmp_path, top=reference)
    assert "DENY_REFERENCE" in codes(world)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}}
    world.cluster.put({**secret, "data": {"user": "eA=="}})
    (denial,) = prepare(world.work(), Verb.DEPLOY).denials
    assert "lacks password" in denial.why
    world.cluster.put({**secret, "data": {"user": "eA==", "password": ""}})
    assert codes(world) == []


@pytest.mark.parametrize("criticality", ["high", "critical"])
def test_high_and_critical_apps_stay_closed_for_unsigned_approvals(tmp_path: Path, criticality: str) -> None:
    """In this version nothing promotes them, whatever is claimed."""
    world = World(tmp_path, criticality=criticality, bake="2h")
    for claim in (None, "CHG-1"):
        assert "DENY_APPROVAL_MISSING" in codes(world, Verb.PROMOTE, approval_id=claim)


def test_a_deploy_takes_up_an_open_deploy(world: World) -> None:
    """A canary that was cut short is no reason against the next one."""
    planned(world, Verb.DEPLOY)
    assert codes(world) == []


# ----- promotion


def test_a_promotion_needs_stage_2_of_this_candidate(world: World) -> None:
    """No result, another candidate's result, a result that did not pass: each closes the gate."""
    assert codes(world, Verb.PROMOTE) == ["DENY_EVIDENCE_MISSING", "DENY_APPROVAL_MISSING"]
    record_stage(world.work(), "stage2", "sha256:other", "PASS", {})
    assert codes(world, Verb.PROMOTE) == ["DENY_SUBJECT", "DENY_APPROVAL_MISSING"]
    record_stage(world.work(), "stage2", world.candidate.digest, "UNKNOWN", {})
    assert "DENY_CHECK_NOT_PASSED" in codes(world, Verb.PROMOTE)
    passed_stage2(world)
    assert codes(world, Verb.PROMOTE) == ["DENY_APPROVAL_MISSING"]


def test_only_a_missing_approval_can_be_waited_for(world: World) -> None:
    """A run asks people only when they are all that is missing."""
    assert not prepare(world.work(), Verb.PROMOTE).waits_for_people
    passed_stage2(world)
    assert prepare(world.work(), Verb.PROMOTE).waits_for_people
    assert not Prepared(Verb.PROMOTE, None, ()).waits_for_people


def asked(world: World, run_id: str = "run-asks") -> str:
    """Have a run ask for a promotion, and return the request's id."""
    work = world.work(run_id)
    plan = prepare(work, Verb.PROMOTE).plan
    assert plan is not None
    return approving.open_request(work, plan, work.standing()).id


def answer(world: World, request: str, decision: str, by: str = "omar") -> None:
    """Answer a request."""
    work = world.work()
    approving.vote(work, approving.find_request(work.standing(), request), decision, "looked", by=by)


def test_a_yes_opens_for_any_run_and_once(world: World) -> None:
    """The votes stand in the ledger: any run of the plan may use them, and only one does."""
    passed_stage2(world)
    request = asked(world)
    assert codes(world, Verb.PROMOTE) == ["DENY_APPROVAL_MISSING"]
    answer(world, request, "approve")
    assert codes(world, Verb.PROMOTE) == []
    assert codes(world, Verb.PROMOTE, approval_id=request) == []
    planned(world, Verb.PROMOTE)
    assert "DENY_REPLAY" in codes(world, Verb.PROMOTE, approval_id=request)
    assert "DENY_APPROVAL_MISSING" in codes(world, Verb.PROMOTE)


def test_a_no_stands_for_every_run_until_asked_anew(world: World) -> None:
    """A rejected plan is not asked about again by itself; `railiance request` asks anew, and is a new question."""
    passed_stage2(world)
    request = asked(world)
    answer(world, request, "reject")
    assert codes(world, Verb.PROMOTE) == ["DENY_APPROVAL_REJECTED"]
    assert asked(world) != request
    assert codes(world, Verb.PROMOTE) == ["DENY_APPROVAL_MISSING"]
    assert codes(world, Verb.PROMOTE, approval_id=request) == ["DENY_APPROVAL_STALE"]


def test_a_plan_that_changed_while_it_waited(world: World) -> None:
    """The run that asked is told; for any other run it is simply not approved yet."""
    passed_stage2(world)
    answer(world, asked(world, "run-asks"), "approve")
    (world.folder / "values/stage3-production.yaml").write_text("greeting: changed\n")
    own = prepare(world.work("run-asks"), Verb.PROMOTE)
    assert [d.code for d in own.denials] == ["DENY_PLAN_CHANGED"]
    assert codes(world, Verb.PROMOTE) == ["DENY_APPROVAL_MISSING"]


def test_a_deadline_that_passed(world: World) -> None:
    """The run that waited is told that its request ran out; any other may ask anew."""
    passed_stage2(world)
    request = asked(world, "run-asks")
    world.clock.sleep(24 * 3600 + 1)
    own = prepare(world.work("run-asks"), Verb.PROMOTE)
    assert "DENY_APPROVAL_EXPIRED" in [d.code for d in own.denials]
    assert "DENY_APPROVAL_MISSING" in codes(world, Verb.PROMOTE)
    with pytest.raises(Conflict) as caught:
        answer(world, request, "approve")
    assert caught.value.code == "VOTE_REFUSED"


def test_asking_twice_is_one_question(world: World) -> None:
    """The same plan has one open request; another plan's supersedes it."""
    passed_stage2(world)
    first = asked(world)
    assert asked(world, "another-run") == first
    (world.folder / "values/stage3-production.yaml").write_text("greeting: changed\n")
    second = asked(world)
    assert world.standing().requests[first].voided == f"superseded by {second}"


# ----- the form's answers


def test_what_a_form_brings(world: World) -> None:
    """A form's answer is a vote of nobody in particular; the digits must be those of the request."""
    passed_stage2(world)
    work = world.work()
    request_id = asked(world)
    request = approving.find_request(work.standing(), request_id)
    good = {
        "decision": "approve",
        "plan_digest_first_12": request.plan_digest[7:19],
        "comment": "fine by me",
        "signed_approval": "-",
    }
    assert approving.take_answer(work, request, None) == "no usable answer"
    wrong = {**good, "plan_digest_first_12": "0" * 12}
    assert "not the one" in approving.take_answer(work, request, wrong)
    assert (
        approving.take_answer(work, request, approving.bell(request, "ok")) == "a vote stands in the ledger"
    )
    after = world.standing().requests[request.id]
    assert (after.answers, after.votes) == (3, ())
    assert approving.take_answer(work, request, good) == "vote"
    after = world.standing().requests[request.id]
    assert [v.by for v in after.votes] == [approving.UNKNOWN_PERSON]
    assert codes(world, Verb.PROMOTE) == []


# ----- rollback and records


def test_a_rollback_needs_somewhere_to_go(world: World) -> None:
    """Without an earlier known-good candidate, or with a revision that is none, the reason is named."""
    assert codes(world, Verb.ROLLBACK) == ["DENY_REVISION_NOT_GOOD"]
    assert codes(world, Verb.ROLLBACK, helm_revision=7) == ["DENY_REVISION_NOT_GOOD"]


def test_stage_1_enters_the_ledger_once(world: World) -> None:
    """Stage 1's end is carried into the target once for each candidate, however often Stage 2 is begun."""
    work = world.work()
    stage1_into_ledger(work)
    stage1_into_ledger(work)
    assert world.journal == ["    ledger: stage-result, stage1, candidate v2, PASS"]
    assert work.standing().results["stage1", world.candidate.digest].verdict == "PASS"


def test_no_ledger_is_no_answer(world: World) -> None:
    """What cannot be written is told as such."""
    world.cluster.fail("create", Unavailable("X", "down"), kind="ConfigMap")
    with pytest.raises(Unavailable) as caught:
        stage1_into_ledger(world.work())
    assert caught.value.code == "DENY_LEDGER_UNWRITABLE"


def test_the_canarys_plan_is_of_the_tracks_own_values(world: World) -> None:
    """Stage 2 renders with its own values, beside the stable helm_release, which it leaves alone."""
    work = world.work()
    plan = plan_canary(work, work.standing()).plan
    assert plan is not None
    assert [r.helm_release for r in plan.releases] == ["web-canary"]
    assert "stage2-canary of v2" in plan.releases[0].manifest
    assert [s.weight for s in plan.steps] == [20, 50]
