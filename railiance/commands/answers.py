"""What approve and reject have in common: the vote goes to the ledger, then the bell of the waiting run rings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from railiance.commands.output import Output

if TYPE_CHECKING:
    from railiance.domain.lifecycle import Request
    from railiance.engine.work import Work


def answer(work: Work, request_id: str, decision: str, comment: str, output: Output) -> None:
    """Write one person's answer to a request, unsigned, and wake the run that waits for it."""
    from railiance.engine import approving

    request = approving.find_request(work.standing(), request_id)
    approving.vote(work, request, decision, comment, by=work.executor)
    request = approving.find_request(work.standing(), request.id)
    now = work.clock.now()
    output.reporter.say(
        f"{request.id}: {work.executor} said {decision} (unsigned); {len(request.approved_by)} of {request.needed} "
        f"approvals, state {request.state(now)}"
    )
    woken = ring(request, comment)
    output.reporter.say(
        "The waiting run goes on." if woken else "No run waits; name the request with --approval-id.", "dim"
    )
    output.emit(
        {
            "id": request.id,
            "decision": decision,
            "by": work.executor,
            "state": request.state(now),
            "woken": woken,
        }
    )


def ring(request: Request, comment: str) -> bool:
    """Resume the flow run that waits for this request, if there is one; the vote stands either way."""
    from railiance.commands import local_server
    from railiance.domain.errors import Conflict, Unavailable
    from railiance.domain.plan import short
    from railiance.engine.approving import bell

    key = f"approve-{short(request.plan_digest)}-{request.answers}"
    try:
        waiting = [run for run in local_server.waiting_runs() if run.key == key]
        for run in waiting:
            local_server.resume(run.flow_run_id, bell(request, comment))
    except (Conflict, Unavailable):
        return False
    return bool(waiting)
