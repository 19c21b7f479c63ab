"""The control plane as processes of this machine: etcd, API server, controller manager, scheduler."""

from __future__ import annotations

from pathlib import Path

import requests

from railiance.lab import certs
from railiance.lab.layout import API_PORT, ETCD_PEER_PORT, ETCD_PORT, Lab, tool_path
from railiance.lab.state import ensure_process, write_atomically
from railiance.lab.waiting import wait_until


def start(lab: Lab) -> None:
    """Have the control plane running and answering, and the administrator's kubeconfig written."""
    _write_kubeconfig(lab, lab.kubeconfig, certs.issue(lab, "admin", "railiance-lab-admin", "system:masters"))
    ensure_process(lab, "etcd", _etcd(lab))
    ensure_process(lab, "kube-apiserver", _api_server(lab))
    wait_until(
        lambda: api_ready(lab), 60, "the API server to be ready", lab.folder / "logs" / "kube-apiserver.log"
    )
    ensure_process(lab, "kube-controller-manager", _controller_manager(lab))
    ensure_process(lab, "kube-scheduler", _scheduler(lab))


def api_ready(lab: Lab) -> bool:
    """Say whether the API server calls itself ready."""
    user = certs.issue(lab, "admin", "railiance-lab-admin", "system:masters")
    try:
        answer = requests.get(
            f"{lab.api_url}/readyz",
            cert=(str(user.certificate), str(user.key)),
            verify=str(certs.authority(lab).certificate),
            timeout=2,
        )
    except requests.RequestException:
        return False  # it is not there yet: the caller asks again, up to its deadline
    return answer.ok


def component_kubeconfig(lab: Lab, component: str, user: str, group: str | None = None) -> Path:
    """Return a kubeconfig for a part of the lab, written on first use."""
    path = lab.folder / "kubeconfigs" / component
    _write_kubeconfig(lab, path, certs.issue(lab, component, user, group))
    return path


def _write_kubeconfig(lab: Lab, path: Path, user: certs.Pair) -> None:
    if not path.exists():
        write_atomically(path, certs.kubeconfig(lab, user), mode=0o600)


def _etcd(lab: Lab) -> list[str]:
    client, peer = f"http://{lab.loopback}:{ETCD_PORT}", f"http://{lab.loopback}:{ETCD_PEER_PORT}"
    return [
        "etcd",
        f"--data-dir={lab.folder / 'etcd'}",
        "--name=lab",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
        "--unsafe-no-fsync",  # a lab's data need not survive a power cut
        "--logger=zap",
    ]


def _api_server(lab: Lab) -> list[str]:
    names = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    hosts = (lab.host_address, "127.0.0.1", lab.api_service_address, "localhost", *names)
    serving = certs.issue(lab, "kube-apiserver", "kube-apiserver", hosts=hosts)
    to_kubelet = certs.issue(lab, "apiserver-kubelet", "apiserver-kubelet", "system:masters")
    accounts = certs.signing_key(lab)
    return [
        str(tool_path("kube-apiserver")),
        f"--etcd-servers=http://{lab.loopback}:{ETCD_PORT}",
        f"--bind-address={lab.host_address}",
        f"--advertise-address={lab.host_address}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={lab.service_range}",
        f"--client-ca-file={certs.authority(lab).certificate}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--kubelet-certificate-authority={certs.authority(lab).certificate}",
        f"--kubelet-client-certificate={to_kubelet.certificate}",
        f"--kubelet-client-key={to_kubelet.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={accounts.certificate}",
        f"--service-account-signing-key-file={accounts.key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    ]


def _controller_manager(lab: Lab) -> list[str]:
    kubeconfig = component_kubeconfig(lab, "kube-controller-manager", "system:kube-controller-manager")
    ca = certs.authority(lab)
    return [
        str(tool_path("kube-controller-manager")),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={lab.loopback}",
        "--leader-elect=false",  # there is only one, and waiting for a lost lease costs 15 s at each start
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={certs.signing_key(lab).key}",
        f"--root-ca-file={ca.certificate}",
        f"--cluster-signing-cert-file={ca.certificate}",
        f"--cluster-signing-key-file={ca.key}",
    ]


def _scheduler(lab: Lab) -> list[str]:
    kubeconfig = component_kubeconfig(lab, "kube-scheduler", "system:kube-scheduler")
    return [
        str(tool_path("kube-scheduler")),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={lab.loopback}",
        "--leader-elect=false",
    ]
