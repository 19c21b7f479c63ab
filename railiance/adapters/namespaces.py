"""Creating an object together with the namespace it belongs to."""

from __future__ import annotations

from railiance.domain.errors import Conflict
from railiance.domain.ports import Cluster, Manifest

MANAGED_BY = {"app.kubernetes.io/managed-by": "railiance"}


def create_in_namespace(cluster: Cluster, manifest: Manifest) -> Manifest:
    """Create an object, and before it the namespace where that is missing.

    Two writers may do so at once: a namespace that appeared in between is as good as our own.

    Raises:
        Conflict: The object is already there (code `ALREADY_EXISTS`).
    """
    try:
        return cluster.create(manifest)
    except Conflict as error:
        if error.code != "NAMESPACE_MISSING":
            raise
    _create_namespace(cluster, manifest["metadata"]["namespace"])
    return cluster.create(manifest)


def _create_namespace(cluster: Cluster, name: str) -> None:
    metadata = {"name": name, "labels": dict(MANAGED_BY)}
    try:
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    except Conflict as error:
        if error.code != "ALREADY_EXISTS":
            raise
