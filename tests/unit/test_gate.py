"""The gate: closed unless every line says yes; each reason has its name, and all of them are told at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railiance.domain.approval import ApprovalNeed
from railiance.domain.candidate import Candidate, FileDigest, Image
from railiance.domain.denial import Denial, exit_status_of_denials
from railiance.domain.errors import Exit
from railiance.domain.gate import LocalFacts, TargetFacts, local_denials, target_denials
from railiance.domain.lifecycle import Request, StageResult, Standing, Verb, Vote
from railiance.domain.plan import Baseline, Change, Plan, ReleasePlan, Target

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CANDIDATE = Candidate(
    app_id="web",
    source_revision="v1",
    resolved="c" * 40,
    mutable=False,
    dirty=False,
    images=(Image("registry.example/web", "sha256:" + "a" * 64),),
    chart=FileDigest("charts/web", "sha256:1"),
    values=(),
    contract_digest="sha256:2",
    upstream_digest=None,
)
DIGEST = CANDIDATE.digest
STAGE1 = StageResult("stage1", DIGEST, "PASS", NOW - HOUR, "r1", "")
STAGE2 = replace(STAGE1, stage="stage2")
LOCAL = LocalFacts(
    verb=Verb.DEPLOY,
    stage_enabled=True,
    candidate=CANDIDATE,
    digest_policy="required",
    chart=("charts/web", True),
    values=(("values/a.yaml", True),),
    helm_problem=None,
    stage1=STAGE1,
    stage1_other=None,
    max_age=DAY,
)
NOBODY = ApprovalNeed(0, unsigned=True, requester_may=True, criticality="low", lifetime=DAY)
PLAN = Plan(
    verb=Verb.PROMOTE,
    app_id="web",
    candidate=DIGEST,
    target=Target("default", "uid", "shop", "web"),
    baseline=Baseline(1, "c0", "m0"),
    releases=(ReleasePlan("stable", "web", "kind: A\n", {}, (Change("update", "Deployment", "web"),), ""),),
    traffic_mode="weighted",
    provider="traefik",
    source="gateway",
    steps=(),
    actions=("one",),
    versions={"helm": "v3"},
    rollback={},
)
STANDING = Standing(results={("stage2", DIGEST): STAGE2}, latest={"stage2": STAGE2})
TARGET = TargetFacts(
    standing=STANDING,
    plan=PLAN,
    problems=(),
    need=NOBODY,
    stage2=STAGE2,
    stage2_max_age=DAY,
    soak=timedelta(minutes=10),
)


def local(**changes: Any) -> list[str]:
    """Return the codes of the local gate with some facts changed."""
    return [d.code for d in local_denials(replace(LOCAL, **changes), NOW)]


def target(verb: Verb = Verb.PROMOTE, candidate: str = DIGEST, **changes: Any) -> list[str]:
    """Return the codes of the target's gate with some facts changed."""
    return [d.code for d in target_denials(replace(TARGET, **changes), candidate, verb, NOW)]


def test_the_gate_opens() -> None:
    """With every fact as it should be there is no denial."""
    assert local() == []
    assert target() == []


HELM = Denial("DENY_HELM_MISSING", "no helm", "install it")
UNPINNED = replace(CANDIDATE, images=(Image("registry.example/web", None),))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stage_enabled": False}, "DENY_STAGE_ORDER"),
        ({"candidate": replace(CANDIDATE, dirty=True)}, "DENY_SOURCE_DIRTY"),
        ({"candidate": replace(CANDIDATE, resolved=None)}, "DENY_SOURCE_DIRTY"),
        ({"candidate": UNPINNED}, "DENY_DIGEST_MISSING"),
        ({"candidate": replace(CANDIDATE, images=())}, "DENY_DIGEST_MISSING"),
        ({"chart": ("charts/web", False)}, "DENY_CHART_MISSING"),
        ({"values": (("a", True), ("b", False))}, "DENY_VALUES_MISSING"),
        ({"helm_problem": HELM}, "DENY_HELM_MISSING"),
        ({"stage1": None}, "DENY_EVIDENCE_MISSING"),
        ({"stage1": None, "stage1_other": "sha256:other"}, "DENY_SUBJECT"),
        ({"stage1": replace(STAGE1, verdict="FAIL")}, "DENY_CHECK_NOT_PASSED"),
        ({"stage1": replace(STAGE1, verdict="UNKNOWN")}, "DENY_CHECK_NOT_PASSED"),
        ({"stage1": replace(STAGE1, at=NOW - DAY - HOUR)}, "DENY_EXPIRED"),
    ],
)
def test_each_local_reason(changes: dict[str, Any], code: str) -> None:
    """One fact that is not as it should be gives exactly its own denial."""
    assert local(**changes) == [code]


