"""What only a real cluster can show of cluster, Helm, ledger and lock."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from railiance.adapters import cluster as cluster_module
from railiance.adapters import process
from railiance.adapters.clock import SystemClock
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.helm import HelmCli
from railiance.adapters.lease import HeldLease, Timing, acquire, holder
from railiance.adapters.ledger import ClusterLedger
from railiance.domain.errors import Broken, Conflict, Denied, RailianceError, Unavailable
from railiance.domain.ports import ObjectRef

pytestmark = pytest.mark.cluster
SHORT = Timing(duration=3, renew=1, grace=1.5, answer=2, poll=0.1)


def eventually(ask: Callable[[], Any], timeout: float = 60) -> Any:
    """Return the first answer that is not empty, within a time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.2)
    pytest.fail(f"nothing came within {timeout} s")
    return None


def config_map(namespace: str, name: str, **metadata: Any) -> dict[str, Any]:
    """Return a ConfigMap's manifest."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
    }


def deployment(namespace: str, image: str) -> dict[str, Any]:
    """Return a Deployment of the demo application."""
    labels = {"app.kubernetes.io/instance": "demo"}
    container = {
        "name": "demo",
        "image": image,
        "env": [{"name": "VERSION", "value": "v7"}],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "demo", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def ready_pod(cluster: KubeCluster, namespace: str) -> str | None:
    """Return the name of the demo application's pod once it is ready."""
    for pod in cluster.list_objects("v1", "Pod", namespace, "app.kubernetes.io/instance=demo"):
        conditions = pod.get("status", {}).get("conditions") or []
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            return str(pod["metadata"]["name"])
    return None


