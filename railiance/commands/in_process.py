"""Run a deployment's flow in this process; the only module of the commands that imports Prefect."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, cast

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, Pause, PrefectHTTPStatusError
from prefect.flow_engine import run_flow
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.states import Pending

from railiance import project
from railiance.commands.local_server import FlowOutcome, FlowState, unknown_deployment
from railiance.commands.prefect_processes import state_folder
from railiance.domain.errors import Broken

_ENDED: Mapping[StateType, FlowState] = {
    StateType.COMPLETED: "completed",
    StateType.FAILED: "failed",
    StateType.CANCELLED: "cancelled",
    StateType.CRASHED: "crashed",
}


def run(
    deployment: str,
    parameters: Mapping[str, Any],
    *,
    tags: Sequence[str],
    worker_environment: Mapping[str, str],
) -> FlowOutcome:
    """Create a run of the deployment in state Pending and execute it here until it ends or suspends.

    Args:
        deployment: `flow/deployment`.
        parameters: The flow's parameters.
        tags: Marks for finding the run again.
        worker_environment: Variables for the worker's process, if the run goes on there.
    """
    calm_logging()
    with get_client(sync_client=True) as client:
        found = _read_deployment(client, deployment)
        flow = load_flow(found.entrypoint or "")
        flow_run = _create_pending(client, found, parameters, tags, worker_environment)
    try:
        state = run_flow(flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
    except Pause:
        return FlowOutcome(str(flow_run.id), "waiting")
    return _outcome(flow_run, cast("State[Any]", state))  # its type speaks of async flows as well


def load_flow(entrypoint: str) -> Flow[..., Any]:
    """Return the flow of a dotted entrypoint, and require that it is ours.

    Raises:
        Broken: Another package of the same name was found first (`FOREIGN_FLOW`).
    """
    root = project.root()
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    # Prefect puts the present folder first on the path while it loads: what is imported before stays ours.
    importlib.import_module(entrypoint.rpartition(".")[0])
    flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    module = sys.modules[flow.fn.__module__]
    if not Path(module.__file__ or "").resolve().is_relative_to(root):
        message = f"{entrypoint} was found in {module.__file__}, not in {root}."
        raise Broken("FOREIGN_FLOW", message, "Run the command from another folder, or without PYTHONPATH.")
    return flow


def calm_logging() -> None:
    """Send what Prefect logs to a file instead of the terminal; the server still gets it."""
    target = RotatingFileHandler(state_folder() / "cli.log", maxBytes=5_000_000, backupCount=1, delay=True)
    target.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in (None, "prefect._internal"):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
        if not any(isinstance(handler, RotatingFileHandler) for handler in logger.handlers):
            logger.addHandler(target)


def _read_deployment(client: SyncPrefectClient, deployment: str) -> DeploymentResponse:
    try:
        return client.read_deployment_by_name(deployment)
    except ObjectNotFound as error:
        raise unknown_deployment(deployment) from error


def _create_pending(
    client: SyncPrefectClient,
    found: DeploymentResponse,
    parameters: Mapping[str, Any],
    tags: Sequence[str],
    worker_environment: Mapping[str, str],
) -> FlowRun:
    try:
        return client.create_flow_run_from_deployment(
            found.id,
            parameters=dict(parameters),
            state=Pending(),  # a worker takes Scheduled runs only
            tags=list(tags),
            job_variables={"env": dict(worker_environment)} if worker_environment else None,
        )
    except PrefectHTTPStatusError as error:
        message = f"Prefect refuses a run of {found.name}: {error.response.text[:500]}"
        raise Broken("PREFECT_REFUSED", message) from error


def _outcome(flow_run: FlowRun, state: State[Any]) -> FlowOutcome:
    run_id = str(flow_run.id)
    if state.is_paused():
        return FlowOutcome(run_id, "waiting")
    ended = _ENDED.get(state.type)
    if ended is None:
        error = Broken("FLOW_STATE", f"The flow run {run_id} came back in state {state.name}.")
        return FlowOutcome(run_id, "crashed", error=error)
    answer = state.result(raise_on_failure=False)
    if isinstance(answer, BaseException):
        return FlowOutcome(run_id, ended, error=answer)
    if ended == "completed":
        return FlowOutcome(run_id, ended, result=answer)
    return FlowOutcome(run_id, ended, error=Broken("FLOW_FAILED", f"The flow run {run_id} is {state.name}."))
