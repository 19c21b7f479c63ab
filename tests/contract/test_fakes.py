"""What the fakes do on their own account: controllers, journal, traffic, failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.ports import Manifest, ObjectRef
from railiance.domain.rollout import image_digest, ready_addresses, workload_state
from tests.fakes import FakeClock, FakeCluster, FakeControllers, FakeGateway, FakeMetrics, FakeReleases

LABELS = {"app.kubernetes.io/instance": "demo"}
DIGEST = "sha256:" + "a" * 64


def deployment(replicas: int = 2, image: str = f"shop@{DIGEST}") -> Manifest:
    """Return a Deployment."""
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "demo", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "demo", "namespace": "shop"},
        "spec": spec,
    }


def service() -> Manifest:
    """Return the Service before it."""
    spec = {"selector": LABELS, "ports": [{"port": 80, "targetPort": 8080}]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "demo", "namespace": "shop"},
        "spec": spec,
    }


@pytest.fixture
def cluster() -> FakeCluster:
    """Return a cluster with the namespace `shop`."""
    cluster = FakeCluster(clock=FakeClock(), journal=[])
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    return cluster


def seen(cluster: FakeCluster) -> tuple[int, bool, int]:
    """Return ready pods, whether the Deployment is whole, and ready addresses, as our own checks see them."""
    state = workload_state({**cluster.list_objects("apps/v1", "Deployment", "shop")[0], "kind": "Deployment"})
    slices = cluster.list_objects(
        "discovery.k8s.io/v1", "EndpointSlice", "shop", "kubernetes.io/service-name=demo"
    )
    return state.ready, state.whole, len(ready_addresses(slices))


def test_controllers_make_pods_ready_and_list_them(cluster: FakeCluster) -> None:
    """A Deployment and its Service look to our checks like a finished rollout."""
    FakeControllers(cluster)
    cluster.apply(deployment(), field_manager="helm")
    cluster.apply(service(), field_manager="helm")
    assert seen(cluster) == (2, True, 2)
    pods = cluster.list_objects("v1", "Pod", "shop", "app.kubernetes.io/instance=demo")
    assert [image_digest(pod) for pod in pods] == [DIGEST, DIGEST]
    cluster.apply(deployment(0), field_manager="helm")
    assert seen(cluster) == (0, False, 0)
    assert cluster.objects("Pod") == []


def test_a_running_pod_stays_the_same_pod(cluster: FakeCluster) -> None:
    """Only a new template makes new pods; scaling leaves those that run alone."""
    FakeControllers(cluster)
    cluster.apply(deployment(1), field_manager="helm")
    first = cluster.objects("Pod")[0]["metadata"]["uid"]
    assert cluster.clock is not None
    cluster.clock.sleep(60)
    cluster.apply(deployment(2), field_manager="helm")
    assert first in {pod["metadata"]["uid"] for pod in cluster.objects("Pod")}
    cluster.apply(deployment(2, "shop:v2"), field_manager="helm")
    assert first not in {pod["metadata"]["uid"] for pod in cluster.objects("Pod")}


def test_a_rollout_can_stay_behind(cluster: FakeCluster) -> None:
    """Pods that never become ready, and images that nobody has, look like it."""
    controllers = FakeControllers(cluster)
    controllers.cannot_pull.add("shop")
    cluster.apply(deployment(), field_manager="helm")
    cluster.apply(service(), field_manager="helm")
    assert seen(cluster) == (0, False, 0)
    waiting = cluster.objects("Pod")[0]["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    controllers.cannot_pull.clear()
    controllers.never_ready.add("demo")
    controllers.reconcile()
    assert seen(cluster) == (0, False, 0)
    controllers.never_ready.clear()
    controllers.reconcile()
    assert seen(cluster) == (2, True, 2)


def test_one_journal_tells_one_story() -> None:
    """The fakes write what they were asked to change, in order, into one list."""
    journal: list[str] = []
    cluster = FakeCluster(journal=journal)
    helm = FakeReleases(cluster, lambda *_: yaml.safe_dump(deployment()), journal)
    helm.install(Path("chart"), "demo", "shop", [], {})
    cluster.delete(ObjectRef("apps/v1", "Deployment", "shop", "demo"))
    assert journal == ["helm install shop/demo", "apply Deployment shop/demo", "delete Deployment shop/demo"]


def test_an_upgrade_can_fail_half_way(cluster: FakeCluster) -> None:
    """Objects may be changed already when Helm fails; its history then says so, and the next one goes on."""
    helm = FakeReleases(
        cluster, lambda *arguments: yaml.safe_dump(deployment(arguments[4].get("replicas", 1)))
    )
    helm.install(Path("chart"), "demo", "shop", [], {})
    helm.fail("upgrade", Broken("HELM_FAILED", "no"), after_objects=True)
    with pytest.raises(Broken):
        helm.upgrade(Path("chart"), "demo", "shop", [], {"replicas": 3})
    assert cluster.objects("Deployment")[0]["spec"]["replicas"] == 3
    assert [s.status for s in helm.history("demo", "shop")] == ["deployed", "failed"]
    helm.upgrade(Path("chart"), "demo", "shop", [], {})
    assert [s.status for s in helm.history("demo", "shop")] == ["superseded", "failed", "deployed"]
    with pytest.raises(Conflict):
        helm.install(Path("chart"), "demo", "shop", [], {})


def test_time_brings_what_was_due() -> None:
    """Sleeping lets everything happen at its own moment, in order."""
    clock = FakeClock()
    seen_at: list[Any] = []
    clock.after(5, lambda: seen_at.append(("late", clock.monotonic())))
    clock.after(2, lambda: seen_at.append(("early", clock.monotonic())))
    clock.sleep(4)
    clock.sleep(4)
    assert seen_at == [("early", 2), ("late", 5)]
    assert clock.monotonic() == 8


def test_the_gateway_counts_what_was_served() -> None:
    """Counters grow, a restart begins new series, an uncalled track has none, no gateway is no answer."""
    gateway = FakeGateway(FakeClock())
    backends = {"stable": ("shop", "demo", 80), "canary": ("shop", "demo-canary", 80)}
    gateway.serve("stable", 10, errors=1)
    gateway.serve("stable", 5)
    reading = gateway.read(backends)
    (sample,) = reading.samples["stable"]
    assert (sample.requests, sample.errors, reading.samples["canary"], reading.complete) == (15, 1, (), True)
    gateway.restart()
    gateway.serve("stable", 1)
    assert gateway.read(backends).samples["stable"][0].series != sample.series
    gateway.down = True
    with pytest.raises(Unavailable):
        gateway.read(backends)


def test_metrics_answer_what_they_were_told() -> None:
    """An unknown query has no data; a server that is down gives no answer."""
    metrics = FakeMetrics()
    metrics.answer("up", ({"job": "x"}, 1.0))
    assert metrics.query("up") == [({"job": "x"}, 1.0)]
    assert metrics.query("down") == []
    metrics.down = True
    with pytest.raises(Unavailable):
        metrics.query("up")
