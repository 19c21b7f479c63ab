"""Asking one declared check once, with the target in reach: through the API server, Prometheus or Helm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from railiance.adapters import local_checks, probe
from railiance.adapters.local_checks import Place
from railiance.adapters.workspace import state_dir
from railiance.domain.check import Reading, public_url
from railiance.domain.check_rules import (
    KIND_VERSIONS,
    VERSIONS,
    Backend,
    ServiceAddress,
    backends_of,
    bound_words,
    count_matches,
    judge_answer,
    judge_log,
    judge_resource,
    judge_workloads,
    path_of,
    port_of,
    probed_by_kubelet,
    service_of,
    worst,
)
from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.plan import documents
from railiance.domain.ports import Manifest, ObjectRef
from railiance.domain.queries import (
    bound_of,
    judge_reading,
    query_of,
    samples_query_of,
    single,
    stable_query_of,
)
from railiance.domain.rollout import INSTANCE_LABEL, SERVICE_LABEL, WORKLOAD_KINDS, workload_state
from railiance.domain.verdict import Verdict
from railiance.engine.work import Work
from railiance_schema import (
    Check,
    CommandCheck,
    HelmCheck,
    HelmMode,
    HttpCheck,
    KubernetesCheck,
    LogCheck,
    LogReference,
    PromqlCheck,
    Stage,
    TcpCheck,
    format_duration,
    parse_log_reference,
)

MOST_PODS = 5
_TAIL = 5000


def ask(work: Work, stage_name: str, stage: Stage, check: Check) -> Reading:
    """Ask a check once.

    Args:
        work: Whose check.
        stage_name: `stage2` or `stage3`.
        stage: The stage's table.
        check: The check, as `Contract.check` resolves it for this stage.

    Raises:
        RailianceError: The target could not be asked; nobody knows the answer.
    """
    place = _place(work, stage_name, stage)
    match check:
        case HttpCheck():
            reading = _http(work, check, place)
        case TcpCheck():
            reading = _tcp(work, check)
        case CommandCheck():
            reading = local_checks.command(check, place, check.timeout.total_seconds())
        case HelmCheck():
            reading = _helm(work, check, place)
        case KubernetesCheck():
            reading = _kubernetes(work, stage, check)
        case PromqlCheck():
            reading = _promql(work, check)
        case LogCheck():
            reading = _log(work, stage, check)
    return reading


def _place(work: Work, stage_name: str, stage: Stage) -> Place:
    environment = {"RAILIANCE_RUN_ID": work.run_id, "RAILIANCE_STAGE": stage_name}
    return Place(work.app_dir, stage, environment, state_dir(work.app_dir, "logs"))


# ----- http and tcp


def _http(work: Work, check: HttpCheck, place: Place) -> Reading:
    """Ask a URL; one inside the cluster is asked through the API server, of the pods behind its Service."""
    service = service_of(urlsplit(check.url).hostname or "")
    if service is None:
        return local_checks.http(check, place, check.timeout.total_seconds())
    found = read_backends(work, service, port_of(check.url))
    if isinstance(found, Reading):
        return Reading(found.verdict, found.reason, found.answered, _unasked(check))
    if any(backend.pod is None for backend in found):
        # Something outside of the cluster stands behind the Service; only its own network can tell.
        return local_checks.http(check, place, check.timeout.total_seconds())
    return ask_pods(work, check, found)


def read_backends(work: Work, service: ServiceAddress, port: int) -> tuple[Backend, ...] | Reading:
    """Return the ready endpoints behind a Service's port, or the FAIL that there are none."""
    cluster = work.hands.cluster
    found = cluster.get(ObjectRef("v1", "Service", service.namespace, service.name))
    if found is None:
        return Reading(Verdict.FAIL, f"There is no Service {service}.", answered=False)
    labels = f"{SERVICE_LABEL}={service.name}"
    slices = cluster.list_objects("discovery.k8s.io/v1", "EndpointSlice", service.namespace, labels)
    backends = backends_of(found, slices, port)
    if backends is None:
        return Reading(Verdict.FAIL, f"Service {service} has no port {port}.", answered=False)
    if not backends:
        reason = f"Nobody is ready behind port {port} of Service {service}."
        return Reading(Verdict.FAIL, reason, answered=False)
    return backends


