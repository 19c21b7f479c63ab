"""The native lab on this very machine: it comes up, works, survives, and leaves nothing.

These tests bring up a lab of their own beside the one that the other cluster tests use.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from railiance import lab as labs
from railiance.adapters import clock, process
from railiance.lab import builds, images, state
from railiance.lab.kubectl import Kubectl
from railiance.lab.layout import Lab, instances_root
from railiance.lab.registry import digest_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
NAME = "selftest"


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    """Begin and end without the test's lab, whatever an earlier run left."""
    if state.provider_of(NAME):
        labs.down(NAME)
    yield
    if state.provider_of(NAME):
        labs.down(NAME)


def inventory() -> dict[str, set[str]]:
    """Return what a lab could leave on this machine: the other labs' pods, which come and go, are left out."""
    others = [known for known in state.known_labs() if known != NAME]
    folders = [str(instances_root() / other) for other in others]
    tables = json.loads(process.run(["nft", "-j", "list", "tables"]).stdout)["nftables"]
    return {
        "processes": {
            str(pid) for pid, _ in state.marked(instances_root() / NAME)
        } | _processes_that_name(str(instances_root() / NAME)),
        "mounts": {
            line.split()[4]
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if not any(line.split()[4].startswith(folder) for folder in folders)
        },
        "links": {link.name for link in Path("/sys/class/net").iterdir() if not link.name.startswith("veth")},
        "namespaces": {path.name for path in Path("/run/netns").glob("*")},
        "tables": {f"{t['table']['family']} {t['table']['name']}" for t in tables if "table" in t},
        "cgroups": {
            str(path)
            for path in [*Path("/sys/fs/cgroup").glob("*"), *Path("/sys/fs/cgroup").glob("*/*")]
            if path.is_dir() and "railiance" in path.name
        },
        "routes": {
            route["dst"]
            for route in json.loads(process.run(["ip", "-j", "route"]).stdout)
            if not route.get("dev", "").startswith("veth")
        },
        "folders": {path.name for path in instances_root().iterdir()},
    }  # fmt: skip


def _processes_that_name(text: str) -> set[str]:
    """Return the processes whose command line holds a text, such as shims that name a lab's socket."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (entry / "cmdline").read_bytes():
                found.add(entry.name)
        except OSError:
            continue  # gone meanwhile
    return found - {str(os.getpid())}


def application(status: labs.LabStatus, image: str, replicas: int) -> str:
    """Return an application with a volume, a Service and two routes; its pods spread over the nodes."""
    labels = {"app.kubernetes.io/name": "demo"}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": labels},
    }
    container = {
        "name": "demo",
        "image": image,
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
    }
    scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    template = {
        "metadata": {"labels": labels, "annotations": scrape},
        "spec": {"containers": [container], "topologySpreadConstraints": [spread]},
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
    user = {
        "containers": [
            {
                "name": "podinfo",
                "image": f"{status.registry}/podinfo:6.9.2",
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    backend = {"name": "demo", "port": 80}
    parent = {"name": "traefik-gateway", "namespace": "kube-system"}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "demo"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}, "spec": user},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "demo"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "demo"},
            "spec": {
                "parentRefs": [parent],
                "hostnames": ["gateway.example"],
                "rules": [{"backendRefs": [backend]}],
            },
        },
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": {"name": "demo"},
            "spec": {
                "entryPoints": ["web"],
                "routes": [{"kind": "Rule", "match": "Host(`traefik.example`)", "services": [backend]}],
            },
        },
    ]
    for one in objects:
        one["metadata"]["namespace"] = "default"
    return yaml.safe_dump_all(objects)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Return once the condition holds, or fail."""
    deadline = clock.monotonic() + seconds
    while not condition():
        assert clock.monotonic() < deadline, f"waited {seconds} s for {what}"
        clock.sleep(0.2)


