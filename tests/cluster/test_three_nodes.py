"""The same promotion on three nodes: pods on different nodes, and no request lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from railiance import lab as labs
from railiance.adapters.cluster import KubeCluster
from tests.lifecycle_kit import LifecycleApp, Told, fresh_app, no_request_lost, scene

if TYPE_CHECKING:
    from railiance.lab import LabStatus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
NAME = "trio"
REPLICAS = 3


@pytest.fixture(scope="module")
def trio() -> Iterator[LabStatus]:
    """Return a lab of three nodes beside the tests' own; it goes when the tests are over."""
    try:
        yield labs.up(NAME, nodes=3, with_prometheus=False)
    finally:
        assert labs.down(NAME) == []


@pytest.fixture(scope="module")
def app(
    trio: LabStatus, prefect_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LifecycleApp]:
    """Return an application on it with three stable pods, whose v1 serves."""
    cluster = KubeCluster.connect(trio.kubeconfig)
    with fresh_app(cluster, trio.kubeconfig, trio, tmp_path_factory.mktemp("trio")) as made:
        made.take_over("v1", replicas=REPLICAS)
        yield made


@pytest.fixture(scope="module")
def promoted(app: LifecycleApp) -> dict[str, Told]:
    """Take v2 through Stage 2 and Stage 3 while users are there."""
    app.write("v2", replicas=REPLICAS)
    return {"deploy": scene(app, app.deploy), "promote": scene(app, app.promote)}


def test_all_three_nodes_are_ready(trio: LabStatus) -> None:
    """The lab has three nodes, each Ready."""
    assert list(trio.nodes.values()) == [True] * 3


def test_the_promotion_goes_as_on_one_node(promoted: dict[str, Told]) -> None:
    """Stage 2 passes and the promotion ends with all users on v2."""
    for told in promoted.values():
        assert told.answer.exit_code == 0, told.answer.stderr
        assert told.document["verdict"] == "PASS"
    assert (promoted["promote"].before, promoted["promote"].after) == ("v1", "v2")


@pytest.mark.parametrize("act", ["deploy", "promote"])
def test_no_request_is_lost(promoted: dict[str, Told], act: str) -> None:
    """With pods on several nodes no user's request goes without an answer."""
    no_request_lost(promoted[act].tally)
    assert not promoted[act].tally.faulty


def test_stable_pods_are_spread(app: LifecycleApp, promoted: dict[str, Told]) -> None:
    """The stable track's three pods are on three nodes, and a disruption budget keeps them from going at once."""
    pods = app.cluster.list_objects("v1", "Pod", app.name)
    stable = [pod for pod in pods if "-canary-" not in pod["metadata"]["name"]]
    running = [pod for pod in stable if "deletionTimestamp" not in pod["metadata"]]
    assert len({pod["spec"]["nodeName"] for pod in running}) == REPLICAS
    assert app.cluster.list_objects("policy/v1", "PodDisruptionBudget", app.name)
