"""An API server in memory. It keeps the rules our code relies on, and the contract tests hold it to them."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from railiance.adapters.objects import reference
from railiance.domain.errors import Broken, Conflict, RailianceError, Unavailable
from railiance.domain.ports import Clock, ClusterInfo, Manifest, ObjectRef, ProxyAnswer
from tests.fake_apply import Path, applied, leaves

__all__ = ["KINDS", "FakeCluster"]

CLUSTER_WIDE = {
    ("v1", "Namespace"),
    ("v1", "Node"),
    ("gateway.networking.k8s.io/v1", "GatewayClass"),
    ("storage.k8s.io/v1", "StorageClass"),
}
KINDS = CLUSTER_WIDE | {
    *(("v1", kind) for kind in ("ConfigMap", "Secret", "Service", "Pod", "ServiceAccount")),
    ("v1", "PersistentVolumeClaim"),
    *(("apps/v1", kind) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")),
    *(("batch/v1", kind) for kind in ("Job", "CronJob")),
    *(("networking.k8s.io/v1", kind) for kind in ("Ingress", "NetworkPolicy")),
    *(("traefik.io/v1alpha1", kind) for kind in ("IngressRoute", "TraefikService", "Middleware")),
    *(("gateway.networking.k8s.io/v1", kind) for kind in ("Gateway", "HTTPRoute")),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("coordination.k8s.io/v1", "Lease"),
    ("policy/v1", "PodDisruptionBudget"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
}


class FakeCluster:
    """The port `Cluster` in memory.

    Attributes:
        kinds: Which (apiVersion, kind) it serves; change it to take a CRD away.
        down: While true, every verb is `Unavailable`.
        answers: (namespace, pod, port, path) to the body or `ProxyAnswer` that `proxy` returns, an error it
            raises, or a callable that makes one.
        logs: (namespace, pod) to its log.
        before: Called with (verb, ref) before each verb, for tests that let something happen in between.
        after_write: Called after each change; controllers hang themselves in here.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        journal: list[str] | None = None,
        name: str = "fake",
        version: str = "v1.34.4",
    ) -> None:
        self.kinds = set(KINDS)
        self.down = False
        self.answers: dict[tuple[str, str, int, str], Any] = {}
        self.logs: dict[tuple[str, str], str] = {}
        self.before: Callable[[str, ObjectRef | None], None] = lambda _verb, _ref: None
        self.after_write: list[Callable[[], None]] = []
        self.clock = clock
        self._journal = journal if journal is not None else []
        self._objects: dict[ObjectRef, Manifest] = {}
        self._owners: dict[ObjectRef, dict[Path, set[str]]] = {}
        self._failures: list[tuple[str, str | None, RailianceError]] = []
        self._version = 0
        self._lock = threading.RLock()
        for space in ("default", "kube-system"):
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
        system = self._objects[ObjectRef("v1", "Namespace", "", "kube-system")]
        self._info = ClusterInfo(name, system["metadata"]["uid"], version)

    # ----- what tests do to it

    def fail(self, verb: str, error: RailianceError, *, times: int = 1, kind: str | None = None) -> None:
        """Let the next calls of a verb, for one kind or any, raise."""
        self._failures += [(verb, kind, error)] * times

    def put(self, manifest: Manifest) -> Manifest:
        """Store an object as it is, status included, past all rules, journal and controllers."""
        with self._lock:
            ref = reference(manifest)
            old = self._objects.get(ref)
            return copy.deepcopy(self._store(ref, copy.deepcopy(manifest), old))

    def drop(self, ref: ObjectRef) -> None:
        """Remove an object past all rules, journal and controllers."""
        with self._lock:
            self._objects.pop(ref, None)
            self._owners.pop(ref, None)

    def objects(self, kind: str) -> list[Manifest]:
        """Return the objects of one kind as they are stored; changing them changes the cluster."""
        return [manifest for ref, manifest in self._objects.items() if ref.kind == kind]

    # ----- the port

    def info(self) -> ClusterInfo:
        """Return which cluster this is."""
        self._enter("info", None)
        return self._info

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return one object or None."""
        with self._lock:
            self._enter("get", ref)
            return copy.deepcopy(self._objects.get(ref))

    def list_objects(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = ""
    ) -> list[Manifest]:
        """Return the objects of one kind, in the order of their addresses."""
        with self._lock:
            self._enter("list", ObjectRef(api_version, kind, namespace or "", ""))
            found = [
                (ref.namespace, ref.name, manifest)
                for ref, manifest in self._objects.items()
                if (ref.api_version, ref.kind) == (api_version, kind)
                and namespace in (None, "", ref.namespace)
                and _selected(manifest, labels)
            ]
            return [copy.deepcopy(manifest) for _, _, manifest in sorted(found, key=lambda entry: entry[:2])]

    def has_kind(self, api_version: str, kind: str) -> bool:
        """Tell whether it serves this kind."""
        self._enter("has_kind", None)
        return (api_version, kind) in self.kinds

    def proxy_get(self, namespace: str, pod: str, port: int, path: str, *, timeout: float = 5.0) -> bytes:
        """Return what `answers` holds for this pod, port and path."""
        answer = self._answer("proxy_get", namespace, pod, port, path)
        if answer.status > 299:
            raise Unavailable("POD_UNREACHABLE", f"{path} of {namespace}/{pod} answers {answer.status}.")
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
        """Return what `answers` holds for this pod, port and path; the rest of the question does not matter."""
        return self._answer("proxy", namespace, pod, port, path)

    def _answer(self, verb: str, namespace: str, pod: str, port: int, path: str) -> ProxyAnswer:
        self._enter(verb, ObjectRef("v1", "Pod", namespace, pod))
        answer = self.answers.get((namespace, pod, port, path))
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            raise Unavailable(
                "POD_UNREACHABLE", f"Nothing answers at {path} of port {port} of {namespace}/{pod}."
            )
        return answer if isinstance(answer, ProxyAnswer) else ProxyAnswer(200, bytes(answer))

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
        """Return what `logs` holds for this pod, of whatever container and age."""
        ref = ObjectRef("v1", "Pod", namespace, pod)
        self._enter("pod_log", ref)
        if ref not in self._objects:
            raise Unavailable("LOG_UNAVAILABLE", f"There is no pod {namespace}/{pod}.")
        lines = [] if previous else self.logs.get((namespace, pod), "").splitlines(keepends=True)
        return "".join(lines[-tail:])

    def apply(
        self, manifest: Manifest, *, field_manager: str, force: bool = False, dry_run: bool = False
    ) -> Manifest:
        """Apply with ownership by leaf; a list counts as one leaf."""
        with self._lock:
            ref = self._writable("apply", manifest)
            if "managedFields" in manifest["metadata"]:
                raise Broken("INVALID_OBJECT", "metadata.managedFields must be nil")
            old = self._objects.get(ref)
            owners = copy.deepcopy(self._owners.get(ref, {}))
            new = applied(ref, copy.deepcopy(old), owners, manifest, field_manager, force=force)
            self._check_immutable(ref, old, new)
            if dry_run:
                return self._stamped(new, old)
            stored = self._commit("apply", ref, new, old)
            self._owners[ref] = owners
            return stored

    def create(self, manifest: Manifest) -> Manifest:
        """Create, or `Conflict`."""
        with self._lock:
            ref = self._writable("create", manifest)
            if "resourceVersion" in manifest["metadata"]:
                raise Broken("INVALID_OBJECT", "resourceVersion should not be set on objects to be created")
            if ref in self._objects:
                raise Conflict("ALREADY_EXISTS", f"{ref.kind} {ref.name} already exists")
            self._owners[ref] = {path: {"railiance"} for path, _ in leaves(manifest)}
            return self._commit("create", ref, copy.deepcopy(manifest), None)

    def replace(self, manifest: Manifest) -> Manifest:
        """Replace, or `Conflict`."""
        with self._lock:
            ref = self._writable("replace", manifest)
            old = self._objects.get(ref)
            wanted = manifest["metadata"].get("resourceVersion")
            if old is None or wanted not in (None, old["metadata"]["resourceVersion"]):
                raise Conflict("STALE", f"{ref.kind} {ref.name} changed meanwhile")
            self._check_immutable(ref, old, manifest)
            before, owners = dict(leaves(old)), self._owners.get(ref, {})
            self._owners[ref] = {
                path: owners.get(path, set()) if before.get(path) == value else {"railiance"}
                for path, value in leaves(manifest)
            }
            new = copy.deepcopy(manifest)
            if "status" in old:  # the main address of an object does not write its status
                new["status"] = copy.deepcopy(old["status"])
            return self._commit("replace", ref, new, old)

    def delete(self, ref: ObjectRef) -> bool:
        """Delete at once; a namespace takes along what is in it."""
        with self._lock:
            self._enter("delete", ref)
            if ref not in self._objects:
                return False
            self._note("delete", ref, self._objects[ref])
            self.drop(ref)
            if ref.kind == "Namespace":
                for inside in [other for other in self._objects if other.namespace == ref.name]:
                    self.drop(inside)
            self._settle()
            return True

    # ----- inside

    def _enter(self, verb: str, ref: ObjectRef | None) -> None:
        self.before(verb, ref)
        if self.down:
            raise Unavailable("CLUSTER_UNREACHABLE", "The fake cluster is down.")
        for entry in self._failures:
            if entry[0] == verb and entry[1] in (None, ref.kind if ref else None):
                self._failures.remove(entry)
                raise entry[2]

    def _writable(self, verb: str, manifest: Manifest) -> ObjectRef:
        ref = reference(manifest)
        self._enter(verb, ref)
        if (ref.api_version, ref.kind) not in self.kinds:
            raise Conflict("KIND_UNKNOWN", f"The fake cluster serves no {ref.api_version} {ref.kind}.")
        if (ref.api_version, ref.kind) in CLUSTER_WIDE:
            return ref
        if not ref.namespace:
            raise Broken("INVALID_OBJECT", f"{ref.kind} {ref.name} needs a namespace, and none is given.")
        if ObjectRef("v1", "Namespace", "", ref.namespace) not in self._objects:
            raise Conflict("NAMESPACE_MISSING", f"There is no namespace {ref.namespace}.")
        return ref

    def _check_immutable(self, ref: ObjectRef, old: Manifest | None, new: Manifest) -> None:
        if old is None or not old.get("immutable"):
            return
        if any(old.get(key) != new.get(key) for key in ("data", "binaryData", "immutable")):
            raise Broken(
                "INVALID_OBJECT", f"{ref.kind} {ref.name}: field is immutable when `immutable` is set"
            )

    def _commit(self, verb: str, ref: ObjectRef, new: Manifest, old: Manifest | None) -> Manifest:
        if old is not None and dict(leaves(old)) == dict(leaves(new)):
            return copy.deepcopy(old)  # nothing changed: the API server writes nothing either
        stored = copy.deepcopy(self._store(ref, new, old))
        self._note(verb, ref, stored)
        self._settle()
        return stored

    def _settle(self) -> None:
        for controller in self.after_write:
            controller()

    def _store(self, ref: ObjectRef, new: Manifest, old: Manifest | None) -> Manifest:
        self._version += 1
        self._objects[ref] = self._stamped(new, old)
        self._objects[ref]["metadata"]["resourceVersion"] = str(self._version)
        return self._objects[ref]

    def _stamped(self, new: Manifest, old: Manifest | None) -> Manifest:
        """Fill in what the server sets."""
        former = (old or {}).get("metadata", {})
        changed = old is None or old.get("spec") != new.get("spec")
        now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ") if self.clock else "2026-01-01T00:00:00Z"
        new["metadata"] |= {
            "uid": former.get("uid") or str(uuid.uuid4()),
            "creationTimestamp": former.get("creationTimestamp") or now,
            "generation": former.get("generation", 0) + int(changed),
            "resourceVersion": former.get("resourceVersion", "0"),
        }
        return new

    def _note(self, verb: str, ref: ObjectRef, manifest: Manifest) -> None:
        """Write the journal: a story's reader wants the ledger's words, and neither leases nor bookkeeping."""
        record = (manifest["metadata"].get("labels") or {}).get("railiance.dev/record")
        if record == "event":
            self._journal.append(f"ledger {_event_kind(manifest)}")
        elif record is None and ref.kind not in ("Lease", "Namespace"):
            self._journal.append(f"{verb} {ref.kind} {ref.namespace}/{ref.name}")


def _event_kind(manifest: Manifest) -> str:
    text = str((manifest.get("data") or {}).get("event.json", ""))
    return text.partition('"kind":"')[2].partition('"')[0]


def _selected(manifest: Manifest, selector: str) -> bool:
    """Tell whether a label selector of equalities chooses the object."""
    labels = manifest["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        if "=" not in term or "!" in term or " " in term:
            raise NotImplementedError(f"the fake knows only key=value, not {term!r}")
        key, _, value = term.replace("==", "=").partition("=")
        if labels.get(key) != value:
            return False
    return True
