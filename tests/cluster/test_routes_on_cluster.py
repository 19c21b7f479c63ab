"""What routes really do: who answers at which weight, what an empty backend does, and that nobody is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from railiance.adapters.cluster import KubeCluster
from railiance.adapters.routes import Routes
from railiance.domain.manifests import RouteSpec, route_objects
from railiance.lab import LabStatus
from tests.gateway_kit import Tracks, Users, tracks_in, until

pytestmark = pytest.mark.cluster
PROVIDERS = ["traefik", "gateway-api"]
STABLE, CANARY = (200, "demoapp v1"), (200, "demoapp v2")


@pytest.fixture(scope="module")
def shared(cluster: KubeCluster, lab: LabStatus) -> Iterator[Tracks]:
    """Return the tracks that all these tests use in turn."""
    with tracks_in(cluster, lab) as made:
        yield made


@pytest.fixture
def tracks(shared: Tracks) -> Tracks:
    """Return two ready tracks."""
    shared.restore()
    return shared


@pytest.fixture
def routes(cluster: KubeCluster, tracks: Tracks) -> Iterator[Routes]:
    """Return the adapter, and take the routes away before the namespace goes."""
    yield Routes(cluster)
    tracks.close(PROVIDERS)


def open_route(tracks: Tracks, routes: Routes, spec: RouteSpec) -> None:
    """Write a route and wait until the gateway serves it."""
    routes.apply(spec)
    until("the route serves", lambda: tracks.ask()[0] == 200)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_split_is_exact_and_the_header_chooses(tracks: Tracks, routes: Routes, provider: str) -> None:
    """20 of 100 requests reach the canary; the header reaches it at any weight, another value does not."""
    open_route(tracks, routes, tracks.spec(provider, 20))
    until("both answer", lambda: len(tracks.asked(20)) == 2)
    seen = tracks.asked(100)
    assert set(seen) == {STABLE, CANARY}
    assert 18 <= seen[CANARY] <= 22
    assert {tracks.ask(canary=True) for _ in range(5)} == {CANARY}
    routes.apply(tracks.spec(provider, 0))
    until("nobody reaches the canary", lambda: set(tracks.asked(20)) == {STABLE})
    assert tracks.ask(canary=True) == CANARY


@pytest.mark.parametrize("provider", PROVIDERS)
def test_weight_changes_lose_nobody(tracks: Tracks, routes: Routes, provider: str) -> None:
    """Under 50 requests a second every weight change is answered, there and back, by both tracks."""
    open_route(tracks, routes, tracks.spec(provider, 0))
    with Users(tracks).at_work() as users:
        for weight in (20, 50, 100, 50, 0, 100, 0):
            routes.apply(tracks.spec(provider, weight))
            time.sleep(1.5)
    answers = users.answers()
    assert users.lost() == 0, answers
    assert set(answers) == {STABLE, CANARY}
    assert sum(answers.values()) > 300


def test_canary_that_gets_empty_costs_stable_nothing(tracks: Tracks, routes: Routes) -> None:
    """When the canary's only pod is no longer ready, Traefik gives its share to stable by itself."""
    open_route(tracks, routes, tracks.spec("traefik", 20))
    with Users(tracks).at_work() as users:
        until("both answer", lambda: {STABLE, CANARY} <= set(users.answers()))
        assert tracks.ask("/fault?ready=false", canary=True)[0] == 200
        until("the header rule is skipped", lambda: tracks.ask(canary=True) == STABLE)
        since = time.monotonic()
        time.sleep(2)
        assert set(users.answers(since)) == {STABLE}
    assert users.lost() == 0, users.answers()


def test_empty_child_takes_a_weighted_service_down(
    tracks: Tracks, routes: Routes, cluster: KubeCluster
) -> None:
    """The reason for all this: without somebody who stands by, an empty child at weight 0 costs every user."""
    spec = replace(tracks.spec("traefik", 0), header_value=None)
    service, rule = route_objects(spec)
    service["spec"]["weighted"]["services"].append(
        {"kind": "Service", "name": "web-canary", "port": 80, "weight": 0}
    )
    for manifest in (service, rule):
        cluster.apply(manifest, field_manager="railiance", force=True)
    until("the route serves", lambda: tracks.ask() == STABLE)
    tracks.deploy("web-canary", "v2", replicas=0)
    until("nobody is served", lambda: set(tracks.asked(10)) == {(404, "404 page not found")})
    routes.apply(spec)
    until("stable is served again", lambda: set(tracks.asked(10)) == {STABLE})


def test_gateway_api_keeps_the_other_backend(tracks: Tracks, routes: Routes) -> None:
    """An empty backend of a HTTPRoute costs its own share only, with 503; at weight 0 it costs nothing."""
    open_route(tracks, routes, tracks.spec("gateway-api", 20))
    tracks.deploy("web-canary", "v2", replicas=0)
    until("the share is lost", lambda: (503, "no available server") in tracks.asked(20))
    seen = tracks.asked(50)
    assert set(seen) == {STABLE, (503, "no available server")}
    assert seen[STABLE] >= 38
    routes.apply(replace(tracks.spec("gateway-api", 20), canary_listed=False))
    until("everybody is with stable", lambda: set(tracks.asked(20)) == {STABLE})


def test_failing_answers_are_no_lost_requests(tracks: Tracks, routes: Routes) -> None:
    """A canary that answers 500 has answered; its share sees it, and nobody else does."""
    tracks.deploy("web-canary", "v2", fail=1.0)
    open_route(tracks, routes, tracks.spec("traefik", 20))
    until("the canary answers", lambda: any(status == 500 for status, _ in tracks.asked(20)))
    statuses = {status for status, _ in tracks.asked(50)}
    assert statuses == {200, 500}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_first_install_is_reached_by_header_only(tracks: Tracks, routes: Routes, provider: str) -> None:
    """Before the first promotion users get nothing, and the header gets the canary."""
    routes.apply(replace(tracks.spec(provider, 0), stable_listed=False))
    until("the header reaches it", lambda: tracks.ask(canary=True) == CANARY)
    assert tracks.ask()[0] == 404
