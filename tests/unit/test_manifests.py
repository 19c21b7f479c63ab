"""Route objects list exactly who can answer, with the wanted shares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railiance.domain.manifests import RouteSpec, backends_of, is_ours, route_objects, route_refs, weight_of

SPEC = RouteSpec(
    app_id="hello",
    namespace="shop",
    route="hello",
    provider="traefik",
    host="hello.example",
    path="/",
    port=80,
    stable_service="hello",
    canary_service="hello-canary",
    weight=20,
    header_name="X-Railiance-Track",
    header_value="canary-4711",
)
GATEWAY = replace(SPEC, provider="gateway-api", gateway="infra/public")


def kinds(spec: RouteSpec) -> list[str]:
    """Return the kinds in the order of writing."""
    return [document["kind"] for document in route_objects(spec)]


def rules(spec: RouteSpec) -> list[Any]:
    """Return the rules of the last object."""
    body = route_objects(spec)[-1]["spec"]
    return list(body.get("routes", body.get("rules")))


def test_traefik_route_goes_through_a_weighted_service() -> None:
    """The main rule points at a TraefikService with both tracks, which is written before the rule."""
    service, route = route_objects(replace(SPEC, header_value=None))
    assert (service["kind"], route["kind"]) == ("TraefikService", "IngressRoute")
    assert service["spec"]["weighted"]["services"] == [
        {"kind": "Service", "name": "hello", "port": 80, "weight": 80},
        {"kind": "Service", "name": "hello-canary", "port": 80, "weight": 20},
    ]
    main = route["spec"]["routes"][-1]
    assert main["match"] == "Host(`hello.example`) && PathPrefix(`/`)"
    assert main["services"] == [{"kind": "TraefikService", "name": "hello"}]


def test_header_rule_is_longer_than_the_main_rule() -> None:
    """Traefik lets the longer rule win, so the header must make it longer than the same rule without."""
    header, main, _ = rules(SPEC)
    assert header["match"].startswith(main["match"])
    assert len(header["match"]) > len(main["match"])
    assert "Header(`X-Railiance-Track`, `canary-4711`)" in header["match"]
    assert header["services"][0]["name"] == "hello-canary"


def test_stable_stands_by_while_a_run_is_open() -> None:
    """If the canary breaks the main rule, the same condition spelt otherwise gives everybody to stable."""
    fallback, main, route = route_objects(SPEC)
    assert [child["name"] for child in fallback["spec"]["weighted"]["services"]] == ["hello"]
    assert (fallback["metadata"]["name"], main["metadata"]["name"]) == ("hello-fallback", "hello")
    _, first, second = route["spec"]["routes"]
    assert second["services"] == [{"kind": "TraefikService", "name": "hello-fallback"}]
    assert sorted(second["match"].split(" && ")) == sorted(first["match"].split(" && "))
    assert second["match"] != first["match"]
    assert second["priority"] < len(first["match"])
    assert "priority" not in first


@pytest.mark.parametrize(
    "change",
    [{"header_value": None}, {"stable_listed": False}, {"stable_listed": False, "weight": 0}],
    ids=["no-run", "stable-not-ready", "first-install"],
)
def test_nobody_stands_by_without_need(change: dict[str, Any]) -> None:
    """Only an open run with a ready stable has somebody to stand by."""
    names = [document["metadata"]["name"] for document in route_objects(replace(SPEC, **change))]
    assert "hello-fallback" not in names


def test_gateway_route_is_one_object() -> None:
    """A HTTPRoute holds the header rule and the weighted rule, with all defaults written out."""
    (route,) = route_objects(GATEWAY)
    header, main = route["spec"]["rules"]
    assert header["matches"][0]["headers"] == [
        {"type": "Exact", "name": "X-Railiance-Track", "value": "canary-4711"}
    ]
    assert [(ref["name"], ref["weight"]) for ref in main["backendRefs"]] == [
        ("hello", 80),
        ("hello-canary", 20),
    ]
    assert route["spec"]["parentRefs"][0]["namespace"] == "infra"
    assert route["spec"]["hostnames"] == ["hello.example"]


@pytest.mark.parametrize("spec", [SPEC, GATEWAY], ids=lambda spec: spec.provider)
def test_no_header_rule_without_a_run(spec: RouteSpec) -> None:
    """Nobody can choose the canary while no run is open."""
    assert len(rules(replace(spec, header_value=None))) == 1


@pytest.mark.parametrize("spec", [SPEC, GATEWAY], ids=lambda spec: spec.provider)
def test_first_install_has_no_main_rule(spec: RouteSpec) -> None:
    """Without a stable track users get nothing from us before the promotion; the header rule stands alone."""
    first = replace(spec, weight=0, stable_listed=False)
    assert len(rules(first)) == 1
    assert "TraefikService" not in kinds(first)
    assert weight_of(route_objects(first), "hello-canary") is None
    assert route_objects(replace(first, header_value=None)) == []


@given(
    st.sampled_from([SPEC, GATEWAY]),
    st.integers(0, 100),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "x"]),
)
def test_weights_are_read_back(
    spec: RouteSpec, weight: int, stable: bool, canary: bool, header: str | None
) -> None:
    """Shares are whole, positive and listed; what is written reads back as the share in effect."""
    wanted = replace(spec, weight=weight, stable_listed=stable, canary_listed=canary, header_value=header)
    backends = backends_of(wanted)
    assert all(share > 0 for _, share in backends)
    if len(backends) == 2:
        assert sum(share for _, share in backends) == 100
    expected = {(): None, ("hello",): 0, ("hello-canary",): 100, ("hello", "hello-canary"): weight}
    read = weight_of(route_objects(wanted), "hello-canary")
    assert read == expected[tuple(name for name, _ in backends)]


def test_objects_say_whose_they_are() -> None:
    """Every object names the app and the engine, and asks Helm to leave it."""
    for document in (*route_objects(SPEC), *route_objects(GATEWAY)):
        assert is_ours(document, "hello")
        assert not is_ours(document, "other")
        assert document["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert document["metadata"]["namespace"] == "shop"
    assert not is_ours({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}}, "hello")


def test_removal_takes_the_rule_first() -> None:
    """A rule must never point at a weighted service that is gone."""
    assert [ref.kind for ref in route_refs(SPEC)] == ["IngressRoute", "TraefikService", "TraefikService"]
    assert {ref.name for ref in route_refs(SPEC)} == {doc["metadata"]["name"] for doc in route_objects(SPEC)}
    assert [ref.kind for ref in route_refs(GATEWAY)] == ["HTTPRoute"]


def test_entry_points_and_tls() -> None:
    """Declared entry points and TLS Secret are written; undeclared ones are left to Traefik."""
    body = route_objects(replace(SPEC, entry_points=("websecure",), tls_secret="hello-tls"))[-1]["spec"]
    assert body["entryPoints"] == ["websecure"]
    assert body["tls"] == {"secretName": "hello-tls"}
    assert set(route_objects(SPEC)[-1]["spec"]) == {"routes"}


@pytest.mark.parametrize(
    "change",
    [{"weight": 101}, {"weight": -1}, {"host": "a`b"}, {"provider": "gateway-api"}, {"header_value": "x\ny"}],
    ids=str,
)
def test_impossible_routes_are_refused(change: dict[str, Any]) -> None:
    """What no gateway can mean never gets to one."""
    with pytest.raises(ValueError, match=r"hello|weight"):
        replace(SPEC, **change)


def test_missing_weight_counts_one() -> None:
    """Both providers read a backend without a weight as 1."""
    foreign = {
        "kind": "TraefikService",
        "spec": {"weighted": {"services": [{"name": "a"}, {"name": "b", "weight": 3}]}},
    }
    assert weight_of([foreign], "b") == 75
    assert weight_of([{"kind": "TraefikService", "spec": {"mirroring": {}}}], "b") is None
