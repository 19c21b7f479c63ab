"""One node: containerd, kubelet and kube-proxy, as processes in the node's network."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

from railiance.adapters import process
from railiance.domain.errors import RailianceError
from railiance.lab import certs, cgroups
from railiance.lab.controlplane import component_kubeconfig
from railiance.lab.layout import Lab, Node, tool_path
from railiance.lab.state import end_process, ensure_process, process_states, write_atomically
from railiance.lab.waiting import wait_until

PAUSE_IMAGE = "railiance-lab/pause:1"
_CNI_PLUGINS = "/usr/lib/cni"
_CNI_CACHE = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")


def start(lab: Lab, node: Node) -> None:
    """Have the node's processes running; Kubernetes sees it as Ready a few seconds later."""
    cgroups.create(node.cgroup)
    for file, text in _files(lab, node).items():
        write_atomically(node.folder / file, text)
    containerd = _process_name(node, "containerd")
    ensure_process(
        lab, containerd, ["containerd", f"--config={node.folder / 'containerd.toml'}"], netns=node.netns
    )
    wait_until(lambda: _containerd_answers(node), 30, f"containerd of {node.name}", _log(lab, containerd))
    ensure_process(lab, _process_name(node, "kubelet"), _kubelet(lab, node), netns=node.netns)
    ensure_process(lab, _process_name(node, "kube-proxy"), _proxy(node), netns=node.netns)


def stop(lab: Lab, node: Node) -> None:
    """End the node and everything that ran on it, and leave no trace outside of its folder."""
    for name in ("kubelet", "kube-proxy"):
        end_process(lab, _process_name(node, name))
    if process_states(lab).get(_process_name(node, "containerd")):
        _delete_containers(node)
    cgroups.remove(node.cgroup)
    end_process(lab, _process_name(node, "containerd"))
    _remove_traces(node)


def _delete_containers(node: Node) -> None:
    """Let containerd end its tasks itself, so that its shims leave too; whatever resists is ended later."""
    with suppress(RailianceError):
        tasks = _ctr(node, "tasks", "list", "-q").split()
        if tasks:
            _ctr(node, "tasks", "delete", "--force", *tasks)


def _remove_traces(node: Node) -> None:
    if _LOG_LINKS.is_dir():
        for link in _LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(node.folder):
                link.unlink()
    if _CNI_CACHE.is_dir():
        for result in _CNI_CACHE.glob(f"{_network_name(node)}-*"):
            result.unlink()
    if not _CNI_CACHE.is_dir() or not any(_CNI_CACHE.iterdir()):
        shutil.rmtree(_CNI_CACHE.parent, ignore_errors=True)


def _ctr(node: Node, *arguments: str) -> str:
    argv = ["ctr", "--address", str(node.socket), "--namespace", "k8s.io", *arguments]
    return process.run(argv, timeout=30).stdout


def _containerd_answers(node: Node) -> bool:
    try:
        _ctr(node, "version")
    except RailianceError:
        return False  # not yet: the caller asks again, up to its deadline
    return True


def _process_name(node: Node, part: str) -> str:
    return f"node{node.number}-{part}"


def _network_name(node: Node) -> str:
    return f"railiance-lab-{node.name}"


def _log(lab: Lab, name: str) -> Path:
    return lab.folder / "logs" / f"{name}.log"


def _kubelet(lab: Lab, node: Node) -> list[str]:
    kubeconfig = component_kubeconfig(
        lab, f"kubelet-{node.number}", f"system:node:{node.name}", "system:nodes"
    )
    return [
        str(tool_path("kubelet")),
        f"--config={node.folder / 'kubelet.json'}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={node.folder / 'kubelet'}",
        f"--cert-dir={node.folder / 'kubelet-pki'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    ]


def _proxy(node: Node) -> list[str]:
    return [str(tool_path("kube-proxy")), f"--config={node.folder / 'kube-proxy.json'}"]


def _files(lab: Lab, node: Node) -> dict[str, str]:
    return {
        "containerd.toml": _containerd_config(lab, node),
        "cni/10-lab.conflist": json.dumps(_cni_config(node), indent=1),
        # The registry has one name everywhere; a node that is not on the machine's own network finds it here.
        f"registries/{lab.registry}/hosts.toml": f"""server = "http://{lab.registry}"
[host."http://{lab.host_address}:{lab.registry_port}"]
  capabilities = ["pull", "resolve"]
""",
        "kubelet.json": json.dumps(_kubelet_config(lab, node), indent=1),
        "kube-proxy.json": json.dumps(_proxy_config(lab, node), indent=1),
    }


def _containerd_config(lab: Lab, node: Node) -> str:
    return f"""version = 2
root = "{node.folder}/containerd"
state = "{node.folder}/containerd-state"
[grpc]
  address = "{node.socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{node.folder}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{lab.registry}/{PAUSE_IMAGE}"
  restrict_oom_score_adj = true       # some machines withhold CAP_SYS_RESOURCE
  netns_mounts_under_state_dir = true # /run/netns may become a mount of its own, over the pods' mounts
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_CNI_PLUGINS}"
    conf_dir = "{node.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{node.folder}/registries"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _cni_config(node: Node) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": node.pod_range}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(node.folder / "cni-addresses"),
    }
    return {
        "cniVersion": "0.4.0",
        "name": _network_name(node),
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}],
    }


def _kubelet_config(lab: Lab, node: Node) -> dict[str, object]:
    serving = certs.issue(lab, f"kubelet-serving-{node.number}", node.name, hosts=(node.name, node.address))
    resolver = Path("/run/systemd/resolve/resolv.conf")  # the usual one names a resolver on loopback there
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "healthzBindAddress": node.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certs.authority(lab).certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failSwapOn": False,
        "clusterDNS": [lab.dns_address],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "podLogsDir": str(node.folder / "pod-logs"),
        "volumePluginDir": str(node.folder / "volume-plugins"),
        "resolvConf": str(resolver if resolver.exists() else "/etc/resolv.conf"),
        "makeIPTablesUtilChains": False,  # kube-proxy speaks nftables; these would be left behind
        "serializeImagePulls": False,
        # A machine with a nearly full disk still gets a lab; the lab's own images are few.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }


def _proxy_config(lab: Lab, node: Node) -> dict[str, object]:
    kubeconfig = component_kubeconfig(lab, "kube-proxy", "system:kube-proxy")
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": lab.pod_range,
        "detectLocalMode": "ClusterCIDR",
        "hostnameOverride": node.name,
        "bindAddress": node.address,
        "healthzBindAddress": f"{node.address}:10256",
        "metricsBindAddress": f"{node.address}:10249",
        "nodePortAddresses": [lab.node_range],
        "conntrack": {"maxPerCore": 0},  # the machine's limits are not the lab's to set
    }
