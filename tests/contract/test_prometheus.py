"""What a Prometheus says is read exactly; what it does not say is no data, and never zero."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from railiance.adapters.gateway import service_names
from railiance.adapters.prometheus import Prometheus, PrometheusGateway
from railiance.domain.counters import CounterState, difference
from railiance.domain.errors import Broken, Unavailable
from tests.fakes import FakeClock, FakeMetrics

BACKENDS = {"stable": ("shop", "web", 80), "canary": ("shop", "web-canary", 80)}


class Server:
    """A local HTTP server that answers queries as Prometheus does, from canned results."""

    def __init__(self) -> None:
        self.status, self.raw = 200, b""
        self.answer: Callable[[str], Any] = lambda _query: []
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)["query"][0]
                outer.asked.append((query, self.headers.get("Authorization")))
                body = (
                    outer.raw
                    or json.dumps({"status": "success", "data": {"result": outer.answer(query)}}).encode()
                )
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(
            target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.thread.start()

    def stop(self) -> None:
        """End the server."""
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a running server."""
    running = Server()
    yield running
    running.stop()


@pytest.mark.parametrize("kind", ["fake", "real"])
def test_vector(server: Server, kind: str) -> None:
    """An instant query gives labels and values, and no data gives an empty list."""
    metrics: Any = FakeMetrics() if kind == "fake" else Prometheus(server.url)
    if kind == "fake":
        metrics.answer("up", ({"pod": "a"}, 1.0), ({"pod": "b"}, 0.0))
    else:
        found = [{"metric": {"pod": pod}, "value": [1.5, value]} for pod, value in (("a", "1"), ("b", "0"))]
        server.answer = lambda query: found if query == "up" else []
    assert metrics.query("up") == [({"pod": "a"}, 1.0), ({"pod": "b"}, 0.0)]
    assert metrics.query("absent_thing") == []


def test_scalar_is_one_entry(server: Server) -> None:
    """A scalar has no labels."""
    server.answer = lambda _query: [1700000000.0, "42"]
    assert Prometheus(server.url).query("42") == [({}, 42.0)]


def test_nan_is_no_data(server: Server) -> None:
    """0/0 is not a number and says nothing."""
    server.answer = lambda _query: [
        {"metric": {}, "value": [1.0, "NaN"]},
        {"metric": {"a": "b"}, "value": [1.0, "+Inf"]},
    ]
    assert Prometheus(server.url).query("0/0") == [({"a": "b"}, float("inf"))]


def test_token_is_sent_and_never_shown(server: Server) -> None:
    """A bearer token goes into the header only."""
    metrics = Prometheus(server.url, token="s3cret-token")
    metrics.query("up")
    assert server.asked == [("up", "Bearer s3cret-token")]
    server.status = 503
    with pytest.raises(Unavailable) as caught:
        metrics.query("up")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "raw", "error", "code"),
    [
        (503, b"", Unavailable, "PROMETHEUS_UNREACHABLE"),
        (429, b"", Unavailable, "PROMETHEUS_UNREACHABLE"),
        (400, b'{"status":"error","error":"parse error"}', Broken, "PROMQL_REFUSED"),
        (200, b"<html>", Broken, "PROMETHEUS_NONSENSE"),
        (200, b'{"status":"success"}', Broken, "PROMETHEUS_NONSENSE"),
        (200, b'{"data":{"result":[{"metric":{}}]}}', Broken, "PROMETHEUS_NONSENSE"),
    ],
)
def test_bad_answers(server: Server, status: int, raw: bytes, error: type[Exception], code: str) -> None:
    """The server's trouble may be tried again, a wrong query or a wrong address may not."""
    server.status, server.raw = status, raw
    with pytest.raises(error, match=code):
        Prometheus(server.url).query("up{")
    assert len(server.asked) == 1, "no hidden retries"


def test_nobody_there() -> None:
    """A server that does not answer is unreachable, and the message says which and what to do."""
    with pytest.raises(Unavailable, match=r"PROMETHEUS_UNREACHABLE") as caught:
        Prometheus("http://user:pa55@127.0.0.1:9").query("up")
    assert "http://127.0.0.1:9" in str(caught.value)
    assert "pa55" not in str(caught.value)
    assert caught.value.help


class Scrapes:
    """What a Prometheus that scrapes gateway pods answers; time in seconds since the epoch."""

    def __init__(self, server: Server, clock: FakeClock) -> None:
        self.clock = clock
        self.label = "service"
        self.pods: dict[str, list[float]] = {}  # instance to its scrape times
        self.starts: dict[str, float] = {}
        self.counts: dict[tuple[str, str, str], list[list[Any]]] = {}  # (instance, name, code) to samples
        server.answer = self.answer

    def scrape(self, instance: str, **codes: dict[str, float]) -> None:
        """Scrape one pod now: track to code to value."""
        now = self.clock.now().timestamp()
        self.starts.setdefault(instance, now - 1000)
        self.pods.setdefault(instance, []).append(now)
        for track, values in codes.items():
            name = service_names(*BACKENDS[track])[0]
            for code, value in values.items():
                self.counts.setdefault((instance, name, code.strip("c")), []).append([now, str(value)])

    def answer(self, query: str) -> Any:
        """Answer the queries that the gateway asks."""
        if query.startswith("process_start_time_seconds"):
            return [
                {"metric": {"instance": pod}, "values": [[at, str(self.starts[pod])] for at in times]}
                for pod, times in [*self.pods.items(), ("other:1", [1.0])]
                if pod in self.starts
            ]
        if query.startswith("traefik_config_reloads_total"):
            return [{"metric": {"instance": pod}, "values": [[1.0, "1"]]} for pod in self.pods]
        match = re.match(r'traefik_service_requests_total\{(\w+)=~"(.*)"\}\[300s\]$', query)
        assert match is not None, query
        if match[1] != self.label:
            return []
        wanted = re.compile(match[2].replace("\\\\", "\\"))
        return [
            {"metric": {"instance": pod, self.label: name, "code": code}, "values": values}
            for (pod, name, code), values in self.counts.items()
            if wanted.fullmatch(name)
        ]


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock."""
    return FakeClock()


@pytest.fixture
def scrapes(server: Server, clock: FakeClock) -> Scrapes:
    """Return the canned scrapes behind the server."""
    return Scrapes(server, clock)


@pytest.fixture
def gateway(server: Server, clock: FakeClock, scrapes: Scrapes) -> PrometheusGateway:
    """Return the gateway's counters as this Prometheus has them."""
    return PrometheusGateway(Prometheus(server.url), clock, service_names)


