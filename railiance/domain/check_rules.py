"""What the objects of a cluster say about a check: pure decisions over manifests, answers and log lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from railiance.domain.check import Reading, public_url
from railiance.domain.hard_gates import Gates
from railiance.domain.ports import Manifest, ProxyAnswer
from railiance.domain.rollout import WORKLOAD_KINDS, WorkloadState, workload_state
from railiance.domain.verdict import Verdict
from railiance_schema import HttpCheck, KubernetesCheck, PromqlCheck
from railiance_schema.secret_shapes import SHAPES, redact

MAX_BODY = 1 << 20
"""As much of an answer as `contains` is looked for in."""

KIND_VERSIONS: Mapping[str, str] = {
    **dict.fromkeys(("ConfigMap", "Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim"), "v1"),
    **dict.fromkeys(("Pod", "Secret", "Service", "ServiceAccount"), "v1"),
    **dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), "apps/v1"),
    **dict.fromkeys(("CronJob", "Job"), "batch/v1"),
    **dict.fromkeys(("Ingress", "IngressClass", "NetworkPolicy"), "networking.k8s.io/v1"),
    "PodDisruptionBudget": "policy/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "StorageClass": "storage.k8s.io/v1",
}
"""apiVersion of the kinds that a contract may name without their group."""

VERSIONS = ("v1", "v2", "v1beta3", "v1beta2", "v1beta1", "v1alpha3", "v1alpha2", "v1alpha1")
"""Versions of a named group, in the order in which the API server is asked for them."""

_LINE_LIMIT = 20_000
_SHOWN = 200
_LISTED = 8
_STEP = re.compile(
    r"""\.?(?P<key>[A-Za-z_](?:[^.\[\]\\]|\\.)*)
      |\.?\[(?P<index>-?[0-9]+)\]
      |\.?\[['"](?P<quoted>[^'"]+)['"]\]
      |\.?\[\?\(\s*@\.(?P<where>[A-Za-z_]\w*)\s*==\s*['"](?P<equals>[^'"]*)['"]\s*\)\]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """A Service inside the cluster, as a URL or address names it."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return namespace and name, for messages."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Backend:
    """One ready endpoint of a Service: its address and port number, and the pod behind it if there is one."""

    address: str
    port: int
    namespace: str
    pod: str | None


def service_of(host: str) -> ServiceAddress | None:
    """Return the Service that a host name means inside a cluster, or None for any other name.

    Args:
        host: Such as `web.shop.svc` or `web.shop.svc.cluster.local`.
    """
    labels = host.lower().removesuffix(".").removesuffix(".cluster.local").split(".")
    if len(labels) == 3 and labels[2] == "svc" and all(labels):
        return ServiceAddress(labels[1], labels[0])
    return None


def port_of(url: str) -> int:
    """Return the port number that a URL means."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def path_of(url: str) -> str:
    """Return the path of a URL with its query, as it is sent."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def backends_of(service: Manifest, slices: Iterable[Manifest], port: int) -> tuple[Backend, ...] | None:
    """Return the ready endpoints behind one port of a Service, or None when the Service has no such port.

    Args:
        service: The Service.
        slices: Its EndpointSlices.
        port: Number of the Service's port.
    """
    declared = [entry for entry in service["spec"].get("ports") or () if entry.get("port") == port]
    if not declared:
        return None
    name = declared[0].get("name") or ""
    namespace = service["metadata"]["namespace"]
    found: dict[Backend, None] = {}
    for piece in slices:
        ports = {entry.get("name") or "": entry.get("port") for entry in piece.get("ports") or ()}
        for endpoint in piece.get("endpoints") or ():
            if ports.get(name) and _is_ready(endpoint):
                target = endpoint.get("targetRef") or {}
                pod = target.get("name") if target.get("kind") == "Pod" else None
                backend = Backend(endpoint["addresses"][0], int(ports[name]), namespace, pod)
                found[backend] = None
    return tuple(found)


def _is_ready(endpoint: Mapping[str, Any]) -> bool:
    conditions = endpoint.get("conditions") or {}
    return bool(conditions.get("ready", True)) and not conditions.get("terminating", False)


def probed_by_kubelet(pod: Manifest, port: int) -> bool:
    """Tell whether a pod is Ready because its kubelet connects to this very port again and again."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return ready and any(port == number for number, _ in _readiness_probes(pod))


