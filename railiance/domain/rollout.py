"""Is a track ready? Read from the objects themselves, never from Helm's word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from railiance.domain.ports import Manifest

WORKLOAD_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
SERVICE_LABEL = "kubernetes.io/service-name"
INSTANCE_LABEL = "app.kubernetes.io/instance"


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """How far one workload is: pods ready, pods wanted, and whether all of them are of the newest template."""

    kind: str
    name: str
    ready: int
    desired: int
    settled: bool

    @property
    def whole(self) -> bool:
        """Tell whether every wanted pod is ready, of the newest template, and at least one is wanted."""
        return self.settled and self.desired > 0 and self.ready >= self.desired


def workload_state(manifest: Manifest) -> WorkloadState:
    """Return how far a Deployment, StatefulSet or DaemonSet is."""
    meta, spec, status = (manifest.get(key) or {} for key in ("metadata", "spec", "status"))
    seen = int(status.get("observedGeneration") or 0) >= int(meta.get("generation") or 0)
    if manifest["kind"] == "DaemonSet":
        desired = int(status.get("desiredNumberScheduled") or 0)
        updated = int(status.get("updatedNumberScheduled") or 0)
        ready = int(status.get("numberReady") or 0)
        total = desired
    else:
        desired = int(spec.get("replicas", 1))
        updated = int(status.get("updatedReplicas") or 0)
        ready = int(status.get("readyReplicas") or 0)
        total = int(status.get("replicas") or 0)
    settled = seen and updated >= desired and total == desired
    return WorkloadState(manifest["kind"], meta["name"], ready, desired, settled)


def ready_addresses(slices: Iterable[Manifest]) -> tuple[str, ...]:
    """Return the addresses that EndpointSlices call ready, each once."""
    found: dict[str, None] = {}
    for piece in slices:
        for endpoint in piece.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            if conditions.get("ready", True) and not conditions.get("terminating", False):
                found |= dict.fromkeys(endpoint.get("addresses") or ())
    return tuple(found)


def image_digest(pod: Manifest) -> str | None:
    """Return the digest of the image that a pod's first container runs, as the kubelet reports it."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        _, found, digest = str(status.get("imageID", "")).rpartition("sha256:")
        if found:
            return f"sha256:{digest}"
    return None


def restarts(pods: Iterable[Manifest]) -> int:
    """Return how often the containers of pods were restarted."""
    return sum(
        int(status.get("restartCount") or 0)
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
    )
