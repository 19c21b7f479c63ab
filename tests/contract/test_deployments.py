"""deployments.yaml: every entry is ours, fits the flow it names, and runs on a worker."""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from railiance.adapters import process
from railiance.adapters.prefect_api import PrefectApi
from railiance.commands import local_server
from railiance.commands.prefect_processes import WORK_POOL

CHECKOUT = Path(__file__).resolve().parents[2]
DEFINITIONS: dict[str, Any] = yaml.safe_load((CHECKOUT / "deployments.yaml").read_text())
ENTRIES: list[dict[str, Any]] = DEFINITIONS["deployments"]
NAMES = {"stage1-run/local", "canary/stage2", "observe/stage2", "promote/stage3", "rollback/stage3"}
every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["entrypoint"])


def load(entry: dict[str, Any]) -> Flow[..., Any]:
    """Load an entry's flow as Prefect would, without the placeholder that hides a failed import."""
    return load_flow_from_entrypoint(entry["entrypoint"], use_placeholder_flow=False)


@every_entry
def test_an_entrypoint_is_a_module_of_ours(entry: dict[str, Any]) -> None:
    """Dotted entrypoints only: the path form would load another module object under another name."""
    flow = load(entry)
    module, _, _ = entry["entrypoint"].rpartition(".")
    assert flow.fn.__module__ == module
    assert Path(inspect.getfile(flow.fn)).is_relative_to(CHECKOUT / "flows")


@every_entry
def test_the_form_of_a_flow_says_what_to_fill_in(entry: dict[str, Any]) -> None:
    """Every parameter is described, and the folder of the app is the only one that must be given."""
    form = parameter_schema(load(entry).fn).model_dump()
    assert form["required"] == ["directory"]
    assert [name for name, field in form["properties"].items() if not field.get("description")] == []


def test_one_deployment_per_flow() -> None:
    """The names that commands and documents use are the ones that deployments.yaml gives."""
    assert {f"{load(entry).name}/{entry['name']}" for entry in ENTRIES} == NAMES


def test_schedules_sleep_until_somebody_wakes_them() -> None:
    """The canary can be watched by schedule, and no schedule is active by itself."""
    schedules = {entry["entrypoint"]: entry.get("schedules", []) for entry in ENTRIES}
    assert len(schedules["flows.stage2_canary.canary"]) == 1
    assert not any(schedule["active"] for found in schedules.values() for schedule in found)


@pytest.mark.prefect
def test_prefect_deploys_them_and_a_worker_runs_one(prefect_server: str, tmp_path: Path) -> None:
    """A person's `prefect deploy --all` is enough, and the worker runs a flow from a foreign folder."""
    local_server.ensure_worker()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    process.run([*command, "--prefect-file", "deployments.yaml"], cwd=CHECKOUT, env=environment, timeout=200)
    api = PrefectApi(prefect_server)
    assert all(api.get(f"/deployments/name/{name}") for name in NAMES)

    app = stage1_app(tmp_path)
    found = api.get("/deployments/name/stage1-run/local")
    assert found is not None
    assert found["work_pool_name"] == WORK_POOL
    body = {"parameters": {"directory": str(app)}, "state": {"type": "SCHEDULED"}}
    run = api.post(f"/deployments/{found['id']}/create_flow_run", body)
    outcome = local_server.follow(run["id"], timeout=200)
    assert outcome.state == "completed"
    assert json.loads((app / ".railiance" / "results" / "run.json").read_text())["verdict"] == "PASS"


def stage1_app(folder: Path) -> Path:
    """Return a git repository with the smallest app that passes Stage 1."""
    app = folder / "shop"
    (app / "railiance").mkdir(parents=True)
    (app / "railiance" / "app.toml").write_text(MINIMAL)
    author = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for argv in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "t"], ["tag", "v1"]):
        process.run(["git", *argv], cwd=app)
    return app


MINIMAL = """\
schema_version = "railiance.app.v1"

[app]
id = "shop"
name = "Shop"
repo = "railiance-apps/shop"
owner = "platform"
description = "A shop"
criticality = "low"

[source]
revision = "v1"
artifact = "bundle"

[stages.stage1]
commands = ["true"]
"""
