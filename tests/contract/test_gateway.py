"""Every gateway keeps the same rules; and Traefik's pages are read as Traefik writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from railiance.adapters.gateway import METRIC, TraefikGateway, parse_counters, service_names
from railiance.domain.counters import CounterState, difference
from railiance.domain.errors import Broken, Unavailable
from railiance.domain.ports import Gateway
from tests.fake_cluster import FakeCluster
from tests.fakes import FakeClock, FakeGateway

BACKENDS = {"stable": ("shop", "web", 80), "canary": ("shop", "web-canary", 80)}
PAGE = """\
# HELP traefik_service_requests_total How many HTTP requests processed on a service.
# TYPE traefik_service_requests_total counter
traefik_service_requests_bytes_total{code="200",method="GET",protocol="http",service="shop-web-80@kubernetescrd"} 9e+06
traefik_service_requests_total{code="200",method="GET",protocol="http",service="shop-web-80@kubernetescrd"} 1.2e+03
traefik_service_requests_total{code="502",method="GET",protocol="http",service="shop-web-80@kubernetescrd"} 3
traefik_service_requests_total{code="404",method="POST",protocol="http",service="shop-web-80@kubernetescrd"} 7
traefik_service_requests_total{code="500",method="GET",protocol="http",service="shop-web-canary-80@kubernetescrd"} 5
traefik_service_requests_total{code="200",method="GET",protocol="http",service="shop-web-canary-8080@kubernetescrd"} 99
traefik_service_requests_total{code="200",method="GET",protocol="http",service="other-web-80@kubernetescrd"} 11
go_goroutines 42
"""


class Traefik:
    """A Traefik pod in the fake cluster, whose page says what it served."""

    def __init__(self, cluster: FakeCluster, clock: FakeClock, name: str = "traefik-0") -> None:
        self.cluster, self.clock, self.name = cluster, clock, name
        self.served: dict[str, tuple[float, float]] = {}
        self.start()

    def start(self, *, ready: bool = True, **extra: Any) -> None:
        """Start the process anew, with empty counters."""
        self.served.clear()
        started = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": self.name,
                    "namespace": "kube-system",
                    "labels": {"app.kubernetes.io/name": "traefik"},
                    **extra,
                },
                "spec": {"containers": [{"ports": [{"name": "metrics", "containerPort": 9100}]}]},
                "status": {
                    "conditions": [{"type": "Ready", "status": str(ready)}],
                    "containerStatuses": [{"name": "traefik", "state": {"running": {"startedAt": started}}}],
                },
            }
        )
        self.cluster.answers["kube-system", self.name, 9100, "/metrics"] = self.page

    def serve(self, track: str, requests: float, errors: float = 0) -> None:
        """Answer more requests."""
        before = self.served.get(track, (0.0, 0.0))
        self.served[track] = (before[0] + requests, before[1] + errors)

    def page(self) -> bytes:
        """Return the page; a status that never occurred has no line."""
        lines = []
        for track, (requests, errors) in self.served.items():
            name = service_names(*BACKENDS[track])[0]
            for code, value in (("200", requests - errors), ("503", errors)):
                if value:
                    lines.append(
                        f'{METRIC}{{code="{code}",method="GET",protocol="http",service="{name}"}} {value}'
                    )
        return "\n".join([*lines, ""]).encode()


@dataclass
class Bench:
    """A gateway under test, and how to let things happen to it."""

    gateway: Gateway
    clock: FakeClock
    serve: Callable[..., None]
    restart: Callable[[], None]


@pytest.fixture(params=["fake", "traefik"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Return each gateway in turn."""
    clock = FakeClock()
    if request.param == "fake":
        fake = FakeGateway(clock)
        return Bench(fake, clock, fake.serve, fake.restart)
    cluster = FakeCluster(clock=clock)
    pod = Traefik(cluster, clock)
    return Bench(TraefikGateway(cluster, clock), clock, pod.serve, pod.start)


def deltas(bench: Bench, *moves: Callable[[], None]) -> list[tuple[float, float]]:
    """Return (requests, errors) of the canary after each move."""
    state, _ = difference(CounterState(), bench.gateway.read(BACKENDS))
    seen = []
    for move in moves:
        bench.clock.sleep(5)
        move()
        state, change = difference(state, bench.gateway.read(BACKENDS))
        seen.append((change.of("canary").requests, change.of("canary").errors))
    return seen


def test_reading_has_time_pods_and_tracks(bench: Bench) -> None:
    """A reading says when, of whom, and has both tracks, empty before the first request."""
    reading = bench.gateway.read(BACKENDS)
    assert reading.at == bench.clock.now()
    assert reading.complete
    assert len(reading.pods) == 1
    assert dict(reading.samples) == {"stable": (), "canary": ()}


def test_first_requests_of_a_fresh_canary_are_seen(bench: Bench) -> None:
    """The first failure counts, although its series did not exist before."""
    assert deltas(bench, lambda: bench.serve("canary", 1, 1), lambda: bench.serve("canary", 9)) == [
        (1, 1),
        (9, 0),
    ]


def test_restart_of_the_gateway_loses_nothing_it_still_knows(bench: Bench) -> None:
    """After a restart the counters begin at zero, and what they then hold is new."""

    def again() -> None:
        bench.restart()
        bench.serve("canary", 60, 6)

    assert deltas(bench, lambda: bench.serve("canary", 50, 1), again) == [(50, 1), (60, 6)]


