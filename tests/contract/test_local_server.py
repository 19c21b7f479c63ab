"""The local Prefect server, its worker, and runs that end, fail, or wait for a person."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from railiance.adapters import process
from railiance.adapters.prefect_api import PrefectApi
from railiance.commands import local_server, prefect_deployments, prefect_processes
from railiance.domain.errors import Conflict, Unavailable

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("trial")]
CHECKOUT = Path(__file__).resolve().parents[2]
ANSWER = {
    "decision": "approve",
    "plan_digest_first_12": "0123456789ab",
    "comment": "All readings were fine",
    "signed_approval": "-",
}

RUNNER = """
import json, sys
from pathlib import Path
from railiance import project
folder, deployment, parameters = sys.argv[1:]
project.root = lambda: Path(folder)
from railiance.commands import local_server
outcome = local_server.run_flow(deployment, json.loads(parameters), may_wait=True, tags=["app:shop"])
print(json.dumps([outcome.flow_run_id, outcome.state, outcome.result]))
"""


def run_in_another_process(folder: Path, deployment: str, **parameters: Any) -> tuple[str, str, Any]:
    """Run a flow as a command of its own would, and return id, state and result once that process is gone."""
    argv = [sys.executable, "-c", RUNNER, str(folder), deployment, json.dumps(parameters)]
    done = process.run(argv, cwd=CHECKOUT, timeout=200)
    assert done.stderr == ""
    flow_run_id, state, result = json.loads(done.stdout)
    return flow_run_id, state, result


def test_a_server_that_runs_is_used_again(prefect_server: str) -> None:
    """A second command finds the server of the first one, and starts none."""
    pid = local_server.status().server_pid
    assert local_server.ensure_server() == prefect_server
    assert local_server.status().server_pid == pid


def test_one_worker_is_enough() -> None:
    """A second command finds the worker of the first one, and starts none."""
    local_server.ensure_worker()
    first = local_server.status().worker_pid
    local_server.ensure_worker()
    assert first is not None
    assert local_server.status().worker_pid == first


def test_the_local_server_keeps_out_other_people() -> None:
    """The folder of database and logs is closed to others, and the server listens on loopback only."""
    assert prefect_processes.state_folder().stat().st_mode & 0o077 == 0
    assert (local_server.status().url or "").startswith("http://127.0.0.1:")


def test_a_configured_server_that_is_silent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """PREFECT_API_URL is honoured: a silent server is reported, never replaced by a local one."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(Unavailable) as caught:
        local_server.ensure_server()
    assert caught.value.code == "PREFECT_UNREACHABLE"


def test_the_active_profile_configures_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `prefect config set PREFECT_API_URL` wrote is found without importing Prefect."""
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (tmp_path / "profiles.toml").write_text(
        'active = "ours"\n[profiles.ours]\nPREFECT_API_URL = "https://prefect.example/api/"\n[profiles.other]\n'
    )
    assert prefect_processes.configured_url() == "https://prefect.example/api"
    monkeypatch.setenv("PREFECT_PROFILE", "other")
    assert prefect_processes.configured_url() is None


def test_a_foreign_server_without_worker_is_an_error(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a server that is not ours no worker is started; that nobody would go on with a run is said at once."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    monkeypatch.setattr(local_server, "_workers_online", lambda _api: False)
    with pytest.raises(Unavailable) as caught:
        local_server.ensure_worker()
    assert caught.value.code == "PREFECT_NO_WORKER"
    assert local_server.status().worker_pid is None


def test_deployments_are_applied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions that did not change are not applied again; changed ones are."""
    applied: list[str] = []
    kept: list[str] = []
    monkeypatch.setattr(prefect_deployments, "_deploy", lambda url, local: applied.append(url))
    monkeypatch.setattr(prefect_deployments, "_keep_digest", lambda _api, digest: kept.append(digest))
    local_server.ensure_deployments()
    assert (applied, kept) == ([], [])
    monkeypatch.setattr(prefect_deployments, "definition_digest", lambda _root: "changed")
    local_server.ensure_deployments()
    assert (len(applied), kept) == (1, ["changed"])


