"""Bring an earlier stable version back: users to safety first, then the stable track."""

from __future__ import annotations

from typing import Any

from prefect import flow

from railiance.domain.lifecycle import Verb
from railiance.domain.verdict import Verdict
from railiance.engine.lock import taken
from tasks.evidence import begin, conclude_rollback, refused
from tasks.gate import open_app, with_people
from tasks.names import run_name
from tasks.release import restore_stable, undo_first_install, users_to_safety


@flow(name="rollback", flow_run_name=run_name("rollback"))
def rollback(
    directory: str,
    run_id: str | None = None,
    requester: str = "",
    helm_revision: int | None = None,
    approval_id: str | None = None,
    reason: str = "",
    cluster: str = "default",
) -> dict[str, Any]:
    """Bring an application's earlier known-good version back.

    Args:
        directory: The application's folder on the machine of the worker.
        run_id: Name of the run; that of the flow run when empty.
        requester: Who asks for it.
        helm_revision: Which known-good version; empty: the one before.
        approval_id: An approval that was given before.
        reason: Why; it becomes part of the record and of the hold.
        cluster: Which cluster: `default`, a saved ClusterAccess block, or `kubeconfig:PATH#CONTEXT`.
    """
    work = open_app(directory, cluster, None, run_id, requester)
    why = reason or "asked for"
    prepared = with_people(work, Verb.ROLLBACK, approval_id=approval_id, helm_revision=helm_revision)
    if prepared.denials:
        return refused(work, prepared)
    with taken(work, asking=True) as lease:
        if prepared.plan is None or prepared.kept is None:
            returned = undo_first_install(work, lease, why)
            return conclude_rollback(work, prepared, returned, why)
        begin(work, prepared, prepared.plan)
        if users_to_safety(work, prepared.plan, prepared.kept, lease) is Verdict.FAIL:
            why = f"{why}; no second track got ready"
        returned = restore_stable(work, prepared.plan, prepared.kept, lease)
        return conclude_rollback(work, prepared, returned, why)
