"""Where a request from this machine reaches the gateway."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from urllib.parse import urlsplit

from railiance.domain.errors import Usage
from railiance.domain.ports import ClusterReader, Manifest

VARIABLE = "RAILIANCE_INGRESS_URL"
ANNOTATION = "railiance.dev/ingress-url"
GATEWAY_LABEL = "app.kubernetes.io/name=traefik"
_ENTRY_POINT = "web"
_HTTP = 80


def ingress_url(cluster: ClusterReader) -> str | None:
    """Return the URL, without a path, that leads to the gateway; None when nobody can tell.

    The first that speaks wins: `$RAILIANCE_INGRESS_URL`; the annotation `railiance.dev/ingress-url` of a
    ready gateway pod; the load balancer's address of the gateway's Service; a gateway pod in its node's
    own network.

    Args:
        cluster: Where the gateway runs.

    Raises:
        Usage: `$RAILIANCE_INGRESS_URL` is no http URL (code `INGRESS_URL`).
        Unavailable: The API server does not answer.
    """
    if named := os.environ.get(VARIABLE):
        parts = urlsplit(named)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Usage("INGRESS_URL", f"${VARIABLE} is no http(s) URL.", "Write e.g. http://127.0.0.1:8080.")
        return named.rstrip("/")
    pods = [pod for pod in cluster.list_objects("v1", "Pod", None, GATEWAY_LABEL) if _is_ready(pod)]
    for pod in pods:
        if annotated := (pod["metadata"].get("annotations") or {}).get(ANNOTATION):
            return str(annotated).rstrip("/")
    services = cluster.list_objects("v1", "Service", None, GATEWAY_LABEL)
    return next(chain(_balanced(services), _on_nodes(pods)), None)


def _balanced(services: list[Manifest]) -> Iterator[str]:
    """Yield the addresses that load balancers gave to the gateway's Services."""
    for service in services:
        ports = [
            int(entry["port"])
            for entry in service["spec"].get("ports") or ()
            if entry.get("name") == _ENTRY_POINT or entry.get("port") == _HTTP
        ]
        balancer = (service.get("status") or {}).get("loadBalancer") or {}
        for entry in balancer.get("ingress") or ():
            address = entry.get("ip") or entry.get("hostname")
            if address and ports:
                yield _url(address, ports[0])


def _on_nodes(pods: list[Manifest]) -> Iterator[str]:
    """Yield the addresses of gateway pods that share their node's network, or have a port of it."""
    for pod in pods:
        address = (pod.get("status") or {}).get("hostIP")
        in_node = bool(pod["spec"].get("hostNetwork"))
        for container in pod["spec"]["containers"]:
            for entry in container.get("ports") or ():
                port = entry.get("hostPort") or (entry["containerPort"] if in_node else None)
                if address and port and entry.get("name") == _ENTRY_POINT:
                    yield _url(address, int(port))


def _url(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}" if port == _HTTP else f"http://{host}:{port}"


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")
