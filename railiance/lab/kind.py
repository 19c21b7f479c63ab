"""The lab in kind: Kubernetes nodes as containers of an engine that runs already.

The command lines follow kind's own guide to a local registry; where no container engine is at hand, only they
can be tested.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

from railiance.adapters import process
from railiance.domain.errors import Conflict, RailianceError, Usage
from railiance.lab import existing, state
from railiance.lab.kubectl import Kubectl
from railiance.lab.labstatus import LabStatus
from railiance.lab.layout import INGRESS_PORT, PROMETHEUS_PORT, Lab
from railiance.lab.nodes import node_states
from railiance.lab.progress import Progress
from railiance.lab.registry import Registry
from railiance.lab.waiting import wait_until

NODE_IMAGE = "kindest/node:v1.34.0"
REGISTRY_IMAGE = "registry:2"
_ENGINES = ("docker", "podman", "nerdctl")


def obstacles() -> list[str]:
    """Return what keeps this machine from running a lab in kind; empty if nothing does."""
    found = []
    if engine() is None:
        found.append(f"it needs a container engine that answers ({', '.join(_ENGINES)})")
    if shutil.which("kind") is None:
        found.append("it needs kind on PATH (go install sigs.k8s.io/kind@v0.30.0)")
    return found


def engine() -> str | None:
    """Return the first container engine that answers, or None."""
    for name in _ENGINES:
        try:
            if process.run([name, "info"], check=False, timeout=20).exit_code == 0:
                return name
        except RailianceError:
            continue  # not installed, or it does not answer: the next one may
    return None


def up(name: str, node_count: int, with_prometheus: bool, progress: Progress) -> LabStatus:
    """Have a kind cluster with the addons, and return how it stands.

    Raises:
        Conflict: A lab of that name is there in another shape (`LAB_SHAPE`).
    """
    lab = state.load(name) or Lab(name, state.free_slot(name), node_count, with_prometheus, "kind")
    if (lab.node_count, lab.with_prometheus) != (node_count, with_prometheus):
        message = f"The lab {name} is there already, with {lab.node_count} node(s)."
        raise Conflict(
            "LAB_SHAPE", message, "Take it down first, or give the new one another name (`--lab`)."
        )
    state.remember(lab)
    tool = engine() or _ENGINES[0]
    with progress.step("kind: nodes"):
        if name not in process.run(["kind", "get", "clusters"]).stdout.split():
            process.run(create_command(lab), stdin=cluster_config(lab), timeout=900)
    with progress.step("kind: registry"):
        for command in registry_commands(lab, tool):
            process.run(command, check=False)  # there already, or joined already
        for node in process.run(["kind", "get", "nodes", "--name", name]).stdout.split():
            process.run(hosts_command(lab, tool, node), stdin=hosts_file(lab))
        wait_until(Registry(lab.registry).ready, 60, "the registry")
    kubectl = Kubectl(lab.kubeconfig)
    for part, there in existing.missing(kubectl, with_prometheus).items():
        if not there:
            with progress.step(f"Install {part}"):
                existing.install(part, kubectl, f"{name}-control-plane")
    with progress.step("Ready?"):
        wait_until(lambda: all(existing.addon_states(kubectl).values()), 300, "the addons to be ready")
    return status(name)


def down(name: str, progress: Progress) -> list[str]:
    """Delete cluster and registry; return what could not be removed."""
    lab = _require(name)
    with progress.step("kind: delete"):
        process.run(["kind", "delete", "cluster", "--name", name], timeout=300)
        process.run([engine() or _ENGINES[0], "rm", "--force", registry_name(lab)], check=False)
    shutil.rmtree(lab.folder)
    return []


def status(name: str) -> LabStatus:
    """Return how the lab stands."""
    lab = _require(name)
    kubectl = Kubectl(lab.kubeconfig)
    return LabStatus(
        name=name,
        provider="kind",
        kubeconfig=lab.kubeconfig,
        ingress_url=f"http://127.0.0.1:{INGRESS_PORT + lab.slot}",
        prometheus_url=lab.prometheus_url,
        registry=lab.registry,
        nodes=node_states(kubectl),
        addons=existing.addon_states(kubectl) | {"registry": Registry(lab.registry).ready()},
    )


def create_command(lab: Lab) -> Sequence[str]:
    """Return the command that makes the cluster; its configuration comes on standard input."""
    kubeconfig = str(lab.kubeconfig)
    return [
        "kind",
        "create",
        "cluster",
        "--name",
        lab.name,
        "--kubeconfig",
        kubeconfig,
        "--config",
        "-",
        "--wait",
        "120s",
    ]


def cluster_config(lab: Lab) -> str:
    """Return kind's configuration: the lab's ports on loopback, and a place for registries."""
    ports = [(INGRESS_PORT, INGRESS_PORT + lab.slot)]
    ports += [(PROMETHEUS_PORT, lab.prometheus_port)] if lab.with_prometheus else []
    mappings = [
        {"containerPort": inner, "hostPort": outer, "listenAddress": "127.0.0.1"} for inner, outer in ports
    ]
    first = {"role": "control-plane", "image": NODE_IMAGE, "extraPortMappings": mappings}
    others = [{"role": "worker", "image": NODE_IMAGE}] * (lab.node_count - 1)
    patch = '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'
    return json.dumps(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "containerdConfigPatches": [patch],
            "nodes": [first, *others],
        },
        indent=1,
    )


def registry_name(lab: Lab) -> str:
    """Return the name of the container with the registry."""
    return f"railiance-lab-{lab.name}-registry"


def registry_commands(lab: Lab, tool: str) -> list[Sequence[str]]:
    """Return the commands that start the registry and join it to kind's network."""
    name = registry_name(lab)
    publish = f"127.0.0.1:{lab.registry_port}:5000"
    return [
        [tool, "run", "--detach", "--restart=always", "--publish", publish, "--name", name, REGISTRY_IMAGE],
        [tool, "network", "connect", "kind", name],
    ]


def hosts_command(lab: Lab, tool: str, node: str) -> Sequence[str]:
    """Return the command that tells a node where the registry is; the text comes on standard input."""
    folder = f"/etc/containerd/certs.d/{lab.registry}"
    return [
        tool,
        "exec",
        "--interactive",
        node,
        "sh",
        "-c",
        f"mkdir -p {folder} && cat > {folder}/hosts.toml",
    ]


def hosts_file(lab: Lab) -> str:
    """Return what a node needs to know of the registry: under the name used here, it is that container."""
    return f'[host."http://{registry_name(lab)}:5000"]\n'


def _require(name: str) -> Lab:
    lab = state.load(name)
    if lab is None:
        raise Usage("LAB_NONE", f"There is no lab named {name}.", "Run `railiance lab up`.")
    return lab
