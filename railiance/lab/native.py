"""The native lab: Kubernetes as processes of this machine, without a container engine (Linux, root).

`up` is a list of steps, each of which looks first and does what is missing. So it may be repeated: on a lab
that runs (nothing to do), after a Ctrl-C, after the machine was restarted.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
from pathlib import Path

import requests

from railiance.domain.errors import Conflict, Usage
from railiance.lab import (
    addons,
    builds,
    cgroups,
    controlplane,
    mounts,
    network,
    node,
    nodes,
    packages,
    services,
    state,
    toolchain,
)
from railiance.lab.kubectl import Kubectl
from railiance.lab.labstatus import LabStatus
from railiance.lab.layout import INGRESS_PORT, METRICS_PORT, Lab
from railiance.lab.progress import Progress, silent
from railiance.lab.registry import Registry
from railiance.lab.waiting import wait_until


def obstacles() -> list[str]:
    """Return what keeps this machine from running a native lab; empty if nothing does."""
    found = []
    if platform.system() != "Linux":
        found.append(f"it needs Linux, and this is {platform.system()}")
    elif os.geteuid() != 0:
        found.append("it needs root")
    if packages.missing() and shutil.which("apt-get") is None:
        found.append(
            f"it needs {', '.join(package.name for package in packages.missing())}, and there is no apt-get"
        )
    if builds.missing() and (lack := toolchain.obstacle()):
        found.append(lack)
    return found


def up(name: str, node_count: int, with_prometheus: bool, progress: Progress) -> LabStatus:
    """Have a lab of that shape running, and return how it stands.

    Raises:
        Conflict: A lab of that name runs in another shape, or its ports or addresses are taken.
    """
    with state.locked("slots", "Another `railiance lab up` is choosing its addresses."):
        lab = _lab(name, node_count, with_prometheus)
        if not _begun(lab):
            _check_ports(lab)
            network.check_ranges(lab)
        state.remember(lab)
    with progress.step("Debian packages") as report:
        packages.install(report)
    if builds.missing():
        with progress.step("Go toolchain") as report:
            toolchain.ensure(report)
    for recipe in builds.NATIVE:
        if not recipe.done:
            with progress.step(f"Build {recipe.name} {recipe.version}") as report:
                builds.ensure(recipe, report)
        else:
            builds.ensure(recipe, silent)
    _start(lab, progress)
    return status(name)


def down(name: str, progress: Progress) -> list[str]:
    """End the lab, leave nothing of it but the cache of builds, and return what could not be removed."""
    lab = _require(name)
    with progress.step(f"End the nodes of {name}"):
        for one in reversed(lab.nodes):
            node.stop(lab, one)
    with progress.step("End control plane and services"):
        for part in state.process_states(lab):
            state.end_process(lab, part, term_timeout=2)  # its data goes anyway
        state.end_marked(lab.folder)
    with progress.step("Remove mounts, network and files"):
        mounts.unmount(lab.folder)
        network.remove(lab)
        left = remains(lab)
        if not left:  # else the record stays, so that `down` can be tried again
            shutil.rmtree(lab.folder)
    return left


def status(name: str) -> LabStatus:
    """Return how the lab stands."""
    lab = _require(name)
    return LabStatus(
        name=lab.name,
        provider="native",
        kubeconfig=lab.kubeconfig,
        ingress_url=lab.ingress_url,
        prometheus_url=lab.prometheus_url,
        registry=lab.registry,
        nodes=node_states(lab),
        addons=addon_states(lab),
        processes=state.process_states(lab),
    )


def addon_states(lab: Lab) -> dict[str, bool]:
    """Return, for each addon, whether it works."""
    api = controlplane.api_ready(lab)
    found = {"kubernetes-api": api} | (addons.states(Kubectl(lab.kubeconfig)) if api else {})
    found |= {"ingress": ingress_answers(lab.ingress_url), "registry": Registry(lab.registry).ready()}
    if lab.with_prometheus:
        found["prometheus"] = services.prometheus_ready(lab)
    return found


def node_states(lab: Lab) -> dict[str, bool]:
    """Return, for each node that the lab should have, whether Kubernetes calls it Ready."""
    found = nodes.node_states(Kubectl(lab.kubeconfig)) if controlplane.api_ready(lab) else {}
    return {one.name: found.get(one.name, False) for one in lab.nodes}


def ingress_answers(url: str) -> bool:
    """Say whether the ingress answers at all; 404 is an answer, for there is nothing behind `/` yet."""
    try:
        return int(requests.get(url, timeout=2).status_code) < int(requests.codes.server_error)
    except requests.RequestException:
        return False  # it is not there yet, or no more: that is the answer


def _lab(name: str, node_count: int, with_prometheus: bool) -> Lab:
    known = state.load(name)
    if known is None:
        return Lab(name, state.free_slot(name), node_count, with_prometheus)
    if (known.node_count, known.with_prometheus) != (node_count, with_prometheus):
        shape = f"{known.node_count} node(s), {'with' if known.with_prometheus else 'without'} Prometheus"
        help_ = "Take it down first (`railiance lab down`), or give the new one another name (`--lab`)."
        raise Conflict("LAB_SHAPE", f"The lab {name} is there already, with {shape}.", help_)
    return known


def _begun(lab: Lab) -> bool:
    """Say whether this lab was brought up before, at least in part."""
    return Path("/sys/class/net", lab.bridge).exists() or any(state.process_states(lab).values())


def _check_ports(lab: Lab) -> None:
    ports = [lab.registry_port] + ([lab.prometheus_port] if lab.with_prometheus else [])
    ports += [INGRESS_PORT, METRICS_PORT] if lab.nodes[0].netns is None else []
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError as error:
                help_ = (
                    f"See who listens (`ss -ltnp sport = :{port}`), or use `railiance lab up --lab other`."
                )
                raise Conflict(
                    "LAB_PORT_TAKEN", f"Port {port}, which the lab needs, is taken.", help_
                ) from error


def _start(lab: Lab, progress: Progress) -> None:
    kubectl = Kubectl(lab.kubeconfig)
    state.end_strays(lab)
    with progress.step("Network and registry"):
        network.create(lab)
        registry = services.start_registry(lab)
    with progress.step("Control plane"):
        controlplane.start(lab)
    with progress.step("Images"):
        addons.push_images(registry)
    with progress.step("Nodes") as report:
        for one in lab.nodes:
            node.start(lab, one)
            report(one.number / lab.node_count, one.name)
    with progress.step("Addons"):  # while the nodes register themselves
        addons.install(lab, kubectl)
        services.start_provisioner(lab)
        wait_until(lambda: all(node_states(lab).values()), 90, "all nodes to be Ready")
    if lab.with_prometheus:
        with progress.step("Prometheus"):
            services.start_prometheus(lab)
    with progress.step("Ready?"):
        wait_until(lambda: all(addon_states(lab).values()), 120, "the addons to be ready")


def remains(lab: Lab) -> list[str]:
    """Return what is still there of a lab that was taken down; empty if it left nothing."""
    found = [f"process {pid}" for pid, _ in state.marked(lab.folder)]
    found += [f"cgroup {path}" for path in cgroups.folders(f"railiance-lab-{lab.name}-")]
    found += [f"link {one.link}" for one in lab.nodes if Path("/sys/class/net", one.link).exists()]
    found += [
        f"netns {one.netns}" for one in lab.nodes if one.netns and Path("/run/netns", one.netns).exists()
    ]
    found += [f"mount {point}" for point in mounts.below(lab.folder)]
    return found


def _require(name: str) -> Lab:
    lab = state.load(name)
    if lab is None:
        raise Usage("LAB_NONE", f"There is no lab named {name}.", "Run `railiance lab up`.")
    return lab
