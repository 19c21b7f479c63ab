"""Plans, requests and verdicts as people read them: plain text for a terminal, Markdown for the Prefect UI."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from railiance.domain.denial import Denial
from railiance.domain.lifecycle import Request, StageResult, Verb
from railiance.domain.plan import Plan, images_of, short

_DIFF_LINES = 60
_VERB = {
    Verb.DEPLOY: "show to a few users (Stage 2)",
    Verb.PROMOTE: "promote (Stage 3)",
    Verb.ROLLBACK: "roll back",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an approver must know beside the plan.

    Attributes:
        app: Name of the app.
        criticality: Its word.
        source_revision: Where the candidate comes from.
        rule: Who must say yes, in words.
        evidence: The recorded ends of earlier stages.
        verification: The contract's own words on how to see that a rollback worked.
        expires_at: Until when the answer counts.
        request: Id of the request.
    """

    app: str
    criticality: str
    source_revision: str
    rule: str
    evidence: Sequence[StageResult]
    verification: str
    expires_at: datetime
    request: str


def plan_text(plan: Plan, denials: Iterable[Denial] = (), *, diff: bool = True) -> str:
    """Return a plan as a person reads it on a terminal: what, where, in which order, and what `--apply` would meet."""
    base = plan.baseline
    live = (
        f"helm_revision {base.helm_revision}" if base.helm_revision is not None else "nothing (first install)"
    )
    lines = [
        f"Plan {plan.short}: {_VERB[plan.verb]} {plan.app_id}",
        f"  candidate  {short(plan.candidate)}",
        f"  target     namespace {plan.target.namespace}, cluster {plan.target.cluster} ({plan.target.cluster_uid[:8]})",
        f"  live now   {live}" + (f", candidate {short(base.candidate)}" if base.candidate else ""),
        "",
        *(f"  {number}. {action}" for number, action in enumerate(plan.actions, 1)),
        "",
        *_change_lines(plan),
    ]
    if diff:
        lines += [line for release in plan.releases for line in _diff_lines(release.diff)]
    lines += [f"warning: {warning}" for warning in plan.warnings]
    lines += denial_lines(denials)
    lines.append(f"plan digest {plan.digest}")
    return "\n".join(lines)


def plan_markdown(plan: Plan) -> str:
    """Return a plan as a page for the Prefect UI."""
    return "\n".join((f"## Plan `{plan.short}` for {plan.app_id}", "", "```", plan_text(plan), "```"))


def denial_lines(denials: Iterable[Denial]) -> list[str]:
    """Return denials as lines: the code, why, and how to get past it."""
    found: list[str] = []
    for denial in denials:
        found += [f"denied [{denial.code}] {denial.why}", f"  help: {denial.help}"]
    return found


def request_markdown(plan: Plan, asked: Asked, now: datetime) -> str:
    """Return what an approver reads above the form, in the order in which it should be weighed."""
    images = (
        ", ".join(f"`{_short_image(image)}`" for image in images_of(plan.release("stable").manifest))
        if _has_stable(plan)
        else "-"
    )
    base = plan.baseline
    before = short(base.candidate) if base.candidate else "nothing"
    evidence = [f"| {e.stage} | {e.verdict} | {_ago(e.at, now)} |" for e in asked.evidence] or [
        "| none | - | - |"
    ]
    counts = _counts(plan)
    return "\n".join(
        (
            f"## {asked.app}: {_VERB[plan.verb]} `{asked.source_revision or short(plan.candidate)}`",
            "",
            f"Plan `{plan.short}`: type this to answer, once you have read what follows.",
            "",
            "| what | |",
            "|---|---|",
            f"| candidate | `{before}` → `{short(plan.candidate)}` |",
            f"| images | {images} |",
            (
                f"| where | namespace `{plan.target.namespace}`, cluster `{plan.target.cluster}` "
                f"(`{plan.target.cluster_uid[:8]}`) |"
            ),
            f"| criticality and rule | {asked.criticality}: {asked.rule} |",
            f"| changes | {counts} |",
            f"| answer before | {asked.expires_at:%Y-%m-%d %H:%M} UTC |",
            "",
            "### What happens",
            *(f"{number}. {action}" for number, action in enumerate(plan.actions, 1)),
            "",
            "### Evidence",
            "| stage | verdict | age |",
            "|---|---|---|",
            *evidence,
            "",
            "### Going back",
            _going_back(plan, asked.verification),
            "",
            "### Differences",
            "```diff",
            *[line for release in plan.releases for line in _diff_lines(release.diff)],
            "```",
            "",
            (f"Or answer on the command line: `railiance approve {asked.request} -m 'why this is safe'`."),
        )
    )


def conclusion_markdown(title: str, verdict: str, reason: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return the end of a run as a page for the Prefect UI."""
    table = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join((f"## {title}: {verdict}", "", reason, "", "| | |", "|---|---|", *table))


def _short_image(image: str) -> str:
    """Return an image by its last name and the first digits of its digest, as narrow as a form can show."""
    name, _, digest = image.partition("@")
    return name.rpartition("/")[2] + (f"@{short(digest)}" if digest else "")


def _going_back(plan: Plan, verification: str) -> str:
    if plan.baseline.helm_revision is None:
        return "There is nothing to go back to: a rollback of a first install uninstalls it and keeps its volumes."
    return (
        f"A rollback restores candidate `{short(plan.baseline.candidate or '')}` with its chart, values and "
        "configuration. It does not restore data that the new version writes, and not what Secrets that are "
        f"rotated outside hold. It worked when: {verification or 'the declared checks pass'}"
    )


def _change_lines(plan: Plan) -> list[str]:
    lines = []
    for release in plan.releases:
        lines.append(f"  helm_release {release.helm_release} ({release.track} track)")
        lines += [f"    {c.action:<9} {c.kind}/{c.name}" for c in release.changes]
    return [*lines, ""]


def _diff_lines(diff: str) -> list[str]:
    lines = diff.splitlines()
    if len(lines) <= _DIFF_LINES:
        return lines
    return [*lines[:_DIFF_LINES], f"... {len(lines) - _DIFF_LINES} more lines; `--pretty` has every change"]


def _counts(plan: Plan) -> str:
    actions = [c.action for r in plan.releases for c in r.changes]
    return (
        ", ".join(
            f"{actions.count(word)} {word}" for word in ("create", "update", "delete") if word in actions
        )
        or "none"
    )


def _has_stable(plan: Plan) -> bool:
    return any(release.track == "stable" for release in plan.releases)


def _ago(at: datetime, now: datetime) -> str:
    minutes = int((now - at).total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def request_line(request: Request, now: datetime) -> str:
    """Return one line of the list of requests."""
    return (
        f"{request.id}  {request.app_id:<16} {request.verb:<8} {request.state(now):<9} "
        f"{len(request.approved_by)}/{request.needed}  plan {short(request.plan_digest)}  by {request.requester}"
    )