def use(status: labs.LabStatus, replicas: int) -> Kubectl:
    """Run an application on the lab and look at it through everything that the lab brings."""
    kubectl = Kubectl(status.kubeconfig)
    image = labs.build_demo_image("v7", name=NAME)
    kubectl.apply(application(status, str(image), replicas))
    wait_for(lambda: kubectl.ready("deployment", "default", "demo"), "the application")
    kubectl.run("wait", "-n", "default", "--for=condition=Ready", "pod/user", "--timeout=60s", timeout=70)

    for host in ("gateway.example", "traefik.example"):
        wait_for(lambda host=host: get(status, host).ok, f"the route of {host}")  # type: ignore[misc]
        assert get(status, host).text == "demoapp v7\n"
    inside = ("exec", "-n", "default", "user", "--", "podcli", "check", "http")
    kubectl.run(*inside, "demo.default.svc.cluster.local/readyz")  # name service and Service, from a pod
    assert "podinfo" in kubectl.run("logs", "-n", "default", "user")
    return kubectl


def get(status: labs.LabStatus, host: str) -> requests.Response:
    """Return what the ingress answers for a host."""
    return requests.get(str(status.ingress_url), headers={"Host": host}, timeout=5)


def scraped(status: labs.LabStatus) -> dict[str, int]:
    """Return how many targets of each job Prometheus reaches."""
    answer = requests.get(
        f"{status.prometheus_url}/api/v1/query", params={"query": "sum by (job) (up)"}, timeout=5
    )
    return {row["metric"]["job"]: int(row["value"][1]) for row in answer.json()["data"]["result"]}


def saved_image(folder: Path) -> Path:
    """Return an archive as `docker save` writes it, with the demo application in it."""
    layer = images.layer({"/demoapp": builds.DEMOAPP.folder / "demoapp"})
    config = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/demoapp"]},
              "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}  # fmt: skip
    listed = [{"Config": "config.json", "RepoTags": ["team/saved:v1"], "Layers": ["layer.tar"]}]
    files = {"manifest.json": json.dumps(listed), "config.json": json.dumps(config)}
    with tarfile.open(folder / "saved.tar", "w") as archive:
        for name, data in [(name, text.encode()) for name, text in files.items()] + [("layer.tar", layer)]:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return folder / "saved.tar"


def test_one_node_works_is_left_alone_and_leaves_nothing(tmp_path: Path) -> None:
    """Everything the lab promises works; `up` may be repeated; `down` takes all away that `up` brought."""
    before = inventory()
    status = labs.up(NAME)
    assert status.ready, status
    kubectl = use(status, replicas=2)

    wait_for(lambda: scraped(status) == {"traefik": 1, "pods": 2}, "Prometheus to scrape")
    claim = kubectl.get("pvc", "-n", "default", "data")
    assert claim is not None
    volume = kubectl.get("pv", claim["spec"]["volumeName"])
    assert volume is not None
    folder = Path(volume["spec"]["local"]["path"])
    assert folder.is_dir()

    (loaded,) = labs.load_image(saved_image(tmp_path), name=NAME)
    kubectl.run("run", "saved", "-n", "default", f"--image={loaded}", "--restart=Never")
    kubectl.run("wait", "-n", "default", "--for=condition=Ready", "pod/saved", "--timeout=60s", timeout=70)

    pods = kubectl.run("get", "pods", "-A", "-o", "name")
    started = clock.monotonic()
    assert labs.up(NAME).ready
    assert clock.monotonic() - started < 20, "a lab that runs is up within seconds"
    assert kubectl.run("get", "pods", "-A", "-o", "name") == pods

    kubectl.run("delete", "-n", "default", "pod/user", "pvc/data", "--timeout=60s", timeout=70)
    wait_for(lambda: kubectl.get("pv", volume["metadata"]["name"]) is None, "the volume to go")
    assert not folder.exists(), "the data goes with the claim"

    assert labs.down(NAME) == []
    assert inventory() == before


