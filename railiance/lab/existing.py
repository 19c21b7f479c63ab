"""A cluster that the user already has: the lab installs only what is missing, and says what.

What it cannot install for you: a storage class (it depends on the machines) and a registry (the nodes must be
able to pull from it). Custom resource definitions stay when the lab goes down, because deleting one deletes
every object of its kind, whoever made it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from railiance.domain.errors import RailianceError, Unavailable
from railiance.lab import builds, state
from railiance.lab.kubectl import Kubectl, manifest
from railiance.lab.labstatus import LabStatus
from railiance.lab.layout import INGRESS_PORT, METRICS_PORT, PROMETHEUS_PORT, instances_root
from railiance.lab.nodes import node_states
from railiance.lab.progress import Progress, silent
from railiance.lab.waiting import wait_until

TRAEFIK_IMAGE = f"traefik:v{builds.TRAEFIK.version}"  # the public one
PROMETHEUS_IMAGE = "prom/prometheus:v2.53.5"
_DEFINITIONS = {"gateway-api-crds": builds.GATEWAY_API, "traefik-crds": builds.TRAEFIK_CRDS}
_TRAEFIK = "app.kubernetes.io/name=traefik"
_PROMETHEUS = "app.kubernetes.io/name=prometheus"


def up(
    name: str, kubeconfig: Path | None, context: str | None, with_prometheus: bool, progress: Progress
) -> LabStatus:
    """Have the addons in the user's cluster, and return how it stands."""
    record = state.read_record(name) or {
        "provider": "existing",
        "kubeconfig": str((kubeconfig or default_kubeconfig()).absolute()),
        "context": context,
        "installed": [],
    }
    kubectl = _kubectl(record)
    with progress.step("Reach the cluster"):
        _reach(kubectl)
    state.write_record(name, record)
    for part, there in missing(kubectl, with_prometheus).items():
        if not there:
            with progress.step(f"Install {part}"):
                state.write_record(name, record | {"installed": [*record["installed"], part]})
                record = state.read_record(name) or record
                install(part, kubectl, first_node(kubectl))
    with progress.step("Ready?"):
        wait_until(lambda: all(addon_states(kubectl).values()), 300, "the addons to be ready")
    return status(name)


def down(name: str, progress: Progress) -> list[str]:
    """Remove what the lab installed, but for custom resource definitions, and nothing else."""
    record = state.read_record(name) or {"installed": []}
    for part in reversed(record["installed"]):
        if part not in _DEFINITIONS:
            with progress.step(f"Remove {part}"):
                kubectl = _kubectl(record)
                text = _text(part, first_node(kubectl))
                kubectl.run("delete", "--ignore-not-found", "-f", "-", stdin=text, timeout=120)
    shutil.rmtree(instances_root() / name)
    return []


def status(name: str) -> LabStatus:
    """Return how the cluster stands."""
    record = state.read_record(name) or {}
    kubectl = _kubectl(record)
    notes = [
        f"The lab installed {part}" + ("; they stay after `down`." if part in _DEFINITIONS else ".")
        for part in record["installed"]
    ]
    if not _default_storage_class(kubectl):
        notes.append("There is no default storage class: applications with volumes will wait for ever.")
    return LabStatus(
        name=name,
        provider="existing",
        kubeconfig=Path(record["kubeconfig"]),
        context=record["context"],
        ingress_url=ingress_url(kubectl),
        prometheus_url=_prometheus_url(kubectl),
        registry=None,
        nodes=node_states(kubectl),
        addons=addon_states(kubectl),
        notes=tuple(notes),
    )


def missing(kubectl: Kubectl, with_prometheus: bool) -> dict[str, bool]:
    """Return, for each thing that the lab can install, in the order of installing, whether it is there."""
    found = {
        "gateway-api-crds": kubectl.get("crd", "httproutes.gateway.networking.k8s.io") is not None,
        "traefik-crds": kubectl.get("crd", "traefikservices.traefik.io") is not None,
        "traefik": bool(_pods(kubectl, _TRAEFIK)),
    }
    return found | ({"prometheus": bool(_pods(kubectl, _PROMETHEUS))} if with_prometheus else {})