def test_a_result_of_the_future_is_a_wrong_clock() -> None:
    """Evidence more than two minutes ahead denies by name; a little less is what clocks do."""
    assert "DENY_CLOCK" in local(stage1=replace(STAGE1, at=NOW + timedelta(seconds=121)))
    assert "DENY_CLOCK" not in local(stage1=replace(STAGE1, at=NOW + timedelta(seconds=119)))


def test_evidence_slightly_ahead_still_passes() -> None:
    """A clock that is off by less than the slack does not close Stage 2, which has no soak before it."""
    assert local(stage1=replace(STAGE1, at=NOW + timedelta(seconds=60))) == []


@pytest.mark.parametrize("policy", ["optional", "none"])
def test_digests_are_asked_for_by_policy(policy: str) -> None:
    """An image without a digest is denied only where the policy requires digests."""
    assert local(digest_policy=policy, candidate=UNPINNED) == []


def test_a_rollback_asks_nothing_of_the_folder() -> None:
    """Going back must work from a dirty tree, without chart, values, digest and evidence."""
    changes = {
        "verb": Verb.ROLLBACK,
        "candidate": replace(UNPINNED, dirty=True, resolved=None),
        "chart": ("charts/web", False),
        "values": (("a", False),),
        "stage1": None,
    }
    assert local(**changes) == []


def test_a_promotion_asks_for_stage_2_and_not_for_stage_1() -> None:
    """Stage 1's end is Stage 2's question; it does not expire a second time."""
    assert local(verb=Verb.PROMOTE, stage1=None) == []


OTHER_STAGE2 = replace(STAGE2, candidate="sha256:other")
DELETING = replace(
    PLAN, releases=(replace(PLAN.releases[0], changes=(Change("delete", "PersistentVolumeClaim", "data"),)),)
)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"problems": (Denial("DENY_DRY_RUN", "w", "h"),)}, "DENY_DRY_RUN"),
        ({"stage2": None, "standing": Standing()}, "DENY_EVIDENCE_MISSING"),
        ({"stage2": None, "standing": Standing(latest={"stage2": OTHER_STAGE2})}, "DENY_SUBJECT"),
        ({"stage2": replace(STAGE2, verdict="FAIL")}, "DENY_CHECK_NOT_PASSED"),
        ({"stage2": replace(STAGE2, verdict="UNKNOWN")}, "DENY_CHECK_NOT_PASSED"),
        ({"stage2": replace(STAGE2, at=NOW - DAY - HOUR)}, "DENY_EXPIRED"),
        ({"stage2": replace(STAGE2, at=NOW - timedelta(minutes=9))}, "DENY_SOAK"),
        ({"standing": replace(STANDING, rejected={DIGEST: "bad"})}, "DENY_CANDIDATE_REJECTED"),
        ({"standing": replace(STANDING, rejected={DIGEST: ""}), "lifted": True}, "DENY_CANDIDATE_REJECTED"),
        ({"standing": replace(STANDING, holds={DIGEST: ""})}, "DENY_HOLD"),
        ({"plan": DELETING}, "DENY_DESTRUCTIVE"),
        ({"expected_plan": "sha256:another"}, "DENY_PLAN_CHANGED"),
        ({"need": replace(NOBODY, people=1)}, "DENY_APPROVAL_MISSING"),
        ({"need": replace(NOBODY, people=1, unsigned=False), "outside_id": "X"}, "DENY_APPROVAL_MISSING"),
    ],
)
def test_each_reason_of_the_target(changes: dict[str, Any], code: str) -> None:
    """One fact that is not as it should be gives exactly its own denial."""
    assert target(**changes) == [code]


def test_a_named_candidate_is_lifted() -> None:
    """A hold keeps automation out; a person who names the candidate may go on."""
    assert target(standing=replace(STANDING, holds={DIGEST: "rolled back"}), lifted=True) == []


def test_stage_2_is_asked_only_for_a_promotion() -> None:
    """A canary and a rollback need no earlier end of Stage 2."""
    for verb in (Verb.DEPLOY, Verb.ROLLBACK):
        assert target(verb, stage2=None, standing=Standing()) == []


def test_deleting_what_can_be_made_again_is_no_denial() -> None:
    """Only kinds whose deletion loses something ask for a person."""
    changes = (Change("delete", "ConfigMap", "x"), Change("update", "StatefulSet", "db"))
    assert target(plan=replace(PLAN, releases=(replace(PLAN.releases[0], changes=changes),))) == []


