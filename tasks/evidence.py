"""Tasks at the end of a run: going back by itself, evidence, the page in the Prefect UI."""

from __future__ import annotations

from typing import Any

from prefect import task

from railiance import recovery
from railiance.adapters import progress
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.report import conclusion_markdown, plan_markdown
from railiance.domain.results import ResultDocument
from railiance.engine import conclude, record
from railiance.engine.conclude import Ended
from railiance.engine.stages import Prepared
from railiance.engine.work import Work
from railiance.recovery import Returned
from tasks.approval import publish
from tasks.retry import RETRIED


@task(**RETRIED)
def begin(work: Work, prepared: Prepared, plan: Plan) -> None:
    """Write that this run carries the plan out from here on; Stage 1's end enters the target's ledger first."""
    if prepared.verb != "rollback":
        conclude.stage1_into_ledger(work)
    conclude.lift_hold(work, prepared)
    record.open_run(work, plan)
    publish(plan_markdown(plan), f"{work.app_id}-plan", f"Plan {plan.short}")


@task(**RETRIED)
def go_back(work: Work, lease: Lease, reason: str) -> Returned:
    """Undo a promotion that failed: users first, then the stable track."""
    progress.say(f"Going back: {reason}")
    return recovery.undo_promotion(work, lease, reason)


@task(**RETRIED)
def refused(work: Work, prepared: Prepared) -> dict[str, Any]:
    """Keep and return the document of a verb that was denied."""
    return _published(work, conclude.refused(work, prepared), "; ".join(d.why for d in prepared.denials))


@task(**RETRIED)
def conclude_deploy(work: Work, plan: Plan, prepared: Prepared, ended: Ended) -> dict[str, Any]:
    """Record how Stage 2 ended."""
    progress.answer(str(ended.verdict), f"Stage 2: {ended.reason}")
    return _published(work, conclude.conclude_deploy(work, plan, prepared, ended), ended.reason)


@task(**RETRIED)
def conclude_promotion(work: Work, plan: Plan, prepared: Prepared, ended: Ended) -> dict[str, Any]:
    """Record how Stage 3 ended."""
    progress.answer(str(ended.verdict), f"Stage 3: {ended.reason}")
    return _published(work, conclude.conclude_promotion(work, plan, prepared, ended), ended.reason)


@task(**RETRIED)
def conclude_rollback(work: Work, prepared: Prepared, returned: Returned, reason: str) -> dict[str, Any]:
    """Close the rollback, set the hold, record it."""
    progress.answer(str(returned.verdict), f"rollback: {returned.reason}")
    return _published(work, recovery.conclude(work, prepared, returned, reason), returned.reason)


def _published(work: Work, document: ResultDocument, reason: str) -> dict[str, Any]:
    """Return the document, with a page of it among the flow run's artifacts."""
    found = document.document()
    rows = (
        ("status", str(document.status)),
        ("candidate", f"`{work.candidate.short}` ({work.candidate.source_revision})"),
        ("run", f"`{work.run_id}`"),
        ("plan", f"`{document.plan_digest or '-'}`"),
        *((check.id, str(check.verdict or f"skipped: {check.skipped}")) for check in document.checks),
    )
    title = f"{work.contract.app.name}, {document.stage}"
    page = conclusion_markdown(title, str(document.verdict or document.status), reason, rows)
    publish(page, f"{work.app_id}-{document.stage}-result", title)
    return found
