"""The lab's network: a bridge between the nodes, a namespace a node, but for the default lab's first.

    machine ── bridge rlS (10.213.S.1) ──┬── rlSn2 (10.213.S.12)
                                         └── rlSn3 (10.213.S.13)

Pods are wired one by one (the `ptp` plugin), so all their traffic is routed and seen by kube-proxy's rules;
nodes know each other's pod ranges by plain routes.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from railiance.adapters import process
from railiance.domain.errors import Conflict
from railiance.lab import mounts
from railiance.lab.layout import INGRESS_PORT, METRICS_PORT, Lab, Node
from railiance.lab.state import write_atomically

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def check_ranges(lab: Lab) -> None:
    """Make sure that nobody else on this machine uses the lab's addresses.

    Raises:
        Conflict: A route of somebody else overlaps (`LAB_NETWORK_TAKEN`).
    """
    ours = [ipaddress.ip_network(text) for text in (lab.node_range, lab.pod_range, lab.service_range)]
    for route in json.loads(_ip("-j", "route") or "[]"):
        if route["dst"] == "default" or route.get("dev") == lab.bridge:
            continue
        theirs = ipaddress.ip_network(route["dst"], strict=False)
        if any(theirs.overlaps(network) for network in ours) and not route.get("dev", "").startswith("veth"):
            message = f"The lab's addresses overlap with the route {route['dst']} of {route['dev']}."
            raise Conflict("LAB_NETWORK_TAKEN", message, "Use another lab: `railiance lab up --lab other`.")


def create(lab: Lab) -> None:
    """Make bridge, namespaces, routes and address translation; what is there already stays."""
    if not _link_exists(lab.bridge):
        _ip("link", "add", lab.bridge, "type", "bridge")
    _ip("addr", "replace", f"{lab.host_address}/24", "dev", lab.bridge)
    _ip("link", "set", lab.bridge, "up")
    _remember_forwarding(lab)
    _FORWARD.write_text("1")
    for node in lab.nodes:
        if node.netns:
            _create_namespace(lab, node, node.netns)
            _ip("route", "replace", node.pod_range, "via", node.address)
        else:
            _ip("route", "replace", lab.service_range, "dev", lab.bridge)
    for node in lab.nodes:
        for other in lab.nodes:
            if node.netns and other is not node:
                _ip("-n", node.netns, "route", "replace", other.pod_range, "via", other.address)
    _load_table(lab)


def remove(lab: Lab) -> None:
    """Take away everything that `create` made, and what kube-proxy left in the machine's own network."""
    for node in lab.nodes:
        if node.netns:
            if _link_exists(node.link):
                _ip("link", "delete", node.link)
            if Path("/run/netns", node.netns).exists():
                _ip("netns", "delete", node.netns)
        else:
            for family in ("ip", "ip6"):
                _delete_table(family, "kube-proxy")
    if _link_exists(lab.bridge):
        _ip("link", "delete", lab.bridge)
    _delete_table("inet", lab.table)
    _restore_forwarding(lab)
    _drop_empty_netns_folder()


def _drop_empty_netns_folder() -> None:
    """Take away the mount that the first `ip netns add` makes of /run/netns, if nobody uses it any more."""
    folder = Path("/run/netns")
    if folder.is_dir() and not any(folder.iterdir()):
        mounts.unmount(folder)
        folder.rmdir()


def _create_namespace(lab: Lab, node: Node, netns: str) -> None:
    if not Path("/run/netns", netns).exists():
        _ip("netns", "add", netns)
    if not _link_exists(node.link):
        _ip("link", "add", node.link, "type", "veth", "peer", "name", "eth0", "netns", netns)
    _ip("link", "set", node.link, "master", lab.bridge, "up")
    _ip("-n", netns, "addr", "replace", f"{node.address}/24", "dev", "eth0")
    _ip("-n", netns, "link", "set", "lo", "up")
    _ip("-n", netns, "link", "set", "eth0", "up")
    _ip("-n", netns, "route", "replace", "default", "via", lab.host_address)
    # /proc/sys/net shows the namespace of whoever opens it.
    process.run(["nsenter", f"--net=/run/netns/{netns}", "--", "sh", "-c", f"echo 1 > {_FORWARD}"])


def _load_table(lab: Lab) -> None:
    """Let pods reach the outside under the machine's address, and keep the outside off the lab's ports."""
    inside = f"{{ 127.0.0.0/8, {lab.node_range}, {lab.pod_range}, {lab.service_range} }}"
    ports = f"{{ {INGRESS_PORT}, {METRICS_PORT}, {lab.prometheus_port}, {lab.registry_port} }}"
    own_ports = ports if lab.slot == 0 else f"{{ {lab.prometheus_port}, {lab.registry_port} }}"
    rules = f"""table inet {lab.table}
delete table inet {lab.table}
table inet {lab.table} {{
  chain outgoing {{
    type nat hook postrouting priority srcnat;
    ip saddr {{ {lab.node_range}, {lab.pod_range} }} ip daddr != {inside} masquerade
  }}
  chain incoming {{
    type filter hook input priority filter;
    iif "lo" accept
    meta nfproto ipv4 ip saddr {inside} accept
    tcp dport {own_ports} drop
  }}
}}
"""
    process.run(["nft", "-f", "-"], stdin=rules)


def _delete_table(family: str, name: str) -> None:
    listed = process.run(["nft", "-j", "list", "tables"]).stdout
    tables = [entry["table"] for entry in json.loads(listed)["nftables"] if "table" in entry]
    if any(table["family"] == family and table["name"] == name for table in tables):
        process.run(["nft", "delete", "table", family, name])


def _remember_forwarding(lab: Lab) -> None:
    note = lab.folder / "ip_forward.before"
    if not note.exists():
        write_atomically(note, _FORWARD.read_text())


def _restore_forwarding(lab: Lab) -> None:
    note = lab.folder / "ip_forward.before"
    if note.exists() and note.read_text().strip() == "0":
        _FORWARD.write_text("0")


def _link_exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _ip(*arguments: str) -> str:
    return process.run(["ip", *arguments]).stdout
