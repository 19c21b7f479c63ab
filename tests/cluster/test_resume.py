"""A promotion that waits outlives the process that began it: an answer to the server's API lets a worker go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from railiance.adapters import process
from railiance.adapters.cluster import KubeCluster
from tests.lifecycle_kit import APPROVER, DEVELOPER, LifecycleApp, fresh_app

if TYPE_CHECKING:
    from railiance.lab import LabStatus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.fixture
def app(
    cluster: KubeCluster, kubeconfig: Path, lab: LabStatus, prefect_server: str, tmp_path: Path
) -> Iterator[LifecycleApp]:
    """Return an application with v1 serving and v2 through Stage 2; its server is that of the tests alone."""
    with fresh_app(cluster, kubeconfig, lab, tmp_path) as made:
        made.take_over("v1")
        made.write("v2")
        deployed = made.deploy_under_load()
        assert deployed.exit_code == 0, deployed.stderr
        yield made


def test_answered_over_rest_after_the_process_died(
    app: LifecycleApp, prefect_server: str, tmp_path: Path
) -> None:
    """The waiting process is killed; the form's fields, posted to the server, complete the promotion."""
    child = _begin_promotion(app, tmp_path / "promote.log")
    try:
        waiting = _waiting(prefect_server, app.name)
    finally:
        child.end(term_timeout=0)  # straight to KILL: it must not get to say goodbye
    assert child.poll() is not None
    assert app.version() == "v1"

    request = _the_request(app)
    refused = _resume(prefect_server, waiting["id"], {})
    assert refused["status"] == "REJECT", refused  # the form has no field that may be left out
    accepted = _resume(prefect_server, waiting["id"], _form(request))
    assert accepted["status"] == "ACCEPT", accepted

    assert _ended(prefect_server, waiting["id"]) == "COMPLETED"
    status = app.status()
    assert status["serving"]["source_revision"] == "v2"
    assert app.version() == "v2"


def _begin_promotion(app: LifecycleApp, log: Path) -> process.Process:
    argv = [sys.executable, "-m", "railiance", "promote", app.name, "--apply", "--wait"]
    env = {**app.cli.env, "RAILIANCE_ACTOR": DEVELOPER}
    child = process.spawn(argv, cwd=app.folder, env=env, stdout=log)
    deadline = time.monotonic() + 120
    while "is Suspended" not in log.read_text():
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return child


def _waiting(server: str, app_id: str) -> dict[str, Any]:
    """Return the suspended run of the app, as the server knows it."""
    wanted = {"tags": {"all_": [f"app:{app_id}"]}, "state": {"type": {"any_": ["PAUSED"]}}}
    found = requests.post(f"{server}/flow_runs/filter", json={"flow_runs": wanted}, timeout=30).json()
    assert len(found) == 1, found
    return found[0]


def _the_request(app: LifecycleApp) -> dict[str, Any]:
    document = app.must("requests", app.name, "--json").document
    assert document is not None
    (request,) = document["requests"]
    return request


def _form(request: dict[str, Any]) -> dict[str, str]:
    """Return what an approver types into the form of the Prefect UI."""
    plan = request["plan_digest"].removeprefix("sha256:")[:12]
    comment = f"Stage 2 passed; {APPROVER} looked at the page."
    return {"decision": "approve", "plan_digest_first_12": plan, "comment": comment, "signed_approval": "-"}


def _resume(server: str, flow_run_id: str, answer: dict[str, str]) -> dict[str, Any]:
    return requests.post(
        f"{server}/flow_runs/{flow_run_id}/resume", json={"run_input": answer}, timeout=60
    ).json()


def _ended(server: str, flow_run_id: str, within: float = 240) -> str:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        kind = requests.get(f"{server}/flow_runs/{flow_run_id}", timeout=30).json()["state"]["type"]
        if kind in {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}:
            return str(kind)
        time.sleep(1)
    pytest.fail(f"flow run {flow_run_id} has not ended within {within:g} s")