def test_a_flow_that_ends_gives_its_result() -> None:
    """The result of a run in this process is what the flow returned."""
    outcome = local_server.run_flow("trial-ends/trial", {"number": 21}, may_wait=False)
    assert (outcome.state, outcome.result, outcome.error) == ("completed", {"doubled": 42}, None)


def test_a_flow_that_fails_gives_its_error() -> None:
    """The error of a run in this process is the very exception, with code and help."""
    outcome = local_server.run_flow("trial-fails/trial", {}, may_wait=False)
    assert outcome.state == "failed"
    assert isinstance(outcome.error, Conflict)
    assert outcome.error.code == "TRIAL"


def test_an_unknown_deployment_is_an_error() -> None:
    """A deployment that the server does not know is named, with what to do."""
    with pytest.raises(Unavailable) as caught:
        local_server.run_flow("trial-ends/nowhere", {}, may_wait=False)
    assert caught.value.code == "PREFECT_NO_DEPLOYMENT"


def test_a_waiting_run_survives_its_process_and_goes_on_after_an_answer(trial: Path, tmp_path: Path) -> None:
    """A flow suspended in one process, the process gone, is resumed over REST and completed by the worker."""
    journal = tmp_path / "journal"
    flow_run_id, state, _ = run_in_another_process(trial, "trial-waits/trial", journal=str(journal))
    assert state == "waiting"
    waiting = {run.flow_run_id: run for run in local_server.waiting_runs(["app:shop"])}
    assert waiting[flow_run_id].key == "approve-0123456789ab-0"
    assert waiting[flow_run_id].parameters["journal"] == str(journal)

    local_server.resume(flow_run_id, ANSWER)
    states: list[str] = []
    outcome = local_server.follow(flow_run_id, states.append, timeout=120)

    assert outcome.state == "completed"
    assert states[-1] == "Completed"
    assert journal.read_text() == f"{ANSWER}\n"
    with pytest.raises(Conflict) as caught:
        local_server.resume(flow_run_id, ANSWER)
    assert caught.value.code == "FLOW_NOT_WAITING"


def test_a_run_handed_over_is_done_by_the_worker() -> None:
    """A submitted run has an id at once and is executed by the worker; its tags find it again."""
    flow_run_id = local_server.submit("trial-ends/trial", {"number": 4}, tags=["app:shop"])
    assert local_server.follow(flow_run_id, timeout=120).state == "completed"
    with pytest.raises(Unavailable) as caught:
        local_server.submit("trial-ends/nowhere", {})
    assert caught.value.code == "PREFECT_NO_DEPLOYMENT"


def test_a_run_nobody_knows_is_a_conflict() -> None:
    """An answer to a run that does not exist is refused with its id."""
    with pytest.raises(Conflict) as caught:
        local_server.resume("00000000-0000-0000-0000-000000000000", ANSWER)
    assert caught.value.code == "FLOW_UNKNOWN"


def test_prefect_stays_off_the_terminal(trial: Path) -> None:
    """A run prints nothing of Prefect's own; its log is in a file of the state folder."""
    run_in_another_process(trial, "trial-ends/trial", number=1)  # asserts an empty stderr
    assert "trial-ends" in (prefect_processes.state_folder() / "cli.log").read_text()


def test_importing_the_module_does_not_import_prefect() -> None:
    """Commands that need no flow pay nothing for Prefect."""
    code = "import sys, railiance.commands.local_server as l; l.status(); sys.exit('prefect' in sys.modules)"
    process.run([sys.executable, "-c", code], cwd=CHECKOUT, env=dict(os.environ))


def test_an_api_error_is_never_a_yes(prefect_server: str) -> None:
    """A refusal of the server raises; a missing thing is None."""
    api = PrefectApi(prefect_server)
    assert api.get("/variables/name/not_there") is None
    with pytest.raises(Exception, match="PREFECT_REFUSED"):
        api.post("/flow_runs/filter", {"limit": "many"})