def test_an_approval_of_the_plan_opens() -> None:
    """A yes to the plan's digest opens; made for any other plan it does not."""
    request = Request(
        "q", Verb.PROMOTE, DIGEST, PLAN.digest, "dana", "r", 1, NOW - HOUR, NOW + HOUR, "",
        votes=(Vote("omar", "approve", PLAN.digest, "fine", NOW, "cli", signed=False),),
    )  # fmt: skip
    need = replace(NOBODY, people=1)
    assert target(need=need, request=request) == []
    other = replace(PLAN, actions=("another",))
    assert target(need=need, request=request, plan=other) == ["DENY_PLAN_CHANGED"]


def test_everything_wrong_is_told_at_once() -> None:
    """A person mends all of it in one go, not one denial after the other."""
    found = local(
        stage_enabled=False,
        candidate=replace(UNPINNED, dirty=True),
        chart=("c", False),
        values=(("v", False),),
        stage1=None,
        helm_problem=HELM,
    )
    assert len(found) == len(set(found)) == 7


def test_every_denial_says_where_and_what_next() -> None:
    """A denial has a reason and a way on, both in words."""
    facts = replace(LOCAL, stage_enabled=False, chart=("charts/web", False), stage1=None)
    for denial in local_denials(facts, NOW):
        assert denial.why
        assert denial.help


# ----- any change of an accepted result closes the gate

VERDICTS = st.text(max_size=8).filter(lambda word: word != "PASS")
TOO_OLD = st.timedeltas(min_value=DAY + timedelta(microseconds=1), max_value=timedelta(days=9999)).map(
    lambda age: NOW - age
)


@settings(deadline=None)
@given(
    st.one_of(
        VERDICTS.map(lambda v: {"stage1": replace(STAGE1, verdict=v)}),
        TOO_OLD.map(lambda at: {"stage1": replace(STAGE1, at=at)}),
        st.just({"stage1": None}),
    )
)
def test_any_mutation_of_an_accepted_stage_1_result_closes_the_gate(changes: dict[str, Any]) -> None:
    """Another verdict, an older end or no result at all: Stage 2 does not begin."""
    assert local(**changes)


@settings(deadline=None)
@given(
    st.one_of(
        VERDICTS.map(lambda v: {"stage2": replace(STAGE2, verdict=v)}),
        TOO_OLD.map(lambda at: {"stage2": replace(STAGE2, at=at)}),
        st.just({"stage2": None}),
    )
)
def test_any_mutation_of_an_accepted_stage_2_result_closes_the_gate(changes: dict[str, Any]) -> None:
    """Another verdict, an older end or no result at all: nothing is promoted."""
    assert target(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"app_id": "other"},
        {"resolved": "d" * 40},
        {"images": (Image("registry.example/web", "sha256:" + "b" * 64),)},
        {"images": (Image("registry.example/other", "sha256:" + "a" * 64),)},
        {"chart": FileDigest("charts/web", "sha256:9")},
        {"values": (FileDigest("values/a.yaml", "sha256:9"),)},
        {"contract_digest": "sha256:9"},
        {"upstream_digest": "sha256:9"},
    ],
)
def test_evidence_belongs_to_one_candidate(changes: dict[str, Any]) -> None:
    """Whatever else goes out is another candidate, and no earlier result is looked up for it."""
    other = replace(CANDIDATE, **changes).digest
    assert other != DIGEST
    assert target(candidate=other, stage2=STANDING.results.get(("stage2", other))) == ["DENY_SUBJECT"]


# ----- exit status


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        (["DENY_HOLD"], Exit.NO),
        (["DENY_UNREACHABLE"], Exit.NO_ANSWER),
        (["DENY_LEDGER_UNWRITABLE"], Exit.NO_ANSWER),
        (["DENY_PLAN_CHANGED"], Exit.CONFLICT),
        (["DENY_LOCKED"], Exit.CONFLICT),
        (["DENY_UNREACHABLE", "DENY_PLAN_CHANGED"], Exit.CONFLICT),
        (["DENY_UNREACHABLE", "DENY_PLAN_CHANGED", "DENY_HOLD"], Exit.NO),
    ],
)
def test_exit_status_of_a_closed_gate(codes: list[str], status: Exit) -> None:
    """A no outweighs a conflict, a conflict a missing answer; none of them is ever 0."""
    assert exit_status_of_denials(Denial(code, "w", "h") for code in codes) == status
