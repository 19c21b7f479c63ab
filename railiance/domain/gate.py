"""The gate: one pure decision before every first mutation, asked again inside the lock.

Deny unless every line says yes; every denial found is reported. What is not known is a denial with a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from railiance.domain.approval import ApprovalNeed
from railiance.domain.candidate import Candidate
from railiance.domain.denial import Denial
from railiance.domain.lifecycle import Request, StageResult, Standing, Verb
from railiance.domain.plan import DESTRUCTIVE_KINDS, Plan

CLOCK_SLACK = timedelta(seconds=120)
"""How far in the future evidence may lie before a clock must be wrong."""


@dataclass(frozen=True, slots=True)
class LocalFacts:
    """What is known without a cluster.

    Attributes:
        verb: What is about to be done.
        stage_enabled: Whether the contract enables the stage.
        candidate: What would go out.
        digest_policy: `required`, `optional` or `none`.
        chart: Path of the chart, and whether it is there.
        values: Paths of the values files, and whether each is there.
        helm_problem: Why Helm cannot be used, or None.
        stage1: The recorded end of Stage 1 for this candidate, or None.
        stage1_other: Candidate of a Stage 1 result that is there but belongs to another candidate.
        max_age: How long Stage 1's end counts.
    """

    verb: Verb
    stage_enabled: bool
    candidate: Candidate
    digest_policy: str
    chart: tuple[str, bool]
    values: tuple[tuple[str, bool], ...]
    helm_problem: Denial | None
    stage1: StageResult | None
    stage1_other: str | None
    max_age: timedelta


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What the target says.

    Attributes:
        standing: What the ledger says.
        plan: The plan made now, or None when it could not be made.
        problems: Denials that planning met (missing secret, failed dry-run, pending helm_release, …).
        stage2: The recorded end of Stage 2 for this candidate; only asked for a promotion.
        stage2_max_age: How long Stage 2's end counts.
        soak: Least age of Stage 2's end.
        need: How many people must say yes, and who may.
        request: The request whose votes count, or None.
        outside_id: An approval id that the ledger does not know, kept as a reference.
        lifted: Whether a person named this candidate and so lifts a hold.
        expected_plan: Digest that was planned before, or None for the first time.
    """

    standing: Standing
    plan: Plan | None
    problems: tuple[Denial, ...]
    need: ApprovalNeed
    stage2: StageResult | None = None
    stage2_max_age: timedelta = timedelta(days=7)
    soak: timedelta = timedelta(0)
    request: Request | None = None
    outside_id: str | None = None
    lifted: bool = False
    expected_plan: str | None = None


def local_denials(facts: LocalFacts, now: datetime) -> list[Denial]:
    """Return every reason why not that needs no cluster; if there is one, the cluster is not called."""
    rules: tuple[Callable[[LocalFacts, datetime], Iterable[Denial]], ...] = (
        _stage_enabled,
        _source_clean,
        _digests,
        _files,
        _stage1,
    )
    found = [denial for rule in rules for denial in rule(facts, now)]
    if facts.helm_problem:
        found.append(facts.helm_problem)
    return found


def target_denials(facts: TargetFacts, candidate: str, verb: Verb, now: datetime) -> list[Denial]:
    """Return every reason why not that the target gives, planning problems included."""
    found = list(facts.problems)
    found += _candidate_allowed(facts, candidate)
    if verb is Verb.PROMOTE:
        found += _stage2(facts, candidate, now)
    if facts.plan is not None:
        found += _destructive(facts.plan)
        found += _same_plan(facts)
        found += facts.need.denials(facts.request, facts.outside_id, facts.plan.digest, now)
    return found


def _stage_enabled(facts: LocalFacts, _now: datetime) -> Iterable[Denial]:
    if not facts.stage_enabled:
        stage = "stage2" if facts.verb is Verb.DEPLOY else "stage3"
        yield Denial(
            "DENY_STAGE_ORDER",
            f"the contract does not enable {stage}",
            f"add a [stages.{stage}] table to railiance/app.toml",
        )


def _source_clean(facts: LocalFacts, _now: datetime) -> Iterable[Denial]:
    if facts.verb is Verb.ROLLBACK:
        return
    if facts.candidate.resolved is None:
        yield Denial(
            "DENY_SOURCE_DIRTY",
            f"the source revision {facts.candidate.source_revision!r} does not name a commit here",
            "run this in a git checkout that holds the revision",
        )
    elif facts.candidate.dirty:
        yield Denial(
            "DENY_SOURCE_DIRTY",
            "the work tree has changes that no commit holds; such a candidate never leaves Stage 1",
            "commit or discard them, then run Stage 1 again",
        )


