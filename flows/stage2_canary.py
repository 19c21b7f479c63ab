"""Stage 2: show the candidate to a small share of users beside the stable version, watch, and say what was seen."""

from __future__ import annotations

from typing import Any

from prefect import flow

from railiance.domain.lifecycle import Verb
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.verdict import Verdict
from railiance.engine.conclude import Ended, ended_of
from railiance.engine.lock import taken
from railiance.engine.stages import Prepared
from railiance.engine.watch import StepEnd, Watched
from railiance.engine.work import Work
from railiance.recovery import traffic_returned_on_error
from tasks.evidence import begin, conclude_deploy, refused
from tasks.gate import ask_gate_again, nothing_to_visit, open_app, with_people
from tasks.names import run_name
from tasks.observe import look, open_record, probe_canary, watch_step
from tasks.release import install_canary, leave
from tasks.traffic import return_users, shift_users


@flow(name="canary", flow_run_name=run_name("canary"))
def canary(
    directory: str,
    run_id: str | None = None,
    requester: str = "",
    digest: str | None = None,
    window: int | None = None,
    cluster: str = "default",
    approval_id: str | None = None,
) -> dict[str, Any]:
    """Take an application through Stage 2.

    Args:
        directory: The application's folder on the machine of the worker.
        run_id: Name of the run; that of the flow run when empty.
        requester: Who asks for it.
        digest: Digest of the image, where the contract does not hold it.
        window: Length of one visit in seconds; the weight is 0 between visits. Empty: watch until it concludes.
        cluster: Which cluster: `default`, a saved ClusterAccess block, or `kubeconfig:PATH#CONTEXT`.
        approval_id: An approval that was given before.
    """
    work = open_app(directory, cluster, digest, run_id, requester)
    if window is not None and run_id is None and (idle := nothing_to_visit(work)):
        return idle
    prepared = with_people(work, Verb.DEPLOY, approval_id=approval_id)
    if prepared.denials or prepared.plan is None:
        return refused(work, prepared)
    with taken(work, asking=False) as lease:
        prepared = ask_gate_again(work, prepared, approval_id=approval_id)
        if prepared.denials or prepared.plan is None:
            return refused(work, prepared)
        with traffic_returned_on_error(work, lease):
            begin(work, prepared, prepared.plan)
            ended = shown(work, prepared, prepared.plan, lease, window)
        return conclude_deploy(work, prepared.plan, prepared, ended)


def shown(work: Work, prepared: Prepared, plan: Plan, lease: Lease, window: int | None) -> Ended:
    """Install, look, show step by step; users are back on stable when this returns."""
    rollout = install_canary(work, plan, lease)
    if rollout.verdict is not Verdict.PASS:
        leave(work, lease, keep=False)
        return Ended(rollout.verdict, rollout.reason)
    looked = look(work)
    if looked.verdict is not Verdict.PASS:
        leave(work, lease, keep=False)
        return Ended(looked.verdict or Verdict.UNKNOWN, looked.reason, checks=(looked,))
    if not plan.steps:
        probed = probe_canary(work, lease)
        leave(work, lease, keep=probed.verdict is Verdict.PASS)
        return Ended(probed.verdict, probed.reason, checks=probed.checks)
    watched = watched_by_step(work, prepared, plan, lease, window)
    if watched.end is not StepEnd.YIELDED:
        return_users(work, lease)
        leave(work, lease, keep=watched.end in {StepEnd.CLOSED, StepEnd.VISIT_OVER})
    return ended_of(watched)


def watched_by_step(work: Work, prepared: Prepared, plan: Plan, lease: Lease, window: int | None) -> Watched:
    """Give the canary more users step by step, as long as each step closes."""
    record = open_record(work, plan, prepared.standing.open_run if prepared.standing else None)
    until = None if window is None else work.clock.monotonic() + window
    while True:
        shift_users(work, plan, record.step, lease)
        watched = watch_step(work, plan, record, lease, until)
        record = watched.record
        if watched.end is not StepEnd.CLOSED or record.concluded:
            return watched
