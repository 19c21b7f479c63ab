"""How the API server addresses things: kinds, objects, and the ports of pods."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from railiance.domain.errors import Broken
from railiance.domain.ports import Manifest, ObjectRef


@dataclass(frozen=True, slots=True)
class KindAddress:
    """How the API server addresses one kind."""

    plural: str
    namespaced: bool


def root_path(api_version: str) -> str:
    """Return where the API server tells which kinds a version has."""
    return "/api/v1" if api_version == "v1" else f"/apis/{quote(api_version)}"


def collection_path(api_version: str, kind: KindAddress, namespace: str) -> str:
    """Return where the objects of a kind are listed."""
    space = f"/namespaces/{quote(namespace)}" if kind.namespaced and namespace else ""
    return f"{root_path(api_version)}{space}/{kind.plural}"


def object_path(ref: ObjectRef, kind: KindAddress) -> str:
    """Return where one object is read and written.

    Raises:
        Broken: The kind is namespaced, and the reference names no namespace (code `INVALID_OBJECT`).
    """
    if kind.namespaced and not ref.namespace:
        raise Broken("INVALID_OBJECT", f"{words_of(ref)} needs a namespace, and none is given.")
    return f"{collection_path(ref.api_version, kind, ref.namespace)}/{quote(ref.name, safe='')}"


def words_of(ref: ObjectRef) -> str:
    """Return kind, namespace and name, for messages."""
    return f"{ref.kind} {ref.namespace}/{ref.name}" if ref.namespace else f"{ref.kind} {ref.name}"


def asking(method: str, namespace: str, pod: str, port: int, path: str) -> str:
    """Return what a request to a pod does, for messages; without the query, which may hold secrets."""
    path = path.partition("?")[0]
    return f"{'read' if method == 'GET' else method} {path} of port {port} of pod {namespace}/{pod}"


def proxy_path(namespace: str, pod: str, port: int, path: str, *, tls: bool = False) -> str:
    """Return the path under which the API server passes a request on to a pod."""
    name = f"{'https:' if tls else ''}{quote(pod)}:{port}"
    return f"/api/v1/namespaces/{quote(namespace)}/pods/{name}/proxy/{path.lstrip('/')}"


def default_container(pod: Manifest) -> str:
    """Return the container whose log people mean when they name only the pod."""
    annotations = pod["metadata"].get("annotations") or {}
    chosen = annotations.get("kubectl.kubernetes.io/default-container")
    return str(chosen or pod["spec"]["containers"][0]["name"])