def test_series_belongs_to_a_pod_of_the_reading(bench: Bench) -> None:
    """Each series names the exporter it comes from, so that resets are told from new series."""
    bench.serve("canary", 1)
    reading = bench.gateway.read(BACKENDS)
    (sample,) = reading.samples["canary"]
    assert any(sample.series.startswith(pod) for pod in reading.pods)


def test_page_is_summed_by_backend() -> None:
    """All codes and methods of a backend are requests, 5xx are errors; other ports and apps are not ours."""
    names = {name: track for track, backend in BACKENDS.items() for name in service_names(*backend)}
    assert sorted(parse_counters(PAGE, names)) == [
        ("shop-web-80@kubernetescrd", 1210.0, 3.0),
        ("shop-web-canary-80@kubernetescrd", 5.0, 5.0),
    ]


@pytest.mark.parametrize(
    "line",
    [
        '{service="shop-web-80@kubernetescrd"} NaN',
        '{service="shop-web-80@kubernetescrd" 5',
        "{what} 5",
        '{a="b"} x',
    ],
)
def test_nonsense_is_broken(line: str) -> None:
    """A page that is none is never read as zero."""
    with pytest.raises(Broken, match="GATEWAY_NONSENSE"):
        list(parse_counters(METRIC + line, {"shop-web-80@kubernetescrd": "stable"}))


def test_names_are_normalised_as_traefik_does() -> None:
    """Runs of other characters become one hyphen."""
    assert service_names("my--shop", "web.1", 80)[0] == "my-shop-web-1-80@kubernetescrd"
    assert "shop-web-http-80@kubernetesgateway" in service_names("shop", "web", 80)


def traefik(*pods: str) -> tuple[TraefikGateway, FakeCluster, FakeClock, list[Traefik]]:
    """Return a gateway over so many pods."""
    clock = FakeClock()
    cluster = FakeCluster(clock=clock)
    made = [Traefik(cluster, clock, pod) for pod in pods]
    return TraefikGateway(cluster, clock), cluster, clock, made


def test_every_ready_pod_is_read() -> None:
    """Several gateway pods give several samples of one backend."""
    gateway, _, _, (one, two) = traefik("traefik-0", "traefik-1")
    one.serve("canary", 3)
    two.serve("canary", 4, 1)
    reading = gateway.read(BACKENDS)
    assert sorted((sample.requests, sample.errors) for sample in reading.samples["canary"]) == [
        (3, 0),
        (4, 1),
    ]


def test_pod_that_does_not_answer_makes_it_incomplete() -> None:
    """What the others say is kept, and the reading says that one is missing."""
    gateway, cluster, _, (one, _) = traefik("traefik-0", "traefik-1")
    one.serve("canary", 3)
    cluster.answers["kube-system", "traefik-1", 9100, "/metrics"] = Unavailable("POD_UNREACHABLE", "gone")
    reading = gateway.read(BACKENDS)
    assert not reading.complete
    assert reading.samples["canary"][0].requests == 3


def test_pods_that_are_not_ready_are_not_asked() -> None:
    """A gateway pod that gets no requests is not missed."""
    gateway, _, _, (_, two) = traefik("traefik-0", "traefik-1")
    two.start(ready=False)
    assert len(gateway.read(BACKENDS).pods) == 1


def test_no_gateway_is_unavailable() -> None:
    """Nobody to ask and nobody who answers are said apart, and neither is zero requests."""
    nobody, *_ = traefik()
    with pytest.raises(Unavailable, match="GATEWAY_MISSING"):
        nobody.read(BACKENDS)
    gateway, cluster, _, _ = traefik("traefik-0")
    cluster.answers.clear()
    with pytest.raises(Unavailable, match="GATEWAY_UNREADABLE"):
        gateway.read(BACKENDS)


def test_new_gateway_pods_are_found() -> None:
    """The list of pods is kept for two seconds only, and not at all after a pod was lost."""
    gateway, cluster, clock, _ = traefik("traefik-0")
    gateway.read(BACKENDS)
    Traefik(cluster, clock, "traefik-1")
    clock.sleep(2)
    assert len(gateway.read(BACKENDS).pods) == 2
    cluster.answers["kube-system", "traefik-0", 9100, "/metrics"] = Unavailable("POD_UNREACHABLE", "gone")
    cluster.objects("Pod")[0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not gateway.read(BACKENDS).complete
    assert gateway.read(BACKENDS).complete


@pytest.mark.parametrize(
    ("ports", "annotations", "port"),
    [
        ([{"name": "web", "containerPort": 80}, {"name": "metrics", "containerPort": 9999}], {}, 9999),
        ([], {"prometheus.io/port": "9101"}, 9101),
        ([], {}, 9100),
    ],
)
def test_port_of_the_counters(ports: list[Any], annotations: dict[str, str], port: int) -> None:
    """The port named `metrics`, else the annotated one, else 9100."""
    gateway, cluster, _, _ = traefik("traefik-0")
    pod = cluster.objects("Pod")[0]
    pod["spec"]["containers"][0]["ports"] = ports
    pod["metadata"]["annotations"] = annotations
    cluster.answers = {("kube-system", "traefik-0", port, "/metrics"): b""}
    assert gateway.read(BACKENDS).complete
