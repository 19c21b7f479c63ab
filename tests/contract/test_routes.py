"""Routes are written whole, read back, and never taken from anybody; in memory and on a real API server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from railiance.adapters.routes import RouteReader, Routes
from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.manifests import RouteSpec, route_refs
from railiance.domain.ports import Cluster, ObjectRef
from tests.fake_cluster import FakeCluster

TRAEFIK = RouteSpec(
    app_id="hello",
    namespace="default",
    route="hello",
    provider="traefik",
    host="hello.example",
    path="/",
    port=80,
    stable_service="hello",
    canary_service="hello-canary",
    weight=20,
    header_value="canary-1",
)
SPECS = [TRAEFIK, replace(TRAEFIK, provider="gateway-api", gateway="kube-system/public")]


@pytest.fixture(params=SPECS, ids=lambda spec: spec.provider)
def spec(request: pytest.FixtureRequest, namespace: str) -> RouteSpec:
    """Return a route of each provider, in a fresh namespace."""
    return replace(request.param, namespace=namespace)


def main_ref(spec: RouteSpec) -> ObjectRef:
    """Return the object that holds the weights."""
    return next(ref for ref in route_refs(spec) if ref.kind in {"TraefikService", "HTTPRoute"})


def chart_owned(spec: RouteSpec) -> dict[str, Any]:
    """Return the route's first object as a chart would have rendered it."""
    ref = main_ref(spec)
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    return {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "labels": labels},
        "spec": {"routes": []} if ref.kind == "IngressRoute" else {},
    }


def test_nothing_there(cluster: Cluster, spec: RouteSpec) -> None:
    """A route that does not exist has no weight and no owner."""
    state = RouteReader(cluster).read(spec)
    assert (state.exists, state.weight, state.foreign) == (False, None, ())


def test_written_weight_reads_back(cluster: Cluster, spec: RouteSpec) -> None:
    """What was applied is what the cluster has, for every weight, and twice is the same."""
    routes = Routes(cluster)
    for weight in (0, 20, 20, 100, 50):
        assert routes.apply(replace(spec, weight=weight)).weight == weight


def test_rule_never_points_at_nothing() -> None:
    """The weighted service comes before the rule and leaves after it."""
    journal: list[str] = []
    routes = Routes(FakeCluster(journal=journal))
    routes.apply(TRAEFIK)
    routes.apply(replace(TRAEFIK, weight=0, stable_listed=False))
    assert journal == [
        "apply TraefikService default/hello-fallback",
        "apply TraefikService default/hello",
        "apply IngressRoute default/hello",
        "apply IngressRoute default/hello",
        "delete TraefikService default/hello",
        "delete TraefikService default/hello-fallback",
    ]


def test_foreign_objects_are_refused_and_can_be_adopted(cluster: Cluster, spec: RouteSpec) -> None:
    """A chart's object is left alone until somebody says to take it over."""
    cluster.create(chart_owned(spec))
    routes = Routes(cluster)
    assert routes.read(spec).foreign == (f"{main_ref(spec).kind}/hello",)
    with pytest.raises(Conflict, match="DENY_FOREIGN_OWNER"):
        routes.apply(spec)
    with pytest.raises(Conflict, match="DENY_FOREIGN_OWNER"):
        routes.remove(spec)
    assert routes.apply(spec, adopt=True).foreign == ()


def test_route_of_another_app_is_foreign(cluster: Cluster, spec: RouteSpec) -> None:
    """Our own engine's object for another app is not this app's."""
    Routes(cluster).apply(replace(spec, app_id="other"))
    with pytest.raises(Conflict, match="DENY_FOREIGN_OWNER"):
        Routes(cluster).apply(spec)


def test_edit_by_hand_is_a_conflict_except_for_going_back(cluster: Cluster, spec: RouteSpec) -> None:
    """Somebody else's field is not overwritten silently, but traffic can always be returned."""
    routes = Routes(cluster)
    routes.apply(spec)
    ref = main_ref(spec)
    edited = cluster.get(ref)
    assert edited is not None
    theirs = {**edited, "metadata": {"name": ref.name, "namespace": ref.namespace}}
    if spec.provider == "traefik":
        theirs["spec"] = {"weighted": {"services": [{"name": "hello", "port": 80, "weight": 1}]}}
    else:
        theirs["spec"] = {"rules": [{"backendRefs": [{"name": "hello", "port": 80}]}]}
    cluster.apply(theirs, field_manager="somebody", force=True)
    with pytest.raises(Conflict):
        routes.apply(replace(spec, weight=50))
    assert routes.apply(replace(spec, weight=0), force=True).weight == 0


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.provider)
def test_write_that_is_not_kept_is_broken(spec: RouteSpec) -> None:
    """If the cluster shows another weight than the written one, that is said, not believed."""
    cluster = FakeCluster()
    routes = Routes(cluster)
    routes.apply(spec)
    cluster.apply = lambda manifest, **_: manifest  # type: ignore[assignment,method-assign]
    with pytest.raises(Broken, match="ROUTE_NOT_KEPT"):
        routes.apply(replace(spec, weight=70))


def test_removal(cluster: Cluster, spec: RouteSpec) -> None:
    """All own objects go, and a second removal says that there was nothing to do."""
    routes = Routes(cluster)
    routes.apply(spec)
    assert routes.remove(spec)
    assert not routes.remove(spec)
    assert not routes.read(spec).exists


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.provider)
def test_nothing_is_written_onto_what_leaves(spec: RouteSpec) -> None:
    """A route that is being deleted would take a new weight with it, so the writer is told to try again."""
    cluster = FakeCluster()
    routes = Routes(cluster)
    routes.apply(spec)
    ref = main_ref(spec)
    dying = cluster.get(ref)
    assert dying is not None
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.put(dying)
    assert routes.read(spec).weight is None
    with pytest.raises(Unavailable, match="ROUTE_LEAVING"):
        routes.apply(spec)


def test_what_leaves_anyway_blocks_nobody() -> None:
    """An object that the wanted route does without may be on its way out."""
    cluster = FakeCluster()
    routes = Routes(cluster)
    routes.apply(TRAEFIK)
    dying = cluster.get(route_refs(TRAEFIK)[-1])
    assert dying is not None
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.put(dying)
    assert routes.apply(replace(TRAEFIK, weight=0, header_value=None)).weight == 0


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.provider)
def test_unknown_kinds_are_no_route(spec: RouteSpec) -> None:
    """Without the provider's CRDs there is no route, and no error either: planning says what is missing."""
    cluster = FakeCluster()
    cluster.kinds = {("v1", "Namespace")}
    assert not RouteReader(cluster).read(spec).exists
