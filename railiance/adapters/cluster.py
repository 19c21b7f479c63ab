"""The API server. Authentication, TLS and connections come from the `kubernetes` package (kube_access.py).

The requests are ours, so that each has a time limit, none is repeated behind the caller's back, and every
answer is sorted into our own errors (answers.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import urllib3

from railiance.adapters.answers import (
    PROXY_REFUSALS,
    Answer,
    Refusal,
    error_of,
    forbidden,
    pod_unreachable,
    unreachable,
)
from railiance.adapters.api_paths import (
    KindAddress,
    asking,
    collection_path,
    default_container,
    object_path,
    proxy_path,
    root_path,
    words_of,
)
from railiance.adapters.kube_access import KubeAccess
from railiance.adapters.objects import reference
from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.ports import ClusterInfo, Manifest, ObjectRef, ProxyAnswer

FIELD_MANAGER = "railiance"
CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 10.0
_JSON = "application/json"
_PAGE = 500
_LOG_BYTES = 1 << 20


class KubeCluster:
    """One cluster, as one set of credentials sees it. It may be used from several threads at once.

    Args:
        access: Host, connections and credentials.
    """

    def __init__(self, access: KubeAccess) -> None:
        self._access = access
        self._name = access.name
        self._kinds: dict[str, dict[str, KindAddress]] = {}
        self._info: ClusterInfo | None = None

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Self:
        """Read the credentials; the cluster itself is first called by the first verb.

        Args:
            kubeconfig: A kubeconfig; by default `$KUBECONFIG`, `~/.kube/config`, or the pod's own account.
            context: A context of it; by default the current one.

        Raises:
            Unavailable: There is nothing to connect with (code `NO_CLUSTER`).
            Usage: The kubeconfig is there, and cannot be used (`KUBECONFIG_INVALID`, `CONTEXT_UNKNOWN`).
        """
        return cls(KubeAccess(kubeconfig, context))

    # ----- reading

    def info(self) -> ClusterInfo:
        """Return which cluster answers; asked once, since a cluster does not change its identity."""
        if self._info is None:
            system = self.get(ObjectRef("v1", "Namespace", "", "kube-system"))
            if system is None:
                raise Broken("CLUSTER_NONSENSE", f"The cluster {self._name} has no namespace kube-system.")
            version = self._checked(self._call("GET", "/version", "read the server's version")).json()
            self._info = ClusterInfo(self._name, str(system["metadata"]["uid"]), str(version["gitVersion"]))
        return self._info

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return one object, or None when it does not exist (nor its kind)."""
        kind = self._kind(ref.api_version, ref.kind)
        if kind is None:
            return None
        answer = self._call("GET", object_path(ref, kind), f"read {words_of(ref)}")
        return None if answer.status == 404 else self._checked(answer).json()

    def list_objects(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = ""
    ) -> list[Manifest]:
        """Return the objects of one kind; `labels` is a selector; an unknown kind gives an empty list."""
        served = self._kind(api_version, kind)
        if served is None:
            return []
        path = collection_path(api_version, served, namespace or "")
        doing = f"list {kind} in {namespace or 'all namespaces'}"
        items: list[Manifest] = []
        more = ""
        while True:
            query = {"limit": _PAGE, "labelSelector": labels, "continue": more}
            answer = self._call("GET", path, doing, query=query)
            if answer.status == 410 and more:  # the server forgot where we were: what we have may be torn
                items, more = [], ""
                continue
            page = self._checked(answer).json()
            # Lists leave out what every item would repeat; callers get whole manifests.
            items += [{"apiVersion": api_version, "kind": kind, **item} for item in page.get("items") or []]
            more = (page.get("metadata") or {}).get("continue") or ""
            if not more:
                return items

    def has_kind(self, api_version: str, kind: str) -> bool:
        """Tell whether the API server serves this kind."""
        return self._kind(api_version, kind) is not None

    def proxy_get(self, namespace: str, pod: str, port: int, path: str, *, timeout: float = 5.0) -> bytes:
        """Return the body of a GET of one pod's port, through the API server.

        Args:
            namespace: The pod's namespace.
            pod: Its name.
            port: Its port, which speaks plain HTTP.
            path: The path, with a query if there is one.
            timeout: Seconds to wait for the answer.

        Raises:
            Unavailable: Nobody answered, or not with success (code `POD_UNREACHABLE`).
        """
        answer = self.proxy(namespace, pod, port, path, timeout=timeout)
        if answer.status > 299:
            # The body may be the application's own words, which are not ours to repeat.
            raise pod_unreachable(asking("GET", namespace, pod, port, path), f"status {answer.status}")
        return answer.body

    def proxy(
        self,
        namespace: str,
        pod: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        tls: bool = False,
        timeout: float = 5.0,
    ) -> ProxyAnswer:
        """Return what one pod's port answers, through the API server, whatever its status is.

        Args:
            namespace: The pod's namespace.
            pod: Its name.
            port: Its port.
            path: The path, with a query if there is one.
            method: HTTP method.
            headers: Headers for the pod.
            tls: Whether the pod speaks TLS on that port; nobody looks at its certificate.
            timeout: Seconds to wait for the answer.

        Raises:
            Unavailable: The pod could not be asked (code `POD_UNREACHABLE`), or the API server.
        """
        doing = asking(method, namespace, pod, port, path)
        url = proxy_path(namespace, pod, port, path, tls=tls)
        try:
            answer = self._call(method, url, doing, headers=headers, read_timeout=timeout)
        except Unavailable as error:
            if not isinstance(error.__cause__, urllib3.exceptions.ReadTimeoutError):
                raise
            self._call("GET", "/version", doing)  # raises when it is the API server that says nothing
            raise pod_unreachable(doing, f"no answer within {timeout:g} s") from error
        refusal = answer.refusal() if answer.status > 399 else Refusal("", "", ())
        if refusal.reason in {"Unauthorized", "Forbidden"}:
            raise forbidden(answer)
        if refusal.reason in PROXY_REFUSALS:
            raise pod_unreachable(doing, refusal.message)
        return ProxyAnswer(answer.status, answer.body)

    def pod_log(
        self,
        namespace: str,
        pod: str,
        *,
        tail: int = 200,
        previous: bool = False,
        container: str | None = None,
        since: timedelta | None = None,
    ) -> str:
        """Return the last lines of the log of one container, at most 1 MiB.

        Args:
            namespace: The pod's namespace.
            pod: Its name.
            tail: Number of lines.
            previous: The container before the last restart.
            container: Its name; by default the pod's default container.
            since: Age of the oldest line; by default any.

        Raises:
            Unavailable: There is no such pod, or no log to be had (code `LOG_UNAVAILABLE`). So an empty text
                means that nothing was written, or for `previous` that no container ran before.
        """
        doing = f"read the log of pod {namespace}/{pod}"
        found = self.get(ObjectRef("v1", "Pod", namespace, pod))
        if found is None:
            raise Unavailable("LOG_UNAVAILABLE", f"Could not {doing}: there is no such pod.")
        name = container or default_container(found)
        query: dict[str, Any] = {"tailLines": tail, "limitBytes": _LOG_BYTES, "container": name}
        if previous:
            query["previous"] = "true"
        if since is not None:
            query["sinceSeconds"] = max(1, round(since.total_seconds()))
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        answer = self._call("GET", path, doing, query=query)
        if answer.status == 400 and previous and "previous terminated container" in answer.refusal().message:
            return ""
        if answer.status in (400, 404):
            raise Unavailable("LOG_UNAVAILABLE", f"Could not {doing}: {answer.refusal().message}")
        return self._checked(answer).body.decode("utf-8", "replace")

    # ----- changing

    def apply(
        self, manifest: Manifest, *, field_manager: str, force: bool = False, dry_run: bool = False
    ) -> Manifest:
        """Apply on the server's side; a conflict of field managers is `Conflict` unless `force`."""
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        return self._write("PATCH", manifest, query, content_type="application/apply-patch+yaml")

    def create(self, manifest: Manifest) -> Manifest:
        """Create; an object that is already there is `Conflict` (code ALREADY_EXISTS)."""
        return self._write("POST", manifest, {"fieldManager": FIELD_MANAGER})

    def replace(self, manifest: Manifest) -> Manifest:
        """Replace; a `metadata.resourceVersion` that is no longer true is `Conflict` (code STALE)."""
        return self._write("PUT", manifest, {"fieldManager": FIELD_MANAGER})

    def delete(self, ref: ObjectRef) -> bool:
        """Ask for deletion, dependents first, and return at once; False when there was nothing."""
        kind = self._kind(ref.api_version, ref.kind)
        if kind is None:
            return False
        query = {"propagationPolicy": "Foreground"}
        answer = self._call("DELETE", object_path(ref, kind), f"delete {words_of(ref)}", query=query)
        if answer.status == 404:
            return False
        self._checked(answer)
        return True

    def _write(
        self, method: str, manifest: Manifest, query: Mapping[str, Any], *, content_type: str = _JSON
    ) -> Manifest:
        ref = reference(manifest)
        doing = f"{_VERBS[method]} {words_of(ref)}"
        kind = self._kind(ref.api_version, ref.kind)
        if kind is None:
            message = f"Could not {doing}: the cluster serves no {ref.api_version} {ref.kind}."
            raise Conflict("KIND_UNKNOWN", message, "Install its CustomResourceDefinition first.")
        path = object_path(ref, kind)
        if method == "POST":
            path = path.rpartition("/")[0]
        body = json.dumps(manifest, allow_nan=False).encode()
        answer = self._call(method, path, doing, query=query, body=body, content_type=content_type)
        if answer.status == 404:
            raise self._write_target_missing(method, ref, answer)
        return self._checked(answer).json()

    def _write_target_missing(self, method: str, ref: ObjectRef, answer: Answer) -> Conflict:
        """Tell a missing namespace from an object that went away before it could be replaced."""
        space = ref.namespace
        if space and self.get(ObjectRef("v1", "Namespace", "", space)) is None:
            help_ = "Create the namespace first, or let the first deployment do it."
            message = f"Could not {answer.doing}: there is no namespace {space}."
            return Conflict("NAMESPACE_MISSING", message, help_)
        code = "STALE" if method == "PUT" else "KIND_UNKNOWN"
        return Conflict(code, f"Could not {answer.doing}: {answer.refusal().message}")

    # ----- the wire

    def _kind(self, api_version: str, kind: str) -> KindAddress | None:
        """Return how a kind is addressed; only what is served is remembered, for a CRD may come later."""
        known = self._kinds.get(api_version, {}).get(kind)
        if known is not None:
            return known
        answer = self._call("GET", root_path(api_version), f"read which kinds {api_version} has")
        if answer.status == 404:
            return None
        resources = self._checked(answer).json().get("resources") or []
        whole = [entry for entry in resources if "/" not in entry["name"]]
        kinds = {entry["kind"]: KindAddress(entry["name"], bool(entry["namespaced"])) for entry in whole}
        self._kinds[api_version] = kinds
        return kinds.get(kind)

    def _checked(self, answer: Answer) -> Answer:
        if answer.status <= 299:
            return answer
        raise error_of(answer, self._name)

    def _call(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        content_type: str = _JSON,
        headers: Mapping[str, str] | None = None,
        read_timeout: float | None = None,
    ) -> Answer:
        """Send one request, once."""
        sent = {"Accept": "application/json, */*", "User-Agent": FIELD_MANAGER}
        sent |= {**(headers or {}), **self._access.credentials()}
        if body is not None:
            sent["Content-Type"] = content_type
        given = {key: value for key, value in (query or {}).items() if value != ""}
        url = self._access.host + path + (f"?{urlencode(given)}" if given else "")
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=read_timeout or READ_TIMEOUT)
        pool = self._access.pool
        try:
            response = pool.request(method, url, body=body, headers=sent, timeout=timeout, redirect=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(doing, self._name, self._access.host, error) from error
        return Answer(response.status, response.data, doing)


_VERBS = {"PATCH": "apply", "POST": "create", "PUT": "replace"}
