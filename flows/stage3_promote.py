"""Stage 3: ask for approval, make the candidate the stable version, watch on, and go back by itself if it fails."""

from __future__ import annotations

from typing import Any

from prefect import flow

from railiance.domain.lifecycle import Verb
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.verdict import Verdict
from railiance.engine.conclude import Ended
from railiance.engine.lock import taken
from railiance.engine.phases import Phases
from railiance.engine.work import Work
from tasks.evidence import begin, conclude_promotion, go_back, refused
from tasks.gate import ask_gate_again, open_app, with_people
from tasks.names import run_name
from tasks.observe import bake
from tasks.release import carry_users, change_stable, give_back, keep_known_good


@flow(name="promote", flow_run_name=run_name("promote"))
def promote(
    directory: str,
    run_id: str | None = None,
    requester: str = "",
    digest: str | None = None,
    approval_id: str | None = None,
    cluster: str = "default",
    candidate: str | None = None,
) -> dict[str, Any]:
    """Make an application's candidate the stable version.

    Args:
        directory: The application's folder on the machine of the worker.
        run_id: Name of the run; that of the flow run when empty.
        requester: Who asks for it.
        digest: Digest of the image, where the contract does not hold it.
        approval_id: An approval that was given before; without one the flow waits for an answer.
        cluster: Which cluster: `default`, a saved ClusterAccess block, or `kubeconfig:PATH#CONTEXT`.
        candidate: Digest of a candidate on hold, which is so lifted by name.
    """
    work = open_app(directory, cluster, digest, run_id, requester)
    claims: dict[str, Any] = {"approval_id": approval_id, "lifted": candidate == work.candidate.digest}
    prepared = with_people(work, Verb.PROMOTE, **claims)
    if prepared.denials or prepared.plan is None:
        return refused(work, prepared)
    with taken(work, asking=False) as lease:
        prepared = ask_gate_again(work, prepared, **claims)
        if prepared.denials or prepared.plan is None:
            return refused(work, prepared)
        begin(work, prepared, prepared.plan)
        ended = made_stable(work, prepared.plan, lease)
        if ended.verdict is not Verdict.PASS:
            returned = go_back(work, lease, ended.reason)
            ended = ended.then(returned.reason)
        return conclude_promotion(work, prepared.plan, prepared, ended)


def made_stable(work: Work, plan: Plan, lease: Lease) -> Ended:
    """Carry users on the canary track while stable changes, give them back, and watch through the bake."""
    phases = Phases(work.clock)
    with phases.named("shifting"):
        carried = carry_users(work, plan, lease)
    if carried is not Verdict.PASS:
        return Ended(carried, "the canary track does not get ready at full size", phases=phases.all)
    with phases.named("upgrading"):
        applied, rollout = change_stable(work, plan, lease)
    if rollout.verdict is not Verdict.PASS:
        return Ended(rollout.verdict, rollout.reason, applied=applied, phases=phases.all)
    with phases.named("returning"):
        give_back(work, plan, lease)
    with phases.named("baking"):
        baked = bake(work, lease)
    if baked.verdict is Verdict.PASS:
        keep_known_good(work, plan, applied)
    return Ended(
        baked.verdict, baked.reason, checks=baked.checks, applied=applied, phases=phases.all, baked=baked
    )
