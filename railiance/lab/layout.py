"""Where a lab keeps its things, and which addresses and ports are its own.

Everything lives below one cache folder, `${XDG_CACHE_HOME:-~/.cache}/railiance/lab`:

    bin/TOOL              link to the newest build of a tool; stays the same for those who only want the tool
    builds/NAME-VERSION/  what was built, never changed once it is there
    instances/NAME/       one lab: record, certificates, processes, logs, nodes, volumes

Several labs stand side by side. Each has a slot, 0 to 9, from which its addresses follow, so that no two
meet. Slot 0 is the default lab, whose first node lives in the machine's own network; all other nodes live in
network namespaces of their own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_NAME = "railiance"
SLOTS = 10

API_PORT = 26443
INGRESS_PORT = 26080
METRICS_PORT = 9100  # where Traefik shows its counters on the first node
PROMETHEUS_PORT = 26090  # + slot, as it is reached over the loopback that all labs share
REGISTRY_PORT = 26500  # + slot
ETCD_PORT = 26379
ETCD_PEER_PORT = 26380


def cache_root() -> Path:
    """Return the folder of everything the lab keeps on this machine."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "railiance" / "lab"


def tool_path(name: str) -> Path:
    """Return where a built tool (`helm`, `kubectl`, ...) is found, whether or not it is built yet."""
    return cache_root() / "bin" / name


def instances_root() -> Path:
    """Return the folder with one folder a lab."""
    return cache_root() / "instances"


def default_name() -> str:
    """Return the name of the lab that is meant when none is given: `RAILIANCE_LAB`, else `railiance`."""
    return os.environ.get("RAILIANCE_LAB") or DEFAULT_NAME


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a lab.

    Attributes:
        name: Its name in Kubernetes.
        number: 1 for the first.
        address: Its address in the lab's network.
        pod_range: The addresses of its pods.
        netns: Its network namespace, or None if it lives in the machine's own.
        folder: Where it keeps containers, sockets and configuration.
    """

    name: str
    number: int
    address: str
    pod_range: str
    netns: str | None
    folder: Path

    @property
    def cgroup(self) -> str:
        """The control group, below each controller's root, that holds all of its pods."""
        return f"railiance-lab-{self.name}"

    @property
    def socket(self) -> Path:
        """The socket on which its containerd answers."""
        return self.folder / "containerd.sock"

    @property
    def link(self) -> str:
        """The end, on the machine's side, of the cable to its network namespace."""
        return f"{self.netns}h"


@dataclass(frozen=True, slots=True)
class Lab:
    """The fixed facts of one lab: its name and slot, and what follows from them."""

    name: str
    slot: int
    node_count: int
    with_prometheus: bool = True
    provider: str = "native"

    @property
    def folder(self) -> Path:
        """The folder of this lab's state."""
        return instances_root() / self.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def bridge(self) -> str:
        """The bridge that joins the nodes."""
        return f"rl{self.slot}"

    @property
    def table(self) -> str:
        """The nftables table (family inet) of this lab."""
        return f"railiance-lab-{self.slot}"

    @property
    def node_range(self) -> str:
        """The addresses of the machine and the nodes."""
        return f"10.213.{self.slot}.0/24"

    @property
    def pod_range(self) -> str:
        """The addresses of all pods."""
        return f"10.{220 + self.slot}.0.0/16"

    @property
    def service_range(self) -> str:
        """The addresses of all Services."""
        return f"10.{230 + self.slot}.0.0/16"

    @property
    def dns_address(self) -> str:
        """The address of the cluster's name server."""
        return f"10.{230 + self.slot}.0.10"

    @property
    def api_service_address(self) -> str:
        """The address of the Service `kubernetes`."""
        return f"10.{230 + self.slot}.0.1"

    @property
    def host_address(self) -> str:
        """The machine's address on the lab's bridge: what nodes and pods use to reach it."""
        return f"10.213.{self.slot}.1"

    @property
    def loopback(self) -> str:
        """A loopback address of this lab alone, for parts that nothing outside of the machine may reach."""
        return f"127.213.{self.slot}.1"

    @property
    def api_url(self) -> str:
        """The API server."""
        return f"https://{self.host_address}:{API_PORT}"

    @property
    def ingress_url(self) -> str:
        """Traefik's HTTP port, as this machine reaches it."""
        address = self.nodes[0].address if self.nodes[0].netns else "127.0.0.1"
        return f"http://{address}:{INGRESS_PORT}"

    @property
    def registry_port(self) -> int:
        """The registry's port on this machine."""
        return REGISTRY_PORT + self.slot

    @property
    def registry(self) -> str:
        """The registry as `host:port`; machine and nodes know it by this one name."""
        return f"127.0.0.1:{self.registry_port}"

    @property
    def prometheus_port(self) -> int:
        """Prometheus' port on this machine."""
        return PROMETHEUS_PORT + self.slot

    @property
    def prometheus_url(self) -> str | None:
        """Prometheus, as this machine reaches it; None in a lab without it."""
        return f"http://127.0.0.1:{self.prometheus_port}" if self.with_prometheus else None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, first one first."""
        return tuple(self._node(number) for number in range(1, self.node_count + 1))

    def _node(self, number: int) -> Node:
        on_machine = number == 1 and self.slot == 0
        name = f"{self.name}-{number}"
        return Node(
            name=name,
            number=number,
            address=self.host_address if on_machine else f"10.213.{self.slot}.{10 + number}",
            pod_range=f"10.{220 + self.slot}.{number}.0/24",
            netns=None if on_machine else f"{self.bridge}n{number}",
            folder=self.folder / f"node{number}",
        )