def _digests(facts: LocalFacts, _now: datetime) -> Iterable[Denial]:
    if facts.digest_policy != "required" or facts.verb is Verb.ROLLBACK:
        return
    if not facts.candidate.images or any(not image.digest for image in facts.candidate.images):
        yield Denial(
            "DENY_DIGEST_MISSING",
            'source.digest_policy is "required" and no digest is recorded',
            "record it in source.digest of railiance/app.toml, in railiance/upstream.toml, or pass --digest",
        )


def _files(facts: LocalFacts, _now: datetime) -> Iterable[Denial]:
    if facts.verb is Verb.ROLLBACK:
        return
    path, there = facts.chart
    if not there:
        yield Denial(
            "DENY_CHART_MISSING", f"no chart at {path}", "copy charts/canary there, or set the stage's chart"
        )
    for name, exists in facts.values:
        if not exists:
            yield Denial(
                "DENY_VALUES_MISSING", f"no values file at {name}", "write it, or set the stage's values"
            )


def _stage1(facts: LocalFacts, now: datetime) -> Iterable[Denial]:
    if facts.verb is not Verb.DEPLOY:
        return
    again = "run `railiance run DIR` for exactly this candidate"
    if facts.stage1 is None:
        if facts.stage1_other:
            why = (
                f"the Stage 1 result belongs to candidate {facts.stage1_other[:19]}, "
                f"this is {facts.candidate.digest[:19]}"
            )
            yield Denial("DENY_SUBJECT", why, again)
        else:
            yield Denial("DENY_EVIDENCE_MISSING", "there is no Stage 1 result for this candidate", again)
        return
    yield from _evidence(facts.stage1, facts.max_age, timedelta(0), now, "Stage 1", again)


def _stage2(facts: TargetFacts, candidate: str, now: datetime) -> Iterable[Denial]:
    again = "run `railiance deploy --stage 2 DIR --apply` for exactly this candidate"
    latest = facts.standing.latest.get("stage2")
    if facts.stage2 is None:
        if latest is not None and latest.candidate != candidate:
            why = f"the last Stage 2 result belongs to candidate {latest.candidate[:19]}, this is {candidate[:19]}"
            yield Denial("DENY_SUBJECT", why, again)
        else:
            yield Denial("DENY_EVIDENCE_MISSING", "there is no Stage 2 result for this candidate", again)
        return
    yield from _evidence(facts.stage2, facts.stage2_max_age, facts.soak, now, "Stage 2", again)


def _evidence(
    result: StageResult, max_age: timedelta, soak: timedelta, now: datetime, stage: str, again: str
) -> Iterable[Denial]:
    age = now - result.at
    if result.verdict != "PASS":
        yield Denial(
            "DENY_CHECK_NOT_PASSED",
            f"{stage} of this candidate ended with {result.verdict}",
            f"mend it, then {again}",
        )
    if age > max_age:
        yield Denial(
            "DENY_EXPIRED", f"the {stage} result is {_span(age)} old, {_span(max_age)} are allowed", again
        )
    if soak and age < soak:  # without a soak, a clock that is a little behind is no reason
        yield Denial(
            "DENY_SOAK", f"{stage} passed {_span(age)} ago, {_span(soak)} are asked for", "wait, then repeat"
        )
    if age < -CLOCK_SLACK:
        yield Denial(
            "DENY_CLOCK",
            f"the {stage} result lies {_span(-age)} in the future",
            "set the clock of this machine",
        )


def _candidate_allowed(facts: TargetFacts, candidate: str) -> Iterable[Denial]:
    if (why := facts.standing.rejected.get(candidate)) is not None:
        yield Denial(
            "DENY_CANDIDATE_REJECTED",
            f"this candidate was rejected: {why or 'no reason given'}",
            "build a new one",
        )
    held = facts.standing.holds.get(candidate)
    if held is not None and not facts.lifted:
        yield Denial(
            "DENY_HOLD",
            f"this candidate is on hold: {held or 'no reason given'}",
            "name it with `promote --candidate DIGEST`, or build a new one",
        )


def _destructive(plan: Plan) -> Iterable[Denial]:
    doomed = [f"{c.kind}/{c.name}" for c in plan.deletions if c.kind in DESTRUCTIVE_KINDS]
    if doomed:
        yield Denial(
            "DENY_DESTRUCTIVE",
            f"the plan deletes {', '.join(doomed)}",
            "keep them in the chart, or remove them by hand",
        )


def _same_plan(facts: TargetFacts) -> Iterable[Denial]:
    if facts.plan and facts.expected_plan and facts.plan.digest != facts.expected_plan:
        yield Denial(
            "DENY_PLAN_CHANGED",
            f"the plan was {facts.expected_plan[:19]}, made again it is {facts.plan.digest[:19]}: "
            "the candidate or the target changed meanwhile",
            "look at `--plan` and ask for approval anew",
        )


def _span(age: timedelta) -> str:
    """Return a duration as people say it: `3 d`, `2 h`, `5 min`, `20 s`."""
    seconds = int(age.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