def ask_pods(work: Work, check: HttpCheck, backends: Sequence[Backend]) -> Reading:
    """Ask the pods behind a Service, at most five, within the check's timeout; the worst answer counts."""
    deadline = work.clock.monotonic() + check.timeout.total_seconds()
    readings = []
    for backend in backends[:MOST_PODS]:
        left = deadline - work.clock.monotonic()
        if left <= 0:
            reason = f"No time was left to ask pod {backend.pod}."
            readings.append(Reading(Verdict.UNKNOWN, reason, answered=False, details=_unasked(check)))
            break
        readings.append(_ask_pod(work, check, backend, left))
    return worst(readings)


def _ask_pod(work: Work, check: HttpCheck, backend: Backend, timeout: float) -> Reading:
    headers = {**check.headers, **({"Host": check.host_header} if check.host_header else {})}
    try:
        answer = work.hands.cluster.proxy(
            backend.namespace,
            str(backend.pod),
            backend.port,
            path_of(check.url),
            method=check.method,
            headers=headers,
            tls=urlsplit(check.url).scheme == "https",
            timeout=timeout,
        )
    except Unavailable as error:
        if error.code != "POD_UNREACHABLE":
            raise
        # The pod calls itself ready and does not answer: that is an answer.
        return Reading(Verdict.FAIL, error.message, answered=False, details=_unasked(check))
    return judge_answer(check, f"Pod {backend.pod} at {public_url(check.url)}", answer)


def _unasked(check: HttpCheck) -> dict[str, Any]:
    return {"url": public_url(check.url), "http_status": None}


def _tcp(work: Work, check: TcpCheck) -> Reading:
    """Connect; a Service that only the cluster can name is judged by what can be known from here."""
    limit = check.timeout.total_seconds()
    service = service_of(check.address)
    direct = probe.tcp(check.address, check.port, tls=check.tls, timeout=limit)
    if service is None or direct.verdict is not Verdict.UNKNOWN:
        return direct
    found = read_backends(work, service, check.port)
    if isinstance(found, Reading):
        return Reading(found.verdict, found.reason, found.answered, direct.details)
    # An endpoint's address is not tried from here: in another network it may be somebody else's.
    if not check.tls and any(_kubelet_connects(work, backend) for backend in found):
        reason = f"{service} has a ready pod whose kubelet connects to that very port."
        return Reading(Verdict.PASS, reason, details=direct.details)
    reason = f"{service} has {len(found)} ready endpoints, but from outside nobody can connect to them."
    return Reading(Verdict.UNKNOWN, reason, answered=False, details=direct.details)


def _kubelet_connects(work: Work, backend: Backend) -> bool:
    pod = backend.pod and work.hands.cluster.get(ObjectRef("v1", "Pod", backend.namespace, backend.pod))
    return bool(pod) and probed_by_kubelet(pod, backend.port)  # type: ignore[arg-type]  # bool(pod) says it is one


# ----- objects


def _kubernetes(work: Work, stage: Stage, check: KubernetesCheck) -> Reading:
    namespace = check.namespace or stage.namespace
    if check.resource is None:
        selector = f"{INSTANCE_LABEL}={stage.release}"
        states = [
            workload_state({**manifest, "kind": kind})
            for kind in WORKLOAD_KINDS
            for manifest in work.hands.cluster.list_objects("apps/v1", kind, namespace, selector)
        ]
        return judge_workloads(states, stage.release)
    kind, _, name = check.resource.partition("/")
    plain, _, group = kind.partition(".")
    version = _version(work, plain, group)
    seen = {"resource": check.resource, "observed": None}
    if version is None:
        reason = f"The cluster serves no kind {kind}." + (
            "" if group else " A kind of a CRD needs its group."
        )
        return Reading(Verdict.UNKNOWN, reason, answered=False, details=seen)
    found = work.hands.cluster.get(ObjectRef(version, plain, namespace, name))
    if found is None:
        return Reading(Verdict.FAIL, f"There is no {check.resource} in {namespace}.", details=seen)
    return judge_resource(check, found)


def _version(work: Work, kind: str, group: str) -> str | None:
    """Return the apiVersion under which the cluster serves a kind, or None."""
    known = KIND_VERSIONS.get(kind)
    if not group or (known is not None and known.rpartition("/")[0] == group):
        return known
    return next((f"{group}/{v}" for v in VERSIONS if work.hands.cluster.has_kind(f"{group}/{v}", kind)), None)


