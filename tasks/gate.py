"""Tasks before a change: read the app, plan, ask the gate, ask people, open the run."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.runtime import flow_run

from blocks import access_text
from railiance.adapters import progress
from railiance.domain.lifecycle import Request, Verb
from railiance.domain.plan import Plan
from railiance.domain.report import denial_lines
from railiance.engine import approving, documents, stages
from railiance.engine.stages import Prepared
from railiance.engine.work import Work, open_work
from tasks.approval import wait_for_answer
from tasks.retry import ONCE, RETRIED


@task(**ONCE, task_run_name="read {directory}")
def open_app(directory: str, cluster: str, digest: str | None, run_id: str | None, requester: str) -> Work:
    """Read the app's folder; the run is named like the flow run, so that a resumed one keeps its name."""
    access = access_text(cluster)
    return open_work(
        directory, cluster=access, digest=digest, run_id=run_id or flow_run.get_id(), requester=requester
    )


@task(**RETRIED, task_run_name="plan {verb}")
def prepare(work: Work, verb: Verb, **claims: Any) -> Prepared:
    """Plan the verb and ask the gate."""
    prepared = stages.prepare(work, verb, **claims)
    if prepared.plan is not None:
        progress.say(f"Plan {prepared.plan.short} for {work.app_id}")
    return prepared


@task(**RETRIED)
def ask_gate_again(work: Work, prepared: Prepared, **claims: Any) -> Prepared:
    """Ask the gate inside the lock, just before the first change: the plan must still be the same."""
    expected = prepared.plan.digest if prepared.plan else None
    return stages.prepare(work, prepared.verb, expected_plan=expected, **claims)


@task(**RETRIED)
def open_request(work: Work, plan: Plan) -> Request:
    """Put the question to the approvers, once for each plan."""
    request = approving.open_request(work, plan, work.standing())
    progress.say(
        f"Request {request.id} waits for {request.needed} approval(s) until {request.expires_at:%F %H:%M} UTC"
    )
    return request


@task(**RETRIED)
def take_answer(work: Work, request: Request, answer: dict[str, Any] | None) -> str:
    """Record what the form brought, good or bad."""
    outcome = approving.take_answer(work, request, answer)
    progress.say(f"Answer to {request.id}: {outcome}")
    return outcome


def with_people(work: Work, verb: Verb, **claims: Any) -> Prepared:
    """Prepare a verb, and as long as nothing but an approval is missing, ask for it; call it in a flow's own body.

    The flow is suspended while it waits, holds no lock, and runs again from the top after each answer.
    """
    prepared: Prepared
    while (prepared := prepare(work, verb, **claims)).waits_for_people and prepared.plan is not None:
        request = open_request(work, prepared.plan)
        seconds = int((request.expires_at - work.clock.now()).total_seconds())
        answer = wait_for_answer(prepared.plan.digest, request.answers, request.summary, max(seconds, 1))
        take_answer(work, request, answer)
    for line in denial_lines(prepared.denials):
        progress.say(line)
    return prepared


@task(**RETRIED)
def nothing_to_visit(work: Work) -> dict[str, Any] | None:
    """Return the document of a scheduled visit that finds no open canary run, which is no fault; else None."""
    run = work.standing().open_run
    if run is not None and run.verb is Verb.DEPLOY and run.candidate == work.candidate.digest:
        work.run_id = run.id
        return None
    progress.say("No open Stage 2 run of this candidate: nothing to watch")
    return documents.idle_visit(work)
