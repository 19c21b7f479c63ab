"""How a canary is judged that no user sees."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railiance.adapters.gateway import service_names
from railiance.domain.check_rules import ServiceAddress
from railiance.domain.hard_gates import Gates, GateSignal
from railiance.domain.manifests import RouteSpec
from railiance.domain.probing import (
    MOST_RPS,
    ProbeTerms,
    Sent,
    Tally,
    clear_failure,
    conclude_probes,
    expected_statuses,
    gateway_path,
    host_of,
    is_good,
    is_over,
    look_backend,
    on_service,
)
from railiance.domain.verdict import Verdict
from railiance_schema import Analysis, HealthEndpoint, parse_duration

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
TERMS = ProbeTerms(earliest=20, interval=5, min_samples=50, bound=0.01, rps=5)
CRASH = Gates(failures=(GateSignal("crash-loop", "web-1 crashes again and again"),))
EVICTED = Gates(unknowns=(GateSignal("taken-away", "web-1 is taken away"),))


def _verdict(tally: Tally, gates: Gates = Gates(), reached: float | None = None) -> Verdict:  # noqa: B008 - frozen
    return conclude_probes(TERMS, tally, gates, reached=reached).verdict


def test_terms_come_from_the_contract_with_a_bounded_rate() -> None:
    """A probe is no load test: the rate is bounded whatever the contract asks for."""
    analysis = Analysis(
        earliest=parse_duration("30s"), success_ratio_min=0.95, synthetic_rps=4000, synthetic_path="/"
    )
    terms = ProbeTerms.of(analysis)
    assert (terms.earliest, terms.rps, round(terms.bound, 6)) == (30, MOST_RPS, 0.05)


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (Tally(100, 0), PASS),
        (Tally(100, 1), PASS),
        (Tally(100, 2), FAIL),
        (Tally(50, 0), PASS),
        (Tally(49, 0), UNKNOWN),
        (Tally(49, 1), UNKNOWN),
        (Tally(4, 4), FAIL),
        (Tally(0, 0), UNKNOWN),
        (Tally(0, 0, unasked=100), UNKNOWN),
    ],
)
def test_the_verdict_follows_the_failing_share(tally: Tally, expected: Verdict) -> None:
    """Enough answers within the bound pass; few answers are UNKNOWN unless most fail; none is never a pass."""
    assert _verdict(tally) is expected


def test_hard_gates_outweigh_clean_answers() -> None:
    """A crash is FAIL and an eviction UNKNOWN, however clean the answers are."""
    assert _verdict(Tally(100, 0), CRASH) is FAIL
    assert _verdict(Tally(100, 0), EVICTED) is UNKNOWN
    assert _verdict(Tally(100, 50), EVICTED) is FAIL


def test_answers_that_the_gateway_did_not_see_reach_the_canary_prove_nothing() -> None:
    """Through the gateway a PASS needs its own counters: stable might have answered instead."""
    assert _verdict(Tally(100, 0), reached=0) is UNKNOWN
    assert _verdict(Tally(100, 0), reached=100) is PASS
    assert _verdict(Tally(100, 0), reached=95) is PASS


def test_only_a_clear_failure_ends_the_watch_early() -> None:
    """Ten failures and half of all requests, or a hard gate, need no more waiting."""
    assert clear_failure(TERMS, Tally(9, 9), Gates()) is None
    assert clear_failure(TERMS, Tally(21, 10), Gates()) is None
    assert clear_failure(TERMS, Tally(20, 10), Gates()) is not None
    assert clear_failure(TERMS, Tally(0, 0), CRASH) is not None
    assert clear_failure(TERMS, Tally(100, 0), EVICTED) is None


def test_a_watch_ends_when_the_earliest_time_and_the_samples_are_there_or_hope_is_lost() -> None:
    """Before `earliest` never; after it with enough answers; without them after twice the time they need."""
    slow = ProbeTerms(earliest=5, interval=5, min_samples=50, bound=0.01, rps=5)
    assert not is_over(slow, Tally(100, 0), 4.9)
    assert is_over(slow, Tally(50, 0), 5)
    assert not is_over(slow, Tally(49, 0), 19.9)
    assert is_over(slow, Tally(49, 0), 20)


@given(requests=st.integers(0, 500), errors=st.integers(0, 500), unasked=st.integers(0, 500))
def test_no_tally_passes_with_too_few_answers_or_too_many_failures(
    requests: int, errors: int, unasked: int
) -> None:
    """PASS implies enough answers and a failing share within the bound."""
    tally = Tally(requests, min(errors, requests), unasked)
    if _verdict(tally) is PASS:
        assert tally.requests >= TERMS.min_samples
        assert tally.share <= TERMS.bound


def test_requests_that_never_left_are_not_the_canary_s_failures() -> None:
    """An API server or gateway that does not answer is counted apart."""
    tally = Tally().counted(Sent(None, asked=False), ()).counted(Sent(None), ()).counted(Sent(200), ())
    assert tally == Tally(requests=2, errors=1, unasked=1)


@pytest.mark.parametrize(
    ("status", "expected", "good"),
    [
        (200, (), True),
        (404, (), True),
        (500, (), False),
        (404, (200,), False),
        (204, (200, 204), True),
        (None, (), False),
    ],
)
def test_an_answer_is_good_by_the_path_s_own_statuses(
    status: int | None, expected: tuple[int, ...], good: bool
) -> None:
    """A health path must give its expected status; any other path anything below 500."""
    assert is_good(status, expected) is good


def test_a_path_s_statuses_come_from_its_health_endpoints() -> None:
    """Every endpoint with that path contributes its status; a path without one has none."""
    endpoints = [
        HealthEndpoint(name="a", url="http://x.y.svc/health", expected_status=204),
        HealthEndpoint(name="b", url="http://127.0.0.1:1/other"),
    ]
    assert expected_statuses("/health", endpoints) == (204,)
    assert expected_statuses("/", endpoints) == ()


@pytest.mark.parametrize(
    ("prefix", "path", "expected"),
    [
        ("/", "/health", "/health"),
        ("/app", "/app/health", "/app/health"),
        ("/app", "/app", "/app"),
        ("/app/", "/app/x", "/app/x"),
        ("/app", "/health", "/app"),
        ("/app", "/application", "/app"),
    ],
)
def test_through_the_gateway_only_routed_paths_are_asked(prefix: str, path: str, expected: str) -> None:
    """A path that the route does not match would be answered by the gateway, or by another app."""
    assert gateway_path(prefix, path) == expected


@pytest.mark.parametrize(
    ("url", "declared", "expected"),
    [
        ("http://web.shop.svc/h", None, None),
        ("http://web.shop.svc/h", "shop.example", "shop.example"),
        ("https://shop.example/h", None, "shop.example"),
        ("http://127.0.0.1:8080/h", None, None),
        ("http://localhost:8080/h", None, None),
    ],
)
def test_a_pod_is_asked_with_the_public_name(url: str, declared: str | None, expected: str | None) -> None:
    """Servers with a list of allowed hosts refuse addresses: the declared or public name is sent."""
    assert host_of(url, declared) == expected


def test_a_health_url_is_turned_to_the_canary_s_service() -> None:
    """Scheme and path stay for a Service's URL; TLS of a public URL ends at the gateway."""
    canary = ServiceAddress("shop", "web-canary")
    assert on_service("https://web.shop.svc/h?x=1", canary) == "https://web-canary.shop.svc/h?x=1"
    assert on_service("https://shop.example/h", canary) == "http://web-canary.shop.svc/h"


def _spec(provider: str) -> RouteSpec:
    return RouteSpec(
        app_id="web",
        namespace="shop",
        route="web",
        provider=provider,  # type: ignore[arg-type]
        host="shop.example",
        path="/",
        port=80,
        stable_service="web",
        canary_service="web-canary",
        weight=0,
        header_value="canary-1",
        gateway="kube-system/gw" if provider == "gateway-api" else None,
    )


def test_the_private_look_is_counted_where_the_gateway_counts_it() -> None:
    """Traefik counts a rule that points at a Service under namespace, route and a digest of the match."""
    match = "Host(`shop.example`) && PathPrefix(`/`) && Header(`X-Railiance-Track`, `canary-1`)"
    digest = hashlib.sha256(match.encode()).hexdigest()[:20]
    backend = look_backend(_spec("traefik"))
    assert backend == ("shop", f"web-{digest}", 0)
    assert service_names(*backend) == (f"shop-web-{digest}@kubernetescrd",)
    assert look_backend(_spec("gateway-api")) == ("shop", "web-canary", 80)
