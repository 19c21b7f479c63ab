"""Traefik's own request counters, read from its pods through the API server.

Read raw and directly: no application has to export anything, no Prometheus has to be there, and a reading
costs one request a gateway pod. Facts about Traefik below were seen on version 3.5.4.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from railiance.domain.errors import Broken, Unavailable
from railiance.domain.ports import Clock, ClusterReader, GatewayReading, Manifest, Sample

METRIC = "traefik_service_requests_total"
POD_LABELS = "app.kubernetes.io/name=traefik"
DEFAULT_PORT = 9100

_PODS_KEPT = 2.0  # seconds; a new gateway pod takes longer than this to get its first requests
_TIMEOUT = 3.0
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')
_LINE = re.compile(METRIC + r"\{(?P<labels>.*)\}\s+(?P<value>\S+)(\s+-?\d+)?\Z")

_HELP = (
    "Is Traefik ready, started with `--metrics.prometheus=true --metrics.prometheus.addServicesLabels=true`, "
    "and may this account get `pods/proxy`?"
)


@dataclass(frozen=True, slots=True)
class _Exporter:
    """One gateway pod: where it is, where it tells its counters, and since when its process runs."""

    namespace: str
    pod: str
    port: int
    identity: str


class TraefikGateway:
    """The port `Gateway`, on Traefik.

    Args:
        cluster: Where the gateway's pods are.
        clock: Dates the readings.
    """

    def __init__(self, cluster: ClusterReader, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._exporters: tuple[_Exporter, ...] = ()
        self._listed_at: float | None = None

    def read(self, backends: Mapping[str, tuple[str, str, int]]) -> GatewayReading:
        """Return the counters by track, of every ready gateway pod.

        Args:
            backends: Track to (namespace, Service, port number).

        Returns:
            The reading; not `complete` when a ready gateway pod did not answer. A backend that has not
            answered anybody yet has no sample.

        Raises:
            Unavailable: There is no ready gateway pod, or none answered.
            Broken: A pod answered something that is not a counter.
        """
        tracks = {name: track for track, backend in backends.items() for name in service_names(*backend)}
        samples: dict[str, list[Sample]] = {track: [] for track in backends}
        answered: list[str] = []
        exporters = self._ready()
        lost: Unavailable | None = None
        for exporter in exporters:
            try:
                body = self._cluster.proxy_get(
                    exporter.namespace, exporter.pod, exporter.port, "/metrics", timeout=_TIMEOUT
                )
            except Unavailable as error:
                lost, self._listed_at = error, None  # look for the pods anew: this one may be gone for good
                continue
            answered.append(exporter.identity)
            for name, requests, errors in parse_counters(body.decode("utf-8", "replace"), tracks):
                samples[tracks[name]].append(Sample(f"{exporter.identity}/{name}", requests, errors))
        if lost is not None and not answered:
            raise Unavailable(
                "GATEWAY_UNREADABLE", "no gateway pod gives its request counters", _HELP
            ) from lost
        return GatewayReading(
            at=self._clock.now(),
            complete=lost is None,
            samples={track: tuple(found) for track, found in samples.items()},
            pods=tuple(answered),
        )

    def _ready(self) -> tuple[_Exporter, ...]:
        """Return the ready gateway pods, listed anew every few seconds."""
        now = self._clock.monotonic()
        if self._listed_at is None or now - self._listed_at >= _PODS_KEPT:
            pods = self._cluster.list_objects("v1", "Pod", None, POD_LABELS)
            self._exporters = tuple(_exporter(pod) for pod in pods if _is_ready(pod))
            self._listed_at = now
        if not self._exporters:
            self._listed_at = None
            raise Unavailable("GATEWAY_MISSING", f"no ready gateway pod has the label {POD_LABELS}", _HELP)
        return self._exporters


def service_names(namespace: str, service: str, port: int) -> tuple[str, ...]:
    """Return the names that Traefik counts a backend under, by provider.

    Seen on 3.5.4: a child of a TraefikService counts as `<namespace>-<service>-<port>@kubernetescrd`, a
    backend of an HTTPRoute as `<namespace>-<service>-http-<port>@kubernetesgateway`, with one backend or
    several; older versions leave out the `-http`. A rule that points straight to a Service counts under the
    rule's own name instead, which is why route objects always go through a TraefikService; a port of 0 means
    such a name.
    """
    if port == 0:
        return (f"{_normal(f'{namespace}-{service}')}@kubernetescrd",)
    plain = _normal(f"{namespace}-{service}-{port}")
    return (
        f"{plain}@kubernetescrd",
        f"{_normal(f'{namespace}-{service}-http-{port}')}@kubernetesgateway",
        f"{plain}@kubernetesgateway",
        f"{plain}@kubernetes",
    )


def parse_counters(text: str, names: Mapping[str, str]) -> Iterator[tuple[str, float, float]]:
    """Yield service name, requests and failed requests from the text format, for the wanted services only.

    Args:
        text: What `/metrics` answered.
        names: The wanted values of the label `service`, as keys.

    Raises:
        Broken: A line of the metric is not as the text format says.
    """
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for line in text.splitlines():
        # Most of the page is about something else, and it is read several times a second: look no closer.
        if not line.startswith(METRIC + "{"):
            continue
        labels, value = _parse(line)
        total = totals[labels.get("service", "")]
        total[0] += value
        if is_error(labels.get("code", "")):
            total[1] += value
    for name, (requests, errors) in totals.items():
        if name in names:
            yield name, requests, errors


def is_error(code: str) -> bool:
    """Tell whether a status code counts as a failed request: 500 and above."""
    return len(code) == 3 and code.startswith("5")


def _parse(line: str) -> tuple[dict[str, str], float]:
    """Return labels and value of one line of the metric."""
    match = _LINE.match(line)
    value = _number(match["value"]) if match else None
    if match is None or value is None or _LABEL.sub("", match["labels"]).strip():
        raise Broken("GATEWAY_NONSENSE", f"the gateway's counters hold a line that is none: {line[:200]}")
    return dict(_LABEL.findall(match["labels"])), value


def _number(text: str) -> float | None:
    """Return a counter's value; None for what no counter can be."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _exporter(pod: Manifest) -> _Exporter:
    """Return how to read one gateway pod; the start of its process makes a restart a new exporter."""
    metadata = pod["metadata"]
    running = [
        str((status.get("state") or {}).get("running", {}).get("startedAt", ""))
        for status in pod.get("status", {}).get("containerStatuses") or []
    ]
    started = max(running, default="")
    return _Exporter(
        metadata["namespace"], metadata["name"], _metrics_port(pod), f"{metadata['name']}@{started}"
    )


def _metrics_port(pod: Manifest) -> int:
    """Return the port of the counters: named `metrics`, else as annotated, else Traefik's usual."""
    for container in pod.get("spec", {}).get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == "metrics":
                return int(port["containerPort"])
    annotated = (pod["metadata"].get("annotations") or {}).get("prometheus.io/port", "")
    return int(annotated) if str(annotated).isdigit() else DEFAULT_PORT


def _is_ready(pod: Manifest) -> bool:
    """Tell whether a pod is ready and stays."""
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _normal(name: str) -> str:
    """Return a name as Traefik writes it: whatever is neither letter nor digit becomes one hyphen."""
    return "-".join(part for part in re.split(r"[^0-9A-Za-z]+", name) if part)
