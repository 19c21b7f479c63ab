"""The counters that decide are those of real requests: each one once, on the right track, failures as failures."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from railiance.adapters.clock import SystemClock
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.gateway import TraefikGateway, service_names
from railiance.adapters.prometheus import Prometheus, PrometheusGateway
from railiance.adapters.routes import Routes
from railiance.domain.counters import CounterState, Difference, difference
from railiance.domain.hard_gates import Gates
from railiance.domain.judge import JudgeConfig, JudgeState, assess, update
from railiance.domain.ports import Gateway, GatewayReading
from railiance.domain.verdict import Verdict
from railiance.lab import LabStatus
from tests.gateway_kit import Tracks, Users, tracks_in, until

pytestmark = pytest.mark.cluster
PROVIDERS = ["traefik", "gateway-api"]


@pytest.fixture(scope="module")
def shared(cluster: KubeCluster, lab: LabStatus) -> Iterator[Tracks]:
    """Return the tracks that all these tests use in turn."""
    with tracks_in(cluster, lab) as made:
        made.restore(fail=1.0)
        yield made


@pytest.fixture
def tracks(shared: Tracks) -> Iterator[Tracks]:
    """Return a healthy stable track, and a canary that fails every request."""
    yield shared
    shared.close(PROVIDERS)


@pytest.fixture
def gateway(cluster: KubeCluster) -> TraefikGateway:
    """Return the real counters."""
    return TraefikGateway(cluster, SystemClock())


def opened(tracks: Tracks, provider: str, weight: int) -> None:
    """Open the route and wait until both tracks answer as they should."""
    Routes(tracks.cluster).apply(tracks.spec(provider, weight))
    until("both answer", lambda: {status for status, _ in tracks.asked(20)} == {200, 500})


def counted(gateway: Gateway, tracks: Tracks, requests: int) -> Difference:
    """Return what the counters say about so many requests."""
    state, _ = difference(CounterState(), gateway.read(tracks.backends))
    sent = tracks.asked(requests)
    _, change = difference(state, gateway.read(tracks.backends))
    failed = sum(count for (status, _), count in sent.items() if status == 500)
    assert (change.of("canary").errors, change.of("stable").errors) == (failed, 0)
    return change


def test_first_failure_of_a_fresh_canary_is_counted(tracks: Tracks, gateway: TraefikGateway) -> None:
    """The series of a canary that nobody called does not exist, and its first request is not lost on us.

    This test stands first: later, somebody has called it.
    """
    Routes(tracks.cluster).apply(tracks.spec("gateway-api", 0))
    until("stable answers", lambda: tracks.ask()[0] == 200)
    before = gateway.read(tracks.backends)
    assert before.samples["canary"] == ()
    state, _ = difference(CounterState(), before)
    assert tracks.ask(canary=True)[0] == 500
    _, change = difference(state, gateway.read(tracks.backends))
    assert (change.of("canary").requests, change.of("canary").errors) == (1, 1)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_request_is_counted_once(tracks: Tracks, gateway: TraefikGateway, provider: str) -> None:
    """100 requests are 100 in the counters, split as set, with every 500 an error of the canary."""
    opened(tracks, provider, 20)
    change = counted(gateway, tracks, 100)
    assert change.complete
    assert change.of("canary").requests + change.of("stable").requests == 100
    assert 18 <= change.of("canary").requests <= 22


def test_header_requests_on_traefik_are_not_users(tracks: Tracks, gateway: TraefikGateway) -> None:
    """Whoever chooses the canary by header is no user by lot, and does not count for its track."""
    opened(tracks, "traefik", 20)
    state, _ = difference(CounterState(), gateway.read(tracks.backends))
    assert {tracks.ask(canary=True)[0] for _ in range(10)} == {500}
    _, change = difference(state, gateway.read(tracks.backends))
    assert change.of("canary").requests == 0


def test_reading_is_fast_enough_for_a_trip_wire(tracks: Tracks, gateway: TraefikGateway) -> None:
    """A reading costs well under the quarter of a second in which it will be repeated."""
    opened(tracks, "traefik", 20)
    gateway.read(tracks.backends)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        gateway.read(tracks.backends)
        times.append(time.perf_counter() - began)
    assert sorted(times)[10] < 0.2


def test_prometheus_has_the_same_numbers(tracks: Tracks, gateway: TraefikGateway, lab: LabStatus) -> None:
    """Once it has scraped, Prometheus says what the gateway says, to the request."""
    if lab.prometheus_url is None:
        pytest.fail("the tests' cluster has no Prometheus: `railiance lab up`")
    source = PrometheusGateway(Prometheus(lab.prometheus_url), SystemClock(), service_names)
    opened(tracks, "traefik", 20)
    tracks.asked(30)
    direct = gateway.read(tracks.backends)

    def numbers(reading: GatewayReading) -> dict[str, list[tuple[float, float]]]:
        found = reading.samples.items()
        return {track: sorted((one.requests, one.errors) for one in samples) for track, samples in found}

    until("Prometheus has scraped", lambda: numbers(source.read(tracks.backends)) == numbers(direct), 20)
    reading = source.read(tracks.backends)
    assert reading.complete
    assert len(reading.pods) == len(direct.pods)


def test_bad_canary_is_judged_within_seconds(tracks: Tracks, gateway: TraefikGateway) -> None:
    """Real counters of a canary that fails everything are a FAIL with numbers, and stable is not blamed."""
    config = JudgeConfig(interval=1.0, blip=2.0)
    opened(tracks, "traefik", 20)
    clock, began = SystemClock(), time.monotonic()
    state = update(config, JudgeState(), gateway.read(tracks.backends), 20)
    with Users(tracks).at_work():
        while (said := assess(config, state, Gates(), clock.now())).verdict is not Verdict.FAIL:
            assert time.monotonic() - began < 30, said
            clock.sleep(1.0)
            state = update(config, state, gateway.read(tracks.backends), 20)
    assert said.code == "worse"
    assert state.total.canary_errors == state.total.canary_requests > 0
    assert state.total.stable_errors == 0