# ----- logs


def _log(work: Work, stage: Stage, check: LogCheck) -> Reading:
    """Scan log lines; the text stays here."""
    try:
        reference = parse_log_reference(check.reference)
    except ValueError as error:
        return Reading(Verdict.UNKNOWN, f"The log reference cannot be read: {error}.", answered=False)
    namespace = reference.namespace or stage.namespace
    pods = _pods_of(work, reference, namespace)
    lines = [line for pod in pods for line in _lines(work, pod, reference)]
    return judge_log(count_matches(lines, check.forbid), check.max_matches, len(lines), len(pods))


def _pods_of(work: Work, reference: LogReference, namespace: str) -> list[Manifest]:
    cluster = work.hands.cluster
    if reference.kind == "Pod":
        pod = cluster.get(ObjectRef("v1", "Pod", namespace, reference.name))
        return [pod] if pod else []
    selector = reference.selector
    if reference.kind:
        ref = ObjectRef(KIND_VERSIONS[reference.kind], reference.kind, namespace, reference.name)
        owner = cluster.get(ref)
        declared = ((owner or {}).get("spec") or {}).get("selector") or {}
        labels = declared if reference.kind == "Service" else declared.get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return cluster.list_objects("v1", "Pod", namespace, selector) if selector else []


def _lines(work: Work, pod: Manifest, reference: LogReference) -> list[str]:
    names = [container["name"] for container in pod["spec"]["containers"]]
    meta = pod["metadata"]
    return [
        line
        for name in ([reference.container] if reference.container else names)
        for line in work.hands.cluster.pod_log(
            meta["namespace"],
            meta["name"],
            tail=_TAIL if reference.tail is None else reference.tail,
            container=name,
            since=reference.since,
        ).splitlines()
    ]


# ----- metrics


def _promql(work: Work, check: PromqlCheck) -> Reading:
    """Ask Prometheus; no data, several series and no server are never PASS."""
    query, metrics = query_of(check), work.hands.metrics
    seen: dict[str, Any] = {"query": query, "value": None}
    if metrics is None:
        return Reading(Verdict.UNKNOWN, "No Prometheus is configured.", answered=False, details=seen)

    def number(promql: str | None) -> float | None:
        return None if promql is None else single(metrics.query(promql))

    vector = metrics.query(query)
    value, stable, samples = single(vector), number(stable_query_of(check)), number(samples_query_of(check))
    bound = bound_of(check, stable) if check.judged else None
    seen |= {"value": value, "bound": bound_words(check, bound), "samples": samples, "stable_value": stable}
    seen["window"] = format_duration(check.for_) if check.for_ else None
    verdict = judge_reading(check, value, stable, samples)
    if value is None:
        reason = f"The query answers {len(vector)} series instead of one number."
    elif verdict is Verdict.UNKNOWN:
        reason = f"It is {value:g}, and there is too little to judge it by."
    else:
        reason = f"It is {value:g}" + (f", wanted {seen['bound']}." if seen["bound"] else ".")
    return Reading(verdict or Verdict.UNKNOWN, reason, answered=value is not None, details=seen)


# ----- charts


def _helm(work: Work, check: HelmCheck, place: Place) -> Reading:
    stage = place.stage
    if check.mode is not HelmMode.DRY_RUN:
        return local_checks.helm(check, place)
    chart = work.path(check.chart or stage.chart)
    names = stage.values if check.values is None else check.values
    values = [work.path(name) for name in names]
    rendered = work.hands.releases.template(
        chart, stage.release, stage.namespace, values, {}, kube_version=check.kube_version
    )
    for document in documents(rendered):
        placed = {**document, "metadata": {"namespace": stage.namespace, **(document.get("metadata") or {})}}
        try:
            work.hands.cluster.apply(placed, field_manager="railiance-check", force=True, dry_run=True)
        except (Broken, Conflict) as error:
            name = f"{document.get('kind')}/{placed['metadata'].get('name')}"
            return Reading(Verdict.FAIL, f"The API server refuses {name}: {error.message}")
    return Reading(Verdict.PASS, "The API server accepts what the chart renders.")
