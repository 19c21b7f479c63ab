"""What a cluster's controllers and kubelets do, at once: pods for Deployments, endpoints for Services."""

from __future__ import annotations

import hashlib
from typing import Any

from railiance.domain.canonical import canonical_json
from railiance.domain.ports import Manifest, ObjectRef
from tests.fake_cluster import FakeCluster

_OURS = "fake.railiance.dev/owner"


class FakeControllers:
    """Keeps pods and EndpointSlices of a FakeCluster in step with its Deployments, StatefulSets and Services.

    Attributes:
        never_ready: Names of Deployments whose pods run and never become ready.
        cannot_pull: Image references (or parts of them) that no registry has.
        frozen: While true, nothing moves.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self.never_ready: set[str] = set()
        self.cannot_pull: set[str] = set()
        self.frozen = False
        self._cluster = cluster
        cluster.after_write.append(self.reconcile)

    def reconcile(self) -> None:
        """Bring pods, their owners' status and the endpoints up to date."""
        if self.frozen:
            return
        wanted: dict[ObjectRef, Manifest] = {}
        for kind in ("Deployment", "StatefulSet"):
            for owner in self._cluster.objects(kind):
                pods = [self._pod(owner, number) for number in range(int(owner["spec"].get("replicas", 1)))]
                wanted |= {_ref(pod): pod for pod in pods}
                owner["status"] = _workload_status(owner, pods)
        self._keep_only("Pod", wanted)
        slices = [self._slice(service) for service in self._cluster.objects("Service") if _selector(service)]
        self._keep_only("EndpointSlice", {_ref(piece): piece for piece in slices})

    def _keep_only(self, kind: str, wanted: dict[ObjectRef, Manifest]) -> None:
        ours = {
            _ref(m): m
            for m in self._cluster.objects(kind)
            if _OURS in (m["metadata"].get("annotations") or {})
        }
        for ref in ours.keys() - wanted.keys():
            self._cluster.drop(ref)
        for ref, manifest in wanted.items():
            # A pod that runs stays the same pod, with its start time; only a new one, or a new state, is written.
            if ref not in ours or _state(ours[ref]) != _state(manifest):
                self._cluster.put(manifest)

    def _pod(self, owner: Manifest, number: int) -> Manifest:
        meta, template = owner["metadata"], owner["spec"]["template"]
        digest = hashlib.sha256(canonical_json(template)).hexdigest()[:8]
        labels = {**(template["metadata"].get("labels") or {}), "pod-template-hash": digest}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{meta['name']}-{digest}-{number}",
                "namespace": meta["namespace"],
                "labels": labels,
                "annotations": {**(template["metadata"].get("annotations") or {}), _OURS: meta["name"]},
                "ownerReferences": [{"kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}],
            },
            "spec": template["spec"],
            "status": self._pod_status(
                owner, template["spec"]["containers"], f"10.0.{len(meta['name'])}.{number + 1}"
            ),
        }

    def _pod_status(self, owner: Manifest, containers: list[Manifest], address: str) -> Manifest:
        clock = self._cluster.clock
        now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ") if clock else "2026-01-01T00:00:00Z"
        missing = [c for c in containers if any(part in c["image"] for part in self.cannot_pull)]
        ready = not missing and owner["metadata"]["name"] not in self.never_ready
        running: Any = (
            {"waiting": {"reason": "ImagePullBackOff"}} if missing else {"running": {"startedAt": now}}
        )
        return {
            "phase": "Pending" if missing else "Running",
            "podIP": address,
            "startTime": now,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": now}],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "" if missing else _image_id(container["image"]),
                    "ready": ready,
                    "restartCount": 0,
                    "state": running,
                }
                for container in containers
            ],
        }

    def _slice(self, service: Manifest) -> Manifest:
        meta, selector = service["metadata"], _selector(service)
        pods = [
            pod
            for pod in self._cluster.objects("Pod")
            if pod["metadata"]["namespace"] == meta["namespace"]
            and selector.items() <= (pod["metadata"].get("labels") or {}).items()
        ]
        ports = service["spec"].get("ports") or []
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{meta['name']}-fake",
                "namespace": meta["namespace"],
                "labels": {"kubernetes.io/service-name": meta["name"]},
                "annotations": {_OURS: meta["name"]},
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [pod["status"]["podIP"]],
                    "conditions": {"ready": _ready(pod), "serving": _ready(pod), "terminating": False},
                    "targetRef": {
                        "kind": "Pod",
                        "name": pod["metadata"]["name"],
                        "namespace": meta["namespace"],
                    },
                }
                for pod in pods
            ],
            "ports": [{"name": p.get("name", ""), "port": _port_number(p, pods)} for p in ports],
        }


def _port_number(port: Manifest, pods: list[Manifest]) -> int:
    """Return the number of a Service's target port, which may be a name that its pods give it."""
    target = port.get("targetPort", port["port"])
    named = {
        declared.get("name"): declared["containerPort"]
        for pod in pods
        for container in pod["spec"]["containers"]
        for declared in container.get("ports") or []
    }
    return int(named.get(target, port["port"])) if isinstance(target, str) else int(target)


def _workload_status(owner: Manifest, pods: list[Manifest]) -> Manifest:
    ready = sum(_ready(pod) for pod in pods)
    return {
        "observedGeneration": owner["metadata"]["generation"],
        "replicas": len(pods),
        "updatedReplicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }


def _ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _image_id(image: str) -> str:
    if "@sha256:" in image:
        return image
    return f"{image.rpartition(':')[0] or image}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def _selector(service: Manifest) -> dict[str, str]:
    return (service.get("spec") or {}).get("selector") or {}


def _state(manifest: Manifest) -> Any:
    """Return what makes an object another one: everything but moments."""
    if manifest["kind"] != "Pod":
        return manifest.get("endpoints")
    statuses = manifest["status"]["containerStatuses"]
    return (manifest["spec"], manifest["status"]["phase"], [(s["ready"], list(s["state"])) for s in statuses])


def _ref(manifest: Manifest) -> ObjectRef:
    meta = manifest["metadata"]
    return ObjectRef(manifest["apiVersion"], manifest["kind"], meta["namespace"], meta["name"])
