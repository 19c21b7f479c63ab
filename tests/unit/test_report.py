"""Plans, requests and verdicts as people read them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from railiance.domain.denial import Denial
from railiance.domain.lifecycle import Request, StageResult, Verb, Vote
from railiance.domain.plan import Baseline, Plan, Step, Target, planned_release
from railiance.domain.report import (
    Asked,
    conclusion_markdown,
    denial_lines,
    plan_markdown,
    plan_text,
    request_line,
    request_markdown,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "plans"
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECRET = "correct-horse-battery"


def manifest(version: str, *, secret: str, old: bool = False) -> str:
    """Return the manifest of a small app."""
    container = {"name": "app", "image": f"registry.example/web:{version}"}
    documents = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "stringData": {"token": secret}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"version": version}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}},
        },
    ]
    if old:
        documents.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-legacy"}})
    return yaml.safe_dump_all(documents)


def plan(verb: Verb, *, first: bool = False) -> Plan:
    """Return a plan of each verb."""
    track = "canary" if verb is Verb.DEPLOY else "stable"
    name = "web-canary" if verb is Verb.DEPLOY else "web"
    before = "" if first or verb is Verb.DEPLOY else manifest("v1", secret=SECRET, old=True)
    after = manifest("v2", secret=SECRET[::-1])
    actions = {
        Verb.DEPLOY: ("Install helm_release web-canary beside web.", "Give the canary 20 % of the requests."),
        Verb.PROMOTE: ("Send all users to the canary track.", "Upgrade helm_release web and verify it."),
        Verb.ROLLBACK: ("Return users to v1 on a track that is ready.",),
    }
    return Plan(
        verb=verb,
        app_id="web",
        candidate="sha256:" + "c" * 64,
        target=Target("default", "0f0f0f0f-1111", "shop", name),
        baseline=Baseline() if first else Baseline(3, "sha256:" + "b" * 64, "sha256:" + "d" * 64),
        releases=(planned_release(track, name, after, before, {}),),
        traffic_mode="weighted",
        provider="traefik",
        source="gateway",
        steps=(Step(20, 30.0, 50),) if verb is Verb.DEPLOY else (),
        actions=actions[verb],
        versions={"helm": "v3.22.0"},
        rollback={},
        warnings=("dependency db (postgres): declared, not verified",),
    )


PLANS = {
    "deploy": plan(Verb.DEPLOY),
    "promote": plan(Verb.PROMOTE),
    "promote-first-install": plan(Verb.PROMOTE, first=True),
    "rollback": plan(Verb.ROLLBACK),
}
DENIALS = (Denial("DENY_SOAK", "Stage 2 passed 2 min ago, 10 min are asked for", "wait, then repeat"),)
ASKED = Asked(
    app="Web shop",
    criticality="medium",
    source_revision="v2",
    rule="1 person, the requester may not answer, an unsigned answer counts",
    evidence=(
        StageResult("stage1", "c", "PASS", NOW - timedelta(hours=2, minutes=5), "r1", ""),
        StageResult("stage2", "c", "PASS", NOW - timedelta(minutes=12), "r2", ""),
    ),
    verification="the shop shows the old version",
    expires_at=NOW + timedelta(hours=24),
    request="web-promote-1",
)


def golden(name: str, text: str) -> None:
    """Compare with a golden file; RAILIANCE_GOLDEN=write writes it anew."""
    path = GOLDEN / name
    if os.environ.get("RAILIANCE_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert text + "\n" == path.read_text()


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_plan_as_it_is_read(name: str) -> None:
    """The text of `--plan`: what, where, in which order, what becomes of each object, and why not yet."""
    golden(f"{name}.txt", plan_text(PLANS[name], DENIALS))


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_request_as_it_is_read(name: str) -> None:
    """What an approver reads above the form: candidate, place, rule, evidence, the way back, differences."""
    golden(f"{name}-request.md", request_markdown(PLANS[name], ASKED, NOW))


@pytest.mark.parametrize("name", sorted(PLANS))
def test_no_page_shows_a_secret(name: str) -> None:
    """Neither the terminal nor the form shows a secret's old or new value."""
    for page in (
        plan_text(PLANS[name]),
        plan_markdown(PLANS[name]),
        request_markdown(PLANS[name], ASKED, NOW),
    ):
        assert SECRET not in page
        assert SECRET[::-1] not in page


def test_what_an_approver_types_is_on_the_page() -> None:
    """The page names the digits to type and the command that does the same."""
    page = request_markdown(PLANS["promote"], ASKED, NOW)
    assert f"`{PLANS['promote'].short}`" in page
    assert "railiance approve web-promote-1" in page


def test_a_request_without_evidence_says_so() -> None:
    """An empty table would look as if nothing were needed."""
    assert "| none | - | - |" in request_markdown(PLANS["promote"], replace(ASKED, evidence=()), NOW)


def test_a_long_diff_is_cut_and_says_so() -> None:
    """A reader knows that there is more, and where."""
    long = replace(PLANS["promote"].releases[0], diff="\n".join(f"+line {n}" for n in range(100)))
    text = plan_text(replace(PLANS["promote"], releases=(long,)))
    assert "+line 59" in text
    assert "+line 60" not in text
    assert "... 40 more lines" in text
    assert "+line 1\n" not in plan_text(replace(PLANS["promote"], releases=(long,)), diff=False)


def test_denials_say_code_reason_and_help() -> None:
    """Each denial is two lines: why, and what to do."""
    assert denial_lines(DENIALS) == [
        "denied [DENY_SOAK] Stage 2 passed 2 min ago, 10 min are asked for",
        "  help: wait, then repeat",
    ]


def test_a_conclusion_has_verdict_and_reason_first() -> None:
    """The page of a run's end begins with what one wants to know."""
    page = conclusion_markdown("Web, stage2", "FAIL", "too many errors", [("run", "`r1`")])
    assert page.splitlines()[:3] == ["## Web, stage2: FAIL", "", "too many errors"]
    assert "| run | `r1` |" in page


def test_one_line_for_each_request() -> None:
    """A list of requests shows state, votes so far, plan and who asked."""
    request = Request(
        "web-1", Verb.PROMOTE, "c", "sha256:" + "a" * 64, "dana", "r", 2, NOW, NOW + timedelta(hours=1), "",
        app_id="web", votes=(Vote("omar", "approve", "sha256:" + "a" * 64, "", NOW, "cli", signed=False),),
    )  # fmt: skip
    line = request_line(request, NOW)
    for word in ("web-1", "promote", "missing", "1/2", "a" * 12, "by dana"):
        assert word in line