def install(part: str, kubectl: Kubectl, node: str) -> None:
    """Install one thing into the cluster; pods that need ports of a node go to `node`."""
    if part in _DEFINITIONS:
        kubectl.apply_folder(builds.ensure(_DEFINITIONS[part], silent) / "crds")
    else:
        kubectl.apply(_text(part, node))


def first_node(kubectl: Kubectl) -> str:
    """Return the name of the node that gets what needs a node's ports."""
    return str(_nodes(kubectl)[0]["metadata"]["labels"]["kubernetes.io/hostname"])


def addon_states(kubectl: Kubectl) -> dict[str, bool]:
    """Return, for each addon, whether it is ready."""
    found = {
        "gateway-api": kubectl.get("crd", "httproutes.gateway.networking.k8s.io") is not None,
        "traefik": _ready(_pods(kubectl, _TRAEFIK)),
    }
    prometheus = _pods(kubectl, _PROMETHEUS)
    return found | ({"prometheus": _ready(prometheus)} if prometheus else {})


def ingress_url(kubectl: Kubectl) -> str | None:
    """Return where Traefik answers: its Service's outside address, else the port that the lab gave it."""
    for service in _items(kubectl, "services", "-A", "-l", _TRAEFIK):
        for entry in service["status"].get("loadBalancer", {}).get("ingress", []):
            return f"http://{entry.get('ip') or entry['hostname']}"
    for pod in _pods(kubectl, _TRAEFIK):
        ports = [port["containerPort"] for one in pod["spec"]["containers"] for port in one.get("ports", [])]
        if pod["spec"].get("hostNetwork") and INGRESS_PORT in ports:
            return f"http://{pod['status'].get('hostIP')}:{INGRESS_PORT}"
    return None


def default_kubeconfig() -> Path:
    """Return the kubeconfig that kubectl would use."""
    return Path.home() / ".kube" / "config"


def _text(part: str, node: str) -> str:
    if part == "traefik":
        return manifest(
            "traefik",
            first_node=node,
            traefik_image=TRAEFIK_IMAGE,
            ingress_port=INGRESS_PORT,
            metrics_port=METRICS_PORT,
            ingress_url="",
        )
    return manifest(
        "prometheus-pod", first_node=node, prometheus_image=PROMETHEUS_IMAGE, prometheus_port=PROMETHEUS_PORT
    )


def _reach(kubectl: Kubectl) -> None:
    try:
        kubectl.run("get", "--raw", "/version", timeout=20)
    except RailianceError as error:
        message = f"The cluster of {kubectl.kubeconfig} does not answer: {error.message}"
        raise Unavailable("CLUSTER_UNREACHABLE", message, "See --kubeconfig and --context.") from error


def _kubectl(record: dict[str, Any]) -> Kubectl:
    return Kubectl(Path(record["kubeconfig"]), record["context"])


def _prometheus_url(kubectl: Kubectl) -> str | None:
    for pod in _pods(kubectl, _PROMETHEUS):
        if pod["spec"].get("hostNetwork"):
            return f"http://{pod['status'].get('hostIP')}:{PROMETHEUS_PORT}"
    return None


def _default_storage_class(kubectl: Kubectl) -> bool:
    note = "storageclass.kubernetes.io/is-default-class"
    classes = _items(kubectl, "storageclasses")
    return any(one["metadata"].get("annotations", {}).get(note) == "true" for one in classes)


def _nodes(kubectl: Kubectl) -> list[dict[str, Any]]:
    return _items(kubectl, "nodes")


def _pods(kubectl: Kubectl, selector: str) -> list[dict[str, Any]]:
    return _items(kubectl, "pods", "-A", "-l", selector)


def _items(kubectl: Kubectl, *arguments: str) -> list[dict[str, Any]]:
    found = kubectl.get(*arguments)
    return list(found["items"]) if found else []


def _ready(pods: list[dict[str, Any]]) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for pod in pods
        for condition in pod["status"].get("conditions", [])
    )
