"""Tell Prefect about the flows: work pool, deployments, and what to do with runs whose process died."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
from pathlib import Path

from railiance import project
from railiance.adapters import process
from railiance.adapters.prefect_api import PrefectApi
from railiance.commands import prefect_processes as processes
from railiance.commands.prefect_processes import Report
from railiance.domain.errors import Unavailable

_VARIABLE = "railiance_deployments"
_ZOMBIES = "railiance: runs whose process died"
_SILENCE = 600  # seconds; three heartbeats and a bit


def ensure(api: PrefectApi, *, local: bool, report: Report) -> None:
    """Apply deployments.yaml unless exactly this one was applied last.

    Args:
        api: The server.
        local: Whether it is the one that we started.
        report: Called with a line of progress when something takes time.

    Raises:
        Unavailable: The server does not answer, or has no work pool and is not ours.
        Broken: `prefect deploy` failed.
    """
    digest = definition_digest(project.root())
    if _applied_digest(api) == digest:
        return
    with processes.locked("deploy.lock"):
        if _applied_digest(api) == digest:
            return
        ensure_work_pool(api, local=local)
        report("Telling Prefect about the flows (once per version)")
        _deploy(api.url, local=local)
        if local:
            _watch_for_the_dead(api)
        _keep_digest(api, digest)


def definition_digest(root: Path) -> str:
    """Return the digest of all that decides what the deployments look like."""
    digest = hashlib.sha256(importlib.metadata.version("prefect").encode())
    for path in (root / "deployments.yaml", *sorted((root / "flows").glob("*.py"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\n")
    return digest.hexdigest()


def ensure_work_pool(api: PrefectApi, *, local: bool) -> None:
    """See to it that the work pool is there.

    Raises:
        Unavailable: It is missing on a server that is not ours (`PREFECT_NO_POOL`).
    """
    path = f"/work_pools/{processes.WORK_POOL}"
    if api.get(path) is not None:
        return
    if not local:
        message = f"The Prefect server at {api.url} has no work pool {processes.WORK_POOL}."
        help_ = f"Create it: `prefect work-pool create {processes.WORK_POOL} --type process`."
        raise Unavailable("PREFECT_NO_POOL", message, help_)
    kinds = api.get("/collections/views/aggregate-worker-metadata") or {}
    template = kinds["prefect"]["process"]["default_base_job_configuration"]
    api.post("/work_pools/", {"name": processes.WORK_POOL, "type": "process", "base_job_template": template})


def _deploy(url: str, *, local: bool) -> None:
    """Run the very command that a person would run."""
    root = project.root()
    environment = processes.client_environment(url, local=local)
    # Dotted entrypoints are imported from here, whatever else is called `flows` on this machine.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    arguments = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments.yaml"]
    process.run([sys.executable, "-m", "prefect", *arguments], cwd=root, env=environment, timeout=300)


def _applied_digest(api: PrefectApi) -> str | None:
    variable = api.get(f"/variables/name/{_VARIABLE}")
    return variable["value"] if variable else None


def _keep_digest(api: PrefectApi, digest: str) -> None:
    body = {"name": _VARIABLE, "value": digest}
    if _applied_digest(api) is None:
        api.post("/variables/", body)
    else:
        path = f"/variables/name/{_VARIABLE}"
        api.expect(api.call("PATCH", path, body), path)


def _watch_for_the_dead(api: PrefectApi) -> None:
    """Let the server call a run crashed whose process died without a word; once per server.

    Prefect's documented rule would do so to healthy suspended runs, too: their process is gone on purpose.
    """
    if api.post("/automations/filter", {"automations": {"name": {"any_": [_ZOMBIES]}}}):
        return
    expected = ("heartbeat", "Completed", "Failed", "Cancelled", "Crashed", "Suspended", "Paused")
    trigger = {
        "type": "event",
        "posture": "Proactive",
        "match": {"prefect.resource.id": ["prefect.flow-run.*"]},
        "after": ["prefect.flow-run.heartbeat"],
        "expect": [f"prefect.flow-run.{state}" for state in expected],
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": _SILENCE,
    }
    message = "Its process gave no sign of life; what it did is in the ledger."
    action = {"type": "change-flow-run-state", "state": "CRASHED", "message": message}
    api.post("/automations/", {"name": _ZOMBIES, "trigger": trigger, "actions": [action], "enabled": True})
