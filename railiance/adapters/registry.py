"""Image registries: is a manifest there? Asked over their HTTP interface (OCI distribution)."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote

import requests

_TIMEOUT = (3.0, 5.0)  # seconds to connect, and to answer
_KINDS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_PLAIN_NAMES = (".lab", ".localhost")


def manifest_exists(repository: str, digest: str) -> bool | None:
    """Ask a registry whether it has a manifest.

    No credentials are sent: a registry that wants some cannot be asked from here.

    Args:
        repository: Image without tag, such as `registry.example/team/app`; a name without a host
            means what the nodes are set to, which cannot be known from here.
        digest: `sha256:` and 64 hexadecimal digits.

    Returns:
        True or False as the registry says; None when it cannot be told: it is unreachable, wants credentials,
        or answers neither yes nor no.
    """
    host, path = split_repository(repository)
    if not host:
        return None
    scheme = "http" if _is_plain(host) else "https"
    url = f"{scheme}://{host}/v2/{quote(path)}/manifests/{digest}"
    try:
        with requests.Session() as session:
            session.trust_env = False  # a .netrc would send credentials nobody asked for
            answer = session.head(url, headers={"Accept": _KINDS}, timeout=_TIMEOUT, allow_redirects=True)
    except (requests.RequestException, OSError, ValueError):
        return None
    if answer.status_code == requests.codes.ok:
        return True
    return False if answer.status_code == requests.codes.not_found and _is_registry(answer) else None


def split_repository(repository: str) -> tuple[str, str]:
    """Return host (with port; empty when the name has none) and path of an image repository."""
    first, slash, rest = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "", repository


def _is_registry(answer: requests.Response) -> bool:
    """Tell a registry's no from the 404 of whatever else answers there."""
    return "Docker-Distribution-Api-Version" in answer.headers or "json" in answer.headers.get(
        "Content-Type", ""
    )


def _is_plain(host: str) -> bool:
    """Tell whether a registry speaks HTTP without TLS: on this machine's loopback, or a lab's."""
    name = host.rpartition(":")[0] if ":" in host else host
    if name == "localhost" or name.endswith(_PLAIN_NAMES):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