class TestCluster:
    def test_a_pod_is_asked_and_read_through_the_api_server(
        self, cluster: KubeCluster, namespace: str, lab: Any
    ) -> None:
        """Body, status and log of a pod come back; a failing pod is an answer, a wrong port none."""
        from railiance.lab import build_demo_image

        image = str(build_demo_image("v7", name=lab.name))
        cluster.apply(deployment(namespace, image), field_manager="test")
        pod = eventually(lambda: ready_pod(cluster, namespace))
        assert cluster.proxy_get(namespace, pod, 8080, "/version") == b"v7\n"
        assert cluster.proxy(namespace, pod, 8080, "/fault?fail=1").status == 200
        assert cluster.proxy(namespace, pod, 8080, "/").status == 500
        with pytest.raises(Unavailable) as error:
            cluster.proxy_get(namespace, pod, 8080, "/")
        assert error.value.code == "POD_UNREACHABLE"
        with pytest.raises(Unavailable):
            cluster.proxy(namespace, pod, 9, "/")
        assert cluster.pod_log(namespace, pod, previous=True) == ""
        assert isinstance(cluster.pod_log(namespace, pod, tail=1), str)

    def test_a_missing_right_names_verb_and_object(
        self, kubeconfig: Path, tmp_path: Path, namespace: str
    ) -> None:
        """Whoever has no rights is told which one is missing, and no retry is suggested."""
        nobody = KubeCluster.connect(without_credentials(kubeconfig, tmp_path))
        for verb in (
            lambda: nobody.get(ObjectRef("v1", "Secret", namespace, "x")),
            lambda: nobody.create(config_map(namespace, "x")),
            lambda: nobody.list_objects("v1", "ConfigMap", namespace),
        ):
            with pytest.raises(Denied) as error:
                verb()
            assert error.value.code == "FORBIDDEN"
            assert "Not allowed to" in error.value.message

    def test_an_invalid_object_comes_back_in_the_servers_words(
        self, cluster: KubeCluster, namespace: str
    ) -> None:
        """A dry run finds what an apply would refuse."""
        manifest = deployment(namespace, "x")
        manifest["spec"]["selector"] = {"matchLabels": {"another": "label"}}
        with pytest.raises(Broken) as error:
            cluster.apply(manifest, field_manager="test", dry_run=True)
        assert error.value.code == "INVALID_OBJECT"
        assert "selector" in error.value.message

    def test_a_list_of_many_pages_is_whole(
        self, cluster: KubeCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is lost between two pages."""
        monkeypatch.setattr(cluster_module, "_PAGE", 3)
        for number in range(10):
            cluster.create(config_map(namespace, f"n{number}", labels={"mine": "yes"}))
        found = cluster.list_objects("v1", "ConfigMap", namespace, "mine=yes")
        assert [m["metadata"]["name"] for m in found] == [f"n{number}" for number in range(10)]

    def test_a_kind_that_comes_later_is_found(self, cluster: KubeCluster, namespace: str) -> None:
        """Only what is served is remembered."""
        group = f"{namespace}.example.org"
        assert not cluster.has_kind(f"{group}/v1", "Thing")
        definition = custom_kind(group)
        cluster.create(definition)
        try:
            eventually(lambda: cluster.has_kind(f"{group}/v1", "Thing"))
            thing = {
                "apiVersion": f"{group}/v1",
                "kind": "Thing",
                "metadata": {"name": "x", "namespace": namespace},
            }
            eventually(lambda: tried(lambda: cluster.create(thing)))
            assert cluster.get(ObjectRef(f"{group}/v1", "Thing", namespace, "x"))
        finally:
            cluster.delete(
                ObjectRef(
                    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "", definition["metadata"]["name"]
                )
            )

    def test_a_dying_namespace_takes_nothing(self, cluster: KubeCluster, namespace: str) -> None:
        """It is a conflict with a name, and no event may be lost in it."""
        held = cluster.create(config_map(namespace, "held", finalizers=["railiance.dev/test"]))
        cluster.delete(ObjectRef("v1", "Namespace", "", namespace))
        try:
            with pytest.raises(Conflict) as error:
                cluster.create(config_map(namespace, "late"))
            assert error.value.code == "NAMESPACE_TERMINATING"
            ledger = ClusterLedger(cluster, namespace, "demo", clock=SystemClock())
            with pytest.raises(Unavailable) as refused:
                ledger.append("planned", "run-1", "ada", {})
            assert refused.value.code == "DENY_LEDGER_UNWRITABLE"
        finally:
            release(cluster, held)


def release(cluster: KubeCluster, held: dict[str, Any]) -> None:
    """Take away the finalizer of a ConfigMap, so that its namespace can go."""
    meta = held["metadata"]
    found = cluster.get(ObjectRef("v1", "ConfigMap", meta["namespace"], meta["name"]))
    if found is not None:
        cluster.replace({**found, "metadata": {**found["metadata"], "finalizers": []}})


def tried(verb: Callable[[], Any]) -> Any:
    """Return what a verb returns, or None while the server is not ready for it."""
    try:
        return verb()
    except RailianceError:
        return None


def custom_kind(group: str) -> dict[str, Any]:
    """Return the definition of a kind `Thing`."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}", "labels": {"railiance.dev/test": "true"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def without_credentials(kubeconfig: Path, folder: Path) -> Path:
    """Write a kubeconfig for the same cluster with nobody's credentials."""
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"] = [{"name": user["name"], "user": {}} for user in document["users"]]
    path = folder / "nobody"
    path.write_text(yaml.safe_dump(document))
    return path


class TestLedger:
    def test_many_writers_form_one_chain(self, cluster: KubeCluster, namespace: str) -> None:
        """Whoever writes at the same time, from wherever: no number twice, no gap, every event kept."""
        problems: list[BaseException] = []

        def write(writer: int) -> None:
            ledger = ClusterLedger(cluster, namespace, "demo", clock=SystemClock())
            try:
                for number in range(5):
                    ledger.append("planned", f"run-{writer}", "ada", {"number": number})
            except RailianceError as error:
                problems.append(error)

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        events = ClusterLedger(cluster, namespace, "demo", clock=SystemClock()).events()
        assert [event.sequence for event in events] == list(range(1, 31))
        for writer in range(6):
            own = [event.data["number"] for event in events if event.run_id == f"run-{writer}"]
            assert own == [0, 1, 2, 3, 4]

    def test_an_event_cannot_be_edited(self, cluster: KubeCluster, namespace: str) -> None:
        """The API server itself refuses to change what was written."""
        ClusterLedger(cluster, namespace, "demo", clock=SystemClock()).append("planned", "run-1", "ada", {})
        (stored,) = cluster.list_objects("v1", "ConfigMap", namespace, "railiance.dev/record=event")
        stored["data"]["event.json"] = stored["data"]["event.json"].replace("ada", "eve")
        with pytest.raises(Broken) as error:
            cluster.replace(stored)
        assert error.value.code == "INVALID_OBJECT"


HOLD = """
import sys, time
from pathlib import Path
from railiance.adapters.clock import SystemClock
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.lease import Timing, acquire
kubeconfig, namespace = sys.argv[1:]
timing = Timing(duration=3, renew=1, grace=1.5, answer=2, poll=0.1)
lease = acquire(KubeCluster.connect(Path(kubeconfig)), namespace, "demo", "run-killed", SystemClock(), timing=timing)
while True:
    time.sleep(1)
"""


class TestLease:
    def test_of_many_takers_one_wins(self, cluster: KubeCluster, namespace: str) -> None:
        """A lock has one holder, however many ask at once."""
        won: list[HeldLease] = []
        refused: list[str] = []

        def take(number: int) -> None:
            try:
                won.append(acquire(cluster, namespace, "demo", f"run-{number}", SystemClock(), timing=SHORT))
            except Conflict as error:
                refused.append(error.code)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert refused == ["DENY_LOCKED"] * 5
        won[0].assert_held()
        won[0].release()

    def test_a_killed_process_loses_the_lock_in_known_time(
        self, cluster: KubeCluster, kubeconfig: Path, namespace: str
    ) -> None:
        """While its process lives the lock is kept past its duration; kill -9, and the next run has it in time."""
        running = process.spawn(
            [sys.executable, "-c", HOLD, str(kubeconfig), namespace], cwd=Path(__file__).parents[2]
        )
        try:
            first = eventually(lambda: holder(cluster, namespace, "demo"))
            time.sleep(SHORT.duration + SHORT.grace)
            with pytest.raises(Conflict, match="run-killed"):
                acquire(cluster, namespace, "demo", "run-2", SystemClock(), timing=SHORT)
            os.kill(running.pid, signal.SIGKILL)
            started = time.monotonic()
            with acquire(cluster, namespace, "demo", "run-2", SystemClock(), wait=20, timing=SHORT) as lease:
                assert time.monotonic() - started <= SHORT.duration + 2 * SHORT.grace + 1
                assert lease.taken_over_from == "run-killed"
                assert lease.fence > first.fence
        finally:
            running.end(0)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """Return a chart whose one object is the value `object`."""
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: chart\nversion: 1.0.0\n")
    (folder / "values.yaml").write_text("object: {}\n")
    (folder / "templates" / "object.yaml").write_text(
        '{{ required "object is required" .Values.object | toYaml }}\n'
    )
    return folder


class TestHelm:
    def test_uninstalling_waits_for_the_pods(
        self, cluster: KubeCluster, helm: HelmCli, namespace: str, chart: Path, lab: Any
    ) -> None:
        """When uninstall returns, no pod of the app is left."""
        from railiance.lab import build_demo_image

        image = str(build_demo_image("v7", name=lab.name))
        helm.install(chart, "demo", namespace, [], {"object": deployment(namespace, image)})
        eventually(lambda: ready_pod(cluster, namespace))
        assert helm.uninstall("demo", namespace)
        assert cluster.list_objects("v1", "Pod", namespace, "app.kubernetes.io/instance=demo") == []

    def test_installing_returns_before_anything_is_ready(
        self, cluster: KubeCluster, helm: HelmCli, namespace: str, chart: Path
    ) -> None:
        """Helm's word says that it has sent all, and nothing of readiness."""
        broken = deployment(namespace, "127.0.0.1:1/no-such-image:v0")
        state = helm.install(chart, "demo", namespace, [], {"object": broken})
        assert state.status == "deployed"
        assert ready_pod(cluster, namespace) is None

    def test_what_the_server_refuses_is_broken_and_the_state_says_failed(
        self, helm: HelmCli, namespace: str, chart: Path
    ) -> None:
        """A refused object ends the upgrade with the server's words; history tells."""
        good = config_map(namespace, "one")
        helm.install(chart, "demo", namespace, [], {"object": good})
        bad = config_map(namespace, "Not_A_Name")
        with pytest.raises(Broken) as error:
            helm.upgrade(chart, "demo", namespace, [], {"object": bad})
        assert error.value.code == "HELM_FAILED"
        assert "Not_A_Name" in error.value.message
        state = helm.state("demo", namespace)
        assert state is not None
        assert (state.helm_revision, state.status) == (2, "failed")
        assert helm.upgrade(chart, "demo", namespace, [], {"object": good}).status == "deployed"

    def test_a_chart_that_does_not_render_is_broken(self, helm: HelmCli, namespace: str, chart: Path) -> None:
        """Rendering says why not, in Helm's words."""
        with pytest.raises(Broken, match="object is required"):
            helm.template(chart, "demo", namespace, [], {"object": None})

    def test_a_warning_of_lint_is_a_finding(self, helm: HelmCli, chart: Path) -> None:
        """The strict check refuses what Helm only warns of."""
        with pytest.raises(Broken, match=r"WARNING.*Not_A_Name") as error:
            helm.lint(chart, [], {"object": config_map("default", "Not_A_Name")})
        assert error.value.code == "HELM_LINT"

    def test_an_unreachable_cluster_is_unavailable(
        self, tmp_path: Path, chart: Path, kubeconfig: Path
    ) -> None:
        """Every verb that needs the cluster says so, and rendering does not need it."""
        document = yaml.safe_load(kubeconfig.read_text())
        for entry in document["clusters"]:
            entry["cluster"] = {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": True}
        (tmp_path / "nowhere").write_text(json.dumps(document))
        helm = HelmCli(tmp_path / "nowhere", None)
        for ask in (
            lambda: helm.state("demo", "default"),
            lambda: helm.install(chart, "demo", "default", [], {}),
            lambda: helm.uninstall("demo", "default"),
        ):
            with pytest.raises(Unavailable) as error:
                ask()
            assert error.value.code == "CLUSTER_UNREACHABLE"
        assert helm.template(chart, "demo", "default", [], {"object": config_map("default", "x")})
