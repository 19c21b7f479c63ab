"""Small things that all who keep objects in a cluster need."""

from __future__ import annotations

from railiance.domain.errors import Broken, Conflict
from railiance.domain.ports import Cluster, Manifest, ObjectRef

MANAGED_BY = {"app.kubernetes.io/managed-by": "railiance"}


def reference(manifest: Manifest) -> ObjectRef:
    """Return the address of the object that a manifest describes.

    Raises:
        Broken: It names no apiVersion, kind or name (code `INVALID_OBJECT`).
    """
    metadata = manifest.get("metadata") or {}
    api_version, kind, name = manifest.get("apiVersion"), manifest.get("kind"), metadata.get("name")
    if not (api_version and kind and name):
        message = (
            f"A manifest needs apiVersion, kind and metadata.name; this one has kind {kind}, name {name}."
        )
        raise Broken("INVALID_OBJECT", message)
    return ObjectRef(str(api_version), str(kind), str(metadata.get("namespace") or ""), str(name))


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
