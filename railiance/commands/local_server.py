"""Prefect for the command line: a server that answers, deployments that are up to date, runs that can wait.

Every run of the command line is created from its deployment in state Pending, so that no worker takes it, and
runs in this process. When it waits for a person it suspends, this process may end, and after the answer the
worker goes on with it. Importing this module does not import Prefect; only `run_flow` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from railiance import project
from railiance.adapters import clock
from railiance.adapters.prefect_api import PrefectApi
from railiance.commands import prefect_deployments
from railiance.commands import prefect_processes as processes
from railiance.domain.errors import Broken, Conflict, Unavailable

FlowState = Literal["completed", "failed", "waiting", "cancelled", "crashed"]
Report = Callable[[str], None]

_ENDED: Mapping[str, FlowState] = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
    "CRASHED": "crashed",
}
_FOLLOW_POLL = 1.0
# What a worker must know of this shell to reach the same cluster with the same tools; paths, never secrets.
_CARRIED = (
    "KUBECONFIG",
    "RAILIANCE_KUBECONFIG",
    "RAILIANCE_HELM",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "PATH",
)


@dataclass(frozen=True, slots=True)
class FlowOutcome:
    """How a flow run stands.

    Attributes:
        flow_run_id: Prefect's id of the run.
        state: `waiting` means that it waits for a person and goes on without this process.
        result: What the flow returned, if it completed in this process; the result document.
        error: What it raised, if it failed or crashed.
    """

    flow_run_id: str
    state: FlowState
    result: Any | None = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A flow run that waits for a person's answer.

    Attributes:
        flow_run_id: Prefect's id of the run.
        name: Its name as the UI shows it.
        tags: What it was marked with when it was started.
        parameters: What it was started with.
        since: When it began to wait, UTC, RFC 3339.
        expires_at: When the server gives it up, or None.
        key: The key of the question, such as `approve-0123456789ab-0`.
        url: Its page in the UI.
    """

    flow_run_id: str
    name: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    since: str
    expires_at: str | None
    key: str
    url: str


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Where Prefect is and what of it runs; `local` says whether it is ours."""

    url: str | None
    local: bool
    healthy: bool
    server_pid: int | None
    worker_pid: int | None
    folder: Path


def _silent(_line: str) -> None:
    return


def ensure_server(reporter: Report | None = None) -> str:
    """Return the address of a Prefect API that answers, and set this process's environment to use it.

    The one named by PREFECT_API_URL (environment or active profile) is used as it is; without one, a local
    server is started once and kept.

    Args:
        reporter: Called with a line of progress when something takes time.

    Raises:
        Unavailable: The configured server does not answer, or the local one cannot be started.
    """
    configured = _foreign_url()
    if configured is None:
        url = processes.start_server(reporter or _silent)
    elif PrefectApi(configured).healthy(timeout=10):
        url = configured
    else:
        message = f"PREFECT_API_URL names {configured}, and no healthy Prefect server answers there."
        raise Unavailable(
            "PREFECT_UNREACHABLE", message, "Start it, or unset PREFECT_API_URL to use a local one."
        )
    os.environ.update(processes.client_environment(url, local=configured is None))
    return url


def ensure_worker(reporter: Report | None = None) -> None:
    """See to it that a worker will go on with a run after it waited.

    Raises:
        Unavailable: The configured server has no worker online (`PREFECT_NO_WORKER`).
    """
    api = PrefectApi(ensure_server(reporter))
    prefect_deployments.ensure_work_pool(api, local=_foreign_url() is None)
    if _foreign_url() is None:
        processes.start_worker(api.url, reporter or _silent)
    elif not _workers_online(api):
        message = f"No worker of the work pool {processes.WORK_POOL} is online at {api.url}."
        help_ = f"Start one near the cluster: `prefect worker start --pool {processes.WORK_POOL}`."
        raise Unavailable("PREFECT_NO_WORKER", message, help_)


def ensure_deployments(reporter: Report | None = None) -> None:
    """Apply deployments.yaml to the server unless exactly this one was applied last.

    Raises:
        Unavailable: The server does not answer, or has no work pool and is not ours.
        Broken: `prefect deploy` failed.
    """
    api = PrefectApi(ensure_server(reporter))
    prefect_deployments.ensure(api, local=_foreign_url() is None, report=reporter or _silent)


def run_flow(
    deployment: str,
    parameters: Mapping[str, Any],
    *,
    may_wait: bool,
    tags: Sequence[str] = (),
    reporter: Report | None = None,
) -> FlowOutcome:
    """Run a flow in this process until it ends or waits for a person.

    Args:
        deployment: `flow/deployment` as in deployments.yaml, such as `promote/stage3`.
        parameters: The flow's parameters; JSON values.
        may_wait: Whether the flow may wait for a person; then a worker is made sure of first.
        tags: Marks for finding the run again.
        reporter: Called with a line of progress when something takes time.

    Raises:
        Unavailable: Prefect does not answer, or does not know the deployment.
        Broken: Prefect refuses the parameters.
    """
    ensure_server(reporter)
    ensure_deployments(reporter)
    if may_wait:
        ensure_worker(reporter)
    from railiance.commands import in_process

    carried = _carried() if _foreign_url() is None else {}
    return in_process.run(deployment, parameters, tags=tags, worker_environment=carried)


def submit(
    deployment: str,
    parameters: Mapping[str, Any],
    *,
    tags: Sequence[str] = (),
    reporter: Report | None = None,
) -> str:
    """Hand a run to the worker and return its id at once.

    Args:
        deployment: `flow/deployment` as in deployments.yaml.
        parameters: The flow's parameters; JSON values.
        tags: Marks for finding the run again.
        reporter: Called with a line of progress when something takes time.

    Raises:
        Unavailable: Prefect does not answer, has no worker, or does not know the deployment.
        Broken: Prefect refuses the parameters.
    """
    api = PrefectApi(ensure_server(reporter))
    ensure_deployments(reporter)
    ensure_worker(reporter)
    found = api.get(f"/deployments/name/{deployment}")
    if found is None:
        raise unknown_deployment(deployment)
    body: dict[str, Any] = {
        "parameters": dict(parameters),
        "tags": list(tags),
        "state": {"type": "SCHEDULED"},
    }
    if _foreign_url() is None:
        body["job_variables"] = {"env": _carried()}
    return str(api.post(f"/deployments/{found['id']}/create_flow_run", body)["id"])


def unknown_deployment(deployment: str) -> Unavailable:
    """Return the error for a deployment that somebody removed from the server."""
    message = f"The Prefect server has no deployment {deployment}."
    help_ = f"Apply them again, in {project.root()}: `prefect deploy --all --prefect-file deployments.yaml`."
    return Unavailable("PREFECT_NO_DEPLOYMENT", message, help_)


def follow(
    flow_run_id: str,
    on_state: Callable[[str], None] | None = None,
    *,
    timeout: float | None = None,
) -> FlowOutcome:
    """Watch a run, whoever executes it, until it ends.

    What the flow returned stays with the process that executed it; callers read the result document that the
    flow kept.

    Args:
        flow_run_id: Prefect's id of the run.
        on_state: Called with the name of each new state, such as `Suspended` or `Running`.
        timeout: Seconds after which a run that still waits is answered as `waiting`; None waits for ever.

    Raises:
        Conflict: Prefect does not know the run.
    """
    api = PrefectApi(ensure_server())
    deadline = None if timeout is None else clock.monotonic() + timeout
    seen = ""
    while True:
        state = _read_run(api, flow_run_id)["state"]
        if on_state and state["name"] != seen:
            on_state(state["name"])
        seen = state["name"]
        if ended := _ENDED.get(state["type"]):
            return FlowOutcome(flow_run_id, ended, error=_error_of(ended, state, flow_run_id))
        if deadline is not None and clock.monotonic() > deadline:
            return FlowOutcome(flow_run_id, "waiting")
        clock.sleep(_FOLLOW_POLL)


def resume(flow_run_id: str, run_input: Mapping[str, Any]) -> None:
    """Hand the answer to a waiting run, and require that Prefect accepted it.

    Raises:
        Conflict: Prefect does not know the run (`FLOW_UNKNOWN`); or it does not wait, or somebody else was
            first (`FLOW_NOT_WAITING`); or the answer does not fit the form (`ANSWER_REFUSED`), and the run
            goes on waiting.
    """
    api = PrefectApi(ensure_server())
    _read_run(api, flow_run_id)  # the server answers 500 to the resumption of a run it does not know
    answer = api.call("POST", f"/flow_runs/{flow_run_id}/resume", {"run_input": dict(run_input)})
    if answer.status == 201:
        return
    details = api.expect(answer, "/resume").body.get("details") or {}
    reason = str(details.get("reason") or "no reason given")
    refused = "validation" in reason.lower()
    code = "ANSWER_REFUSED" if refused else "FLOW_NOT_WAITING"
    help_ = "Correct the answer." if refused else "Look at it with `railiance requests`."
    raise Conflict(code, f"Prefect did not accept the answer to run {flow_run_id}: {reason}", help_)


def waiting_runs(tags: Sequence[str] = ()) -> list[WaitingRun]:
    """Return the runs that wait for a person, oldest first; those that carry all of the tags."""
    api = PrefectApi(ensure_server())
    wanted: dict[str, Any] = {"state": {"type": {"any_": ["PAUSED"]}}}
    if tags:
        wanted["tags"] = {"all_": list(tags)}
    body = {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
    return [_waiting(api, found) for found in api.post("/flow_runs/filter", body)]


def stop(*, force: bool = False) -> list[str]:
    """End the local worker and server; return the names of what was ended.

    Raises:
        Conflict: Runs are being executed (`PREFECT_BUSY`), whose processes would end, and `force` is not set.
    """
    running = processes.local_server()
    if running and not force and (busy := _running_names(PrefectApi(running.url))):
        message = f"Prefect is executing {', '.join(busy)}."
        raise Conflict(
            "PREFECT_BUSY", message, "Wait for them, or add --force; waiting approvals survive a stop."
        )
    return processes.stop()


def status() -> ServerStatus:
    """Return where Prefect is and what of it runs; starts nothing."""
    configured = _foreign_url()
    server, worker = processes.local_server(), processes.local_worker()
    url = configured or (server.url if server else None)
    return ServerStatus(
        url=url,
        local=configured is None,
        healthy=url is not None and PrefectApi(url).healthy(),
        server_pid=server.pid if server else None,
        worker_pid=worker.pid if worker else None,
        folder=processes.state_folder(),
    )


def _foreign_url() -> str | None:
    """Return the address of a server that is not ours: what `ensure_server` set itself does not count."""
    configured = processes.configured_url()
    server = processes.local_server()
    return None if server and configured == server.url else configured


def _workers_online(api: PrefectApi) -> bool:
    body = {"workers": {"status": {"any_": ["ONLINE"]}}}
    return bool(api.post(f"/work_pools/{processes.WORK_POOL}/workers/filter", body))


def _carried() -> dict[str, str]:
    return {name: os.environ[name] for name in _CARRIED if name in os.environ}


def _read_run(api: PrefectApi, flow_run_id: str) -> dict[str, Any]:
    found = api.get(f"/flow_runs/{flow_run_id}")
    if found is None:
        raise Conflict("FLOW_UNKNOWN", f"Prefect knows no run {flow_run_id}.", "See `railiance requests`.")
    return dict(found)


def _error_of(ended: FlowState, state: Mapping[str, Any], flow_run_id: str) -> BaseException | None:
    if ended == "completed":
        return None
    message = f"The flow run {flow_run_id} is {state['name']}: {state.get('message') or 'no message'}"
    return Broken(
        "FLOW_FAILED", message, f"Its log: `prefect flow-run logs {flow_run_id}`, or its page in the UI."
    )


def _waiting(api: PrefectApi, found: Mapping[str, Any]) -> WaitingRun:
    state = found["state"]
    details = state.get("state_details") or {}
    return WaitingRun(
        flow_run_id=found["id"],
        name=found["name"],
        tags=tuple(found.get("tags") or ()),
        parameters=found.get("parameters") or {},
        since=state["timestamp"],
        expires_at=details.get("pause_timeout"),
        key=details.get("pause_key") or "",
        url=f"{api.url.removesuffix('/api')}/runs/flow-run/{found['id']}",
    )


def _running_names(api: PrefectApi) -> list[str]:
    body = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}, "limit": 20}
    return [found["name"] for found in api.post("/flow_runs/filter", body)]
