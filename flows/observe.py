"""Say how the canary stands; changes nothing."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.gate import open_app
from tasks.names import run_name
from tasks.observe import read_stage2


@flow(name="observe", flow_run_name=run_name("observe"))
def observe(directory: str, cluster: str = "default") -> dict[str, Any]:
    """Take one reading of Stage 2: rollout, pods, weights, evidence and verdict.

    Args:
        directory: The application's folder on the machine of the worker.
        cluster: Which cluster: `default`, a saved ClusterAccess block, or `kubeconfig:PATH#CONTEXT`.
    """
    return read_stage2(open_app(directory, cluster, None, None, ""))