def readiness_path(pod: Manifest) -> tuple[int, str, str | None] | None:
    """Return port, path and Host header of a pod's first HTTP readiness probe, or None when it has none."""
    for number, probe in _readiness_probes(pod):
        if (asked := probe.get("httpGet")) and str(asked.get("scheme") or "HTTP") == "HTTP":
            headers = {str(h["name"]).lower(): str(h["value"]) for h in asked.get("httpHeaders") or ()}
            return number, str(asked.get("path") or "/"), headers.get("host")
    return None


def _readiness_probes(pod: Manifest) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Yield the port number and the probe of each container that is asked over the network."""
    for container in pod["spec"]["containers"]:
        probe = container.get("readinessProbe") or {}
        action = probe.get("httpGet") or probe.get("tcpSocket") or probe.get("grpc")
        if action is None:
            continue
        names = {str(p.get("name")): int(p["containerPort"]) for p in container.get("ports") or ()}
        port = action.get("port")
        number = names.get(str(port)) or (int(port) if str(port).isdigit() else None)
        if number is not None:
            yield number, probe


def judge_answer(check: HttpCheck, place: str, answer: ProxyAnswer) -> Reading:
    """Judge what a pod answered to an http check.

    Args:
        check: The check.
        place: Who answered, for the reason.
        answer: Status and body.
    """
    seen = {"url": public_url(check.url), "http_status": answer.status}
    if answer.status not in check.expected_status:
        wanted = _statuses(check.expected_status)
        return Reading(Verdict.FAIL, f"{place} answered {answer.status} instead of {wanted}.", details=seen)
    if check.contains and check.contains not in answer.body[:MAX_BODY].decode("utf-8", "replace"):
        return Reading(Verdict.FAIL, f"{place} answered without the expected text.", details=seen)
    return Reading(Verdict.PASS, f"{place} answered {answer.status}.", details=seen)


def _statuses(expected: Sequence[int]) -> str:
    if len(expected) > _LISTED:
        return f"{min(expected)} to {max(expected)}"
    return " or ".join(str(status) for status in expected)


def worst(readings: Sequence[Reading]) -> Reading:
    """Return the reading that decides among several: the first FAIL, else UNKNOWN, else PASS.

    Nobody asked is UNKNOWN.
    """
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN):
        for reading in readings:
            if reading.verdict is verdict:
                return reading
    return readings[0] if readings else Reading(Verdict.UNKNOWN, "Nobody was asked.", answered=False)


def judge_workloads(states: Sequence[WorkloadState], where: str) -> Reading:
    """Judge whether every workload of a helm_release is rolled out; none at all is FAIL."""
    observed = ", ".join(f"{w.kind} {w.name} {w.ready}/{w.desired}" for w in states)
    seen = {"resource": where, "observed": observed}
    if not states:
        return Reading(Verdict.FAIL, f"{where} has no workload.", details=seen)
    late = [w for w in states if not w.whole]
    if late:
        names = ", ".join(f"{w.kind} {w.name} ({w.ready}/{w.desired} ready)" for w in late)
        return Reading(Verdict.FAIL, f"Not rolled out: {names}.", details=seen)
    return Reading(Verdict.PASS, f"All {len(states)} workloads of {where} are rolled out.", details=seen)


def judge_resource(check: KubernetesCheck, found: Manifest) -> Reading:
    """Judge one object: rollout of a workload, condition, and the field at `jsonpath`."""
    resource = str(check.resource)
    kind = resource.partition("/")[0].partition(".")[0]
    seen: dict[str, Any] = {"resource": resource, "observed": "there"}
    if check.rollout and kind in WORKLOAD_KINDS:
        state = workload_state({**found, "kind": kind})
        seen["observed"] = f"{state.ready}/{state.desired} ready"
        if not state.whole:
            return Reading(Verdict.FAIL, f"{resource} is not rolled out: {seen['observed']}.", details=seen)
    if check.condition is not None:
        status = condition_of(found, check.condition)
        seen["observed"] = f"{check.condition}={status or 'absent'}"
        if status != "True":
            reason = f"{resource}: {check.condition} is {status or 'absent'}."
            return Reading(Verdict.FAIL, reason, details=seen)
    if check.jsonpath is not None:
        return _judge_field(check, found, resource, kind)
    return Reading(Verdict.PASS, f"{resource} is {seen['observed']}.", details=seen)


def _judge_field(check: KubernetesCheck, found: Manifest, resource: str, kind: str) -> Reading:
    """Compare one field; without `equals` it must only be there."""
    seen: dict[str, Any] = {"resource": resource, "observed": None}
    path = str(check.jsonpath)
    if kind == "Secret" and "data" in path.lower():
        return Reading(Verdict.UNKNOWN, "Values of a Secret are never read.", answered=False, details=seen)
    try:
        values = fields_at(found, path)
    except ValueError as error:
        reason = f"jsonpath {path} cannot be read: {error}."
        return Reading(Verdict.UNKNOWN, reason, answered=False, details=seen)
    exact = " ".join(_text(value) for value in values)
    observed = redact(exact)[:_SHOWN]
    seen["observed"] = observed
    if not values:
        return Reading(Verdict.FAIL, f"{resource} has nothing at {path}.", details=seen)
    if check.equals is not None and exact != check.equals:
        reason = f"{resource}: {path} is {observed!r}, not {check.equals!r}."
        return Reading(Verdict.FAIL, reason, details=seen)
    return Reading(Verdict.PASS, f"{resource}: {path} is {observed!r}.", details=seen)


def condition_of(found: Manifest, kind: str) -> str | None:
    """Return the status of one condition of an object, or None when it has no such condition."""
    for entry in (found.get("status") or {}).get("conditions") or ():
        if entry.get("type") == kind:
            return str(entry.get("status"))
    return None


def fields_at(document: Any, path: str) -> list[Any]:
    """Return what stands at a JSONPath of the plain kind: keys, indexes, and `[?(@.key=="text")]`.

    Raises:
        ValueError: The path uses more of JSONPath than that.
    """
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    nodes, at = [document], 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise ValueError(f"{text[at:]!r} is neither a key, an index nor a filter by one key")
        nodes = [found for node in nodes for found in _follow(node, step)]
        at = step.end()
    return [node for node in nodes if node is not None]


def _follow(node: Any, step: re.Match[str]) -> list[Any]:
    if step["index"] is not None:
        within = isinstance(node, list) and -len(node) <= int(step["index"]) < len(node)
        return [node[int(step["index"])]] if within else []
    if step["where"] is not None:
        entries = node if isinstance(node, list) else []
        return [e for e in entries if isinstance(e, dict) and str(e.get(step["where"])) == step["equals"]]
    key = step["quoted"] or str(step["key"]).replace("\\", "")
    return [node[key]] if isinstance(node, dict) and key in node else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def count_matches(lines: Iterable[str], forbid: Sequence[str] | None) -> int:
    """Return how many log lines hold what must not be there; None = shapes of plaintext secrets."""
    patterns = [shape for _, shape in SHAPES] if forbid is None else [re.compile(text) for text in forbid]
    return sum(any(pattern.search(line[:_LINE_LIMIT]) for pattern in patterns) for line in lines)


def judge_log(matches: int, allowed: int, lines: int, pods: int) -> Reading:
    """Judge a log scan; without a pod whose log was read nobody can tell."""
    seen = {"matches": matches}
    read = f"{lines} lines of {pods} pod{'' if pods == 1 else 's'}"
    if pods == 0:
        reason = "There is no pod whose log could be read."
        return Reading(Verdict.UNKNOWN, reason, answered=False, details=seen)
    if matches > allowed:
        return Reading(Verdict.FAIL, f"{matches} of {read} hold what must not be there.", details=seen)
    return Reading(Verdict.PASS, f"{read} hold nothing that must not be there.", details=seen)


def judge_restarts(gates: Gates, restarts: int, limit: int) -> Reading:
    """Judge what the pods of a track show: a failure is FAIL, what nobody can tell is UNKNOWN."""
    seen = {"observed": f"{restarts} restarts", "bound": limit}
    if gates.failures:
        return Reading(Verdict.FAIL, f"{gates.failures[0].reason}.", details=seen)
    if gates.unknowns:
        return Reading(Verdict.UNKNOWN, f"{gates.unknowns[0].reason}.", details=seen)
    return Reading(Verdict.PASS, f"{restarts} restarts, no pod in trouble.", details=seen)


def judge_endpoints(service: str, endpoints: int, wanted: int) -> Reading:
    """Judge whether every wanted pod stands ready behind the Service."""
    seen = {"resource": f"Service/{service}", "observed": f"{endpoints} ready endpoints", "bound": wanted}
    words = f"Service {service} has {endpoints} ready endpoints of {wanted} wanted."
    return Reading(Verdict.PASS if endpoints >= wanted > 0 else Verdict.FAIL, words, details=seen)


def bound_words(check: PromqlCheck, bound: float | None) -> str | None:
    """Return the bound of a promql check as people write it, such as `<= 0.5`; None when there is none."""
    if bound is None:
        return None
    return f"{'<=' if check.stable_query is not None else check.compare} {bound:g}"