def test_three_nodes_share_the_work_and_leave_nothing() -> None:
    """Pods spread, Services reach pods of all nodes, and nothing of the three is left."""
    before = inventory()
    status = labs.up(NAME, nodes=3)
    assert status.ready, status
    assert len(status.nodes) == 3
    kubectl = use(status, replicas=3)

    found = kubectl.get("pods", "-n", "default", "-l", "app.kubernetes.io/name=demo")
    assert found is not None
    assert {pod["spec"]["nodeName"] for pod in found["items"]} == set(status.nodes)
    for _ in range(60):
        assert get(status, "gateway.example").ok
    for pod in found["items"]:  # each pod has served: traffic crosses from node to node
        path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}:8080/proxy/metrics"
        served = next(
            line
            for line in kubectl.run("get", "--raw", path).splitlines()
            if 'requests_total{code="200"}' in line
        )
        assert int(served.split()[1]) > 0
    wait_for(lambda: scraped(status) == {"traefik": 1, "pods": 3}, "Prometheus to scrape all nodes")
    leave_and_return(status, kubectl, f"{NAME}-3")

    assert labs.down(NAME) == []
    assert inventory() == before


def leave_and_return(status: labs.LabStatus, kubectl: Kubectl, node: str) -> None:
    """Drain a node under load and let it return: no request is lost, and the pods are spread again."""
    done = threading.Event()
    codes: Counter[int] = Counter()

    def load() -> None:
        with requests.Session() as session:
            while not done.is_set():
                answer = session.get(str(status.ingress_url), headers={"Host": "gateway.example"}, timeout=10)
                codes[answer.status_code] += 1
                done.wait(0.05)

    user = threading.Thread(target=load)
    user.start()
    try:
        kubectl.run("drain", node, "--ignore-daemonsets", "--force", "--timeout=90s", timeout=100)
        ready = pods_by_node(kubectl)
        assert node not in ready, "a drained node has no pod of the application"
        assert len(ready) == 2
        kubectl.run("uncordon", node)
        wait_for(lambda: kubectl.ready("deployment", "default", "demo"), "the application to be whole again")
    finally:
        done.set()
        user.join()
    assert set(pods_by_node(kubectl)) == set(status.nodes)
    assert set(codes) == {200}, codes
    assert codes[200] > 50


def pods_by_node(kubectl: Kubectl) -> dict[str, int]:
    """Return how many pods of the application run on each node and are not on their way out."""
    found = kubectl.get("pods", "-n", "default", "-l", "app.kubernetes.io/name=demo")
    assert found is not None
    going = [pod["spec"]["nodeName"] for pod in found["items"] if pod["spec"].get("nodeName")
             and "deletionTimestamp" not in pod["metadata"]]  # fmt: skip
    return dict(Counter(going))


def test_without_prometheus_there_is_none() -> None:
    """The lab can show how the product behaves where central monitoring is absent."""
    status = labs.up(NAME, with_prometheus=False)
    assert status.ready, status
    assert status.prometheus_url is None
    assert "prometheus" not in status.processes
    assert Kubectl(status.kubeconfig).get("namespace", "monitoring") is None


def test_up_repairs_what_broke() -> None:
    """Parts that were killed are started again, and the cluster's objects are still there."""
    status = labs.up(NAME, with_prometheus=False)
    kubectl = Kubectl(status.kubeconfig)
    kubectl.run("create", "configmap", "-n", "default", "note")
    lab = state.load(NAME)
    assert lab is not None
    for name in ("etcd", "node1-containerd", "node1-kubelet", "registry"):
        kill(lab, name)
    assert not labs.status(NAME).ready
    assert labs.up(NAME, with_prometheus=False).ready
    assert kubectl.get("configmap", "-n", "default", "note") is not None


def kill(lab: Lab, name: str) -> None:
    """Kill one process of the lab, as the machine might."""
    entry = json.loads((lab.folder / "processes" / f"{name}.json").read_text())
    assert process.alive(entry["pid"], entry["start_time"])
    os.kill(entry["pid"], signal.SIGKILL)


@pytest.mark.parametrize("seconds", [1.5, 4.0])
def test_an_up_that_died_can_be_repeated_or_taken_down(seconds: float) -> None:
    """Whatever an interrupted `up` left is found again, by the next `up` and by `down`."""
    before = inventory()
    code = f"from railiance import lab; lab.up({NAME!r}, with_prometheus=False)"
    begun = process.spawn([sys.executable, "-c", code])
    clock.sleep(seconds)
    os.kill(begun.pid, signal.SIGKILL)
    wait_for(lambda: begun.poll() is not None, "the kill")
    if state.provider_of(NAME):
        assert labs.down(NAME) == []
    assert inventory() == before
