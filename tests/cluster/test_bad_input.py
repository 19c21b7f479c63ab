"""Bad input on a real cluster: a clear refusal with the right exit code, and the stable version untouched."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from railiance.adapters.cluster import KubeCluster
from railiance.demo_app.driver import Answer
from tests.lifecycle_kit import LifecycleApp, fresh_app

if TYPE_CHECKING:
    from railiance.lab import LabStatus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
NO_IMAGE = "sha256:" + "0" * 64
IMPATIENT = {"railiance/app.toml": {'timeout = "3m"': 'timeout = "15s"'}}
BOUND = (
    '[[checks]]\nid = "errors"\ntype = "promql"\nquery = "vector(0)"\ncompare = "<"\nthreshold = 1.0\n\n'
    "[stages.defaults]"
)
STAGE2_CHECKS = 'checks = ["template", "canary-health"]'
NEEDS_METRICS = {
    "railiance/app.toml": {
        "[stages.defaults]": BOUND,
        STAGE2_CHECKS: 'checks = ["template", "canary-health", "errors"]',
    }
}


@pytest.fixture(scope="module")
def app(
    cluster: KubeCluster,
    kubeconfig: Path,
    lab: LabStatus,
    prefect_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LifecycleApp]:
    """Return an application whose v1 serves; the tests try to go on from there and must not get far."""
    with fresh_app(cluster, kubeconfig, lab, tmp_path_factory.mktemp("bad-input")) as made:
        made.take_over("v1")
        yield made


@pytest.fixture(autouse=True)
def _stable_is_untouched(app: LifecycleApp) -> Iterator[None]:
    """Helm's revision and manifest of stable, its pods and the traffic are after a test what they were before."""
    before, pods = app.stable(), _stable_pods(app)
    yield
    assert app.stable() == before
    assert _stable_pods(app) == pods
    assert app.status()["weight"] == 0
    assert app.version() == "v1"


def _stable_pods(app: LifecycleApp) -> set[str]:
    pods = app.cluster.list_objects("v1", "Pod", app.name)
    return {p["metadata"]["uid"] for p in pods if "-canary-" not in p["metadata"]["name"]}


def _deploy(app: LifecycleApp, *extra: str) -> Answer:
    return app.rail("deploy", "--stage", "2", app.name, "--apply", *extra)


def _codes(answer: Answer) -> list[str]:
    assert answer.document is not None, answer.stderr
    return [denial["code"] for denial in answer.document["denials"]]


def _canary(app: LifecycleApp) -> object:
    return app.helm.state(f"{app.name}-canary", app.name)


def test_an_image_that_does_not_exist(app: LifecycleApp) -> None:
    """An image that its registry does not have is denied by name before anything is installed."""
    app.write("v2", digest=NO_IMAGE)
    app.must("run", app.name)
    answer = _deploy(app)
    assert answer.exit_code == 1, answer.stderr
    assert _codes(answer) == ["DENY_IMAGE_MISSING"]
    assert NO_IMAGE in answer.stderr
    assert _canary(app) is None


def test_prometheus_does_not_answer(app: LifecycleApp) -> None:
    """A contract with a bound on PromQL is not begun while Prometheus is unreachable: no answer, exit code 4."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    app.write("v2")
    app.edit(NEEDS_METRICS)
    app.must("run", app.name)
    answer = app.cli.run(
        *("deploy", "--stage", "2", app.name, "--apply"),
        actor="dana",
        env={"RAILIANCE_PROMETHEUS_URL": closed},
    )
    assert answer.exit_code == 4, answer.stderr
    assert _codes(answer) == ["DENY_UNREACHABLE"]
    assert closed.removeprefix("http://") in answer.stderr
    assert _canary(app) is None


def test_no_prometheus_is_named(app: LifecycleApp) -> None:
    """A contract with a bound on PromQL says what to set when nobody named a Prometheus: exit code 4."""
    app.write("v2")
    app.edit(NEEDS_METRICS)
    app.must("run", app.name)
    answer = _deploy(app)
    assert answer.exit_code == 4, answer.stderr
    assert "RAILIANCE_PROMETHEUS_URL" in answer.stderr
    assert _canary(app) is None


def test_a_canary_that_never_gets_ready(app: LifecycleApp) -> None:
    """A canary that is not ready within the stage's timeout is FAIL, exit code 1; no user was sent to it."""
    app.write("v2", env={"READY": "false"})
    app.edit(IMPATIENT)
    app.must("run", app.name)
    answer = _deploy(app)
    assert answer.exit_code == 1, answer.stderr
    assert answer.document is not None
    assert answer.document["verdict"] == "FAIL"
    assert "ready" in answer.stderr
    assert _canary(app) is None


def test_the_evidence_of_another_candidate(app: LifecycleApp) -> None:
    """Without a Stage 2 result of this very candidate a promotion is denied, exit code 1."""
    app.write("v3")
    app.must("run", app.name)
    answer = app.rail("promote", app.name, "--apply", "--wait")
    assert answer.exit_code == 1, answer.stderr
    assert {"DENY_SUBJECT", "DENY_EVIDENCE_MISSING"} & set(_codes(answer))


def test_a_revision_that_is_not_known_good(app: LifecycleApp) -> None:
    """A rollback to a helm_revision that the ledger does not know as good is denied, exit code 1."""
    answer = app.rail("rollback", app.name, "--apply", "--revision", "99")
    assert answer.exit_code == 1, answer.stderr
    assert _codes(answer) == ["DENY_REVISION_NOT_GOOD"]