def test_counters_by_track(gateway: PrometheusGateway, scrapes: Scrapes, clock: FakeClock) -> None:
    """Codes are summed, 5xx are errors, a missing 5xx series is 0, and the time is the scrape's."""
    scrapes.scrape("10.0.0.1:9100", canary={"c200": 7, "c500": 2}, stable={"c200": 40, "c404": 1})
    scraped = clock.now()
    clock.sleep(3)
    reading = gateway.read(BACKENDS)
    assert reading.at == scraped
    assert reading.complete
    assert [(sample.requests, sample.errors) for sample in reading.samples["canary"]] == [(9, 2)]
    assert [(sample.requests, sample.errors) for sample in reading.samples["stable"]] == [(41, 0)]


def test_exported_label(gateway: PrometheusGateway, scrapes: Scrapes) -> None:
    """A Prometheus that keeps `service` for itself renames the gateway's label, and is understood."""
    scrapes.label = "exported_service"
    scrapes.scrape("10.0.0.1:9100", canary={"c200": 7})
    assert gateway.read(BACKENDS).samples["canary"][0].requests == 7


def test_same_scrape_twice_is_one_reading(
    gateway: PrometheusGateway, scrapes: Scrapes, clock: FakeClock
) -> None:
    """Asking between two scrapes adds nothing; the next scrape adds its difference, first errors included."""
    scrapes.scrape("a:1", stable={"c200": 40})
    state, _ = difference(CounterState(), gateway.read(BACKENDS))
    clock.sleep(1)
    state, again = difference(state, gateway.read(BACKENDS))
    assert not again.fresh
    clock.sleep(1)
    scrapes.scrape("a:1", stable={"c200": 50}, canary={"c500": 1})
    _, change = difference(state, gateway.read(BACKENDS))
    assert (change.of("stable").requests, change.of("canary").errors) == (10, 1)


def test_restart_of_a_gateway_pod_is_a_new_exporter(
    gateway: PrometheusGateway, scrapes: Scrapes, clock: FakeClock
) -> None:
    """The start of the process is part of the series, so a restart is told from a continuation."""
    scrapes.scrape("a:1", stable={"c200": 40})
    state, _ = difference(CounterState(), gateway.read(BACKENDS))
    clock.sleep(5)
    scrapes.starts["a:1"] = clock.now().timestamp() - 2
    scrapes.scrape("a:1", stable={"c200": 60})
    _, change = difference(state, gateway.read(BACKENDS))
    assert change.of("stable").requests == 60


def test_lost_target_is_incomplete(gateway: PrometheusGateway, scrapes: Scrapes, clock: FakeClock) -> None:
    """A gateway pod that is no longer scraped makes the reading incomplete, not smaller."""
    scrapes.scrape("a:1", stable={"c200": 40})
    scrapes.scrape("b:1", stable={"c200": 40})
    assert gateway.read(BACKENDS).complete
    clock.sleep(20)
    scrapes.scrape("a:1", stable={"c200": 50})
    assert not gateway.read(BACKENDS).complete


def test_slow_scrapes_are_not_lost_ones(
    gateway: PrometheusGateway, scrapes: Scrapes, clock: FakeClock
) -> None:
    """A Prometheus that scrapes twice a minute is late after three of its own scrapes, not after ours."""
    for _ in range(4):
        scrapes.scrape("a:1", stable={"c200": 40})
        clock.sleep(30)
    clock.sleep(20)
    assert gateway.read(BACKENDS).complete
    clock.sleep(60)
    assert not gateway.read(BACKENDS).complete


def test_series_that_the_scrape_did_not_have_is_left_out(
    gateway: PrometheusGateway, scrapes: Scrapes, clock: FakeClock
) -> None:
    """A series whose last sample is older than its pod's last scrape has vanished."""
    scrapes.scrape("a:1", canary={"c200": 7}, stable={"c200": 40})
    clock.sleep(5)
    scrapes.scrape("a:1", stable={"c200": 50})
    reading = gateway.read(BACKENDS)
    assert reading.samples["canary"] == ()
    assert reading.at.timestamp() == clock.now().timestamp()


def test_no_gateway_is_unavailable(gateway: PrometheusGateway) -> None:
    """A Prometheus that scrapes no gateway cannot tell, and says so."""
    with pytest.raises(Unavailable, match="GATEWAY_MISSING"):
        gateway.read(BACKENDS)


def test_old_scrapes_are_dated_as_old(gateway: PrometheusGateway, scrapes: Scrapes, clock: FakeClock) -> None:
    """If Prometheus stopped scraping, the reading keeps its old time and is not complete."""
    scrapes.scrape("a:1", stable={"c200": 40})
    clock.sleep(60)
    reading = gateway.read(BACKENDS)
    assert not reading.complete
    assert reading.at < datetime.fromtimestamp(clock.now().timestamp() - 59, UTC)
