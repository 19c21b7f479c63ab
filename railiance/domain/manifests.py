"""Route objects as plain dicts: which share of the requests goes to which track.

One main rule splits the users by weight. While a run is open, a second rule sends whoever carries the
track header to the canary, at any weight, so that the canary can be probed before a user sees it; and, with
Traefik, a third rule stands by that gives everybody to stable if the main rule breaks.

Facts that shaped this, seen on Traefik 3.5.4 (tests/cluster/test_routes_on_cluster.py keeps them true):

* A TraefikService with one child that has no ready endpoint, or no Service, is dropped whole, even if that
  child has weight 0: the main rule then answers 404 to *everybody*. A crash of the canary's only pod would
  take stable's users with it. A broken rule is skipped, though, and the next matching one is taken: hence the
  third rule. With `--providers.kubernetescrd.allowEmptyServices` only the child's share fails, with 503.
* A HTTPRoute keeps its other backends: the share of an empty one gets 503, of a missing Service 500; at
  weight 0 nothing happens.
* None of these 503, 500 and 404 is in the counters of any backend, as no backend was asked. So a backend that
  became empty is to be seen in its endpoints, and taken out of the route at once.
* The header rule to an empty canary is skipped as well: the answer then comes from the main rule, that is
  from stable. Whoever probes by header must ask the counters, or the answer, who answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from railiance.domain.ports import Manifest, ObjectRef

APP_LABEL = "railiance.dev/app"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
ROLE_LABEL = "railiance.dev/role"
MANAGER = "railiance"
FALLBACK = "fallback"
TRAEFIK_API = "traefik.io/v1alpha1"
GATEWAY_API = "gateway.networking.k8s.io/v1"

Provider = Literal["traefik", "gateway-api"]


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """Everything that the route of one app is made of.

    Attributes:
        app_id: Whose route it is.
        namespace: Where the route and both Services live.
        route: Name of the route object.
        provider: Whose objects are written: `traefik` or `gateway-api`.
        host: Public host name.
        path: Public path prefix.
        port: Port number of both Services.
        stable_service: Service of the stable track.
        canary_service: Service of the canary track.
        weight: Percent of the requests that go to the canary, 0 to 100.
        header_name: The header that chooses the canary.
        header_value: Its value; None while no run is open, and then there is no header rule.
        stable_listed: Whether the stable track may get requests; False while it has no ready endpoint.
        canary_listed: Whether the canary track may get requests; False while it has no ready endpoint.
        gateway: Parent Gateway (`namespace/name`), for `gateway-api`.
        entry_points: Traefik's entry points; empty means its defaults.
        tls_secret: Name of the TLS Secret, for `traefik`.
    """

    app_id: str
    namespace: str
    route: str
    provider: Provider
    host: str
    path: str
    port: int
    stable_service: str
    canary_service: str
    weight: int
    header_name: str = "X-Railiance-Track"
    header_value: str | None = None
    stable_listed: bool = True
    canary_listed: bool = True
    gateway: str | None = None
    entry_points: tuple[str, ...] = ()
    tls_secret: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that no route can mean, before they reach a gateway."""
        if not 0 <= self.weight <= 100:
            raise ValueError(f"weight {self.weight} of route {self.route} is not between 0 and 100")
        if self.provider == "gateway-api" and (self.gateway or "").count("/") != 1:
            raise ValueError(f"route {self.route} needs its Gateway as namespace/name, not {self.gateway!r}")
        texts = (self.host, self.path, self.header_name, self.header_value or "")
        if any(character in text for text in texts for character in "`\n\r"):
            # Traefik's rule language quotes with backticks and knows no escape.
            raise ValueError(f"host, path and header of route {self.route} hold a backtick or a line end")


def backends_of(spec: RouteSpec) -> tuple[tuple[str, int], ...]:
    """Return the backends of the main rule with their weights: only those that can and shall answer.

    A backend at weight 0 or without a ready endpoint is not listed at all: depending on Traefik's settings
    one empty child takes the whole weighted service down, or answers 503 for its share without being counted.
    """
    shares = (
        (spec.stable_service, 100 - spec.weight, spec.stable_listed),
        (spec.canary_service, spec.weight, spec.canary_listed),
    )
    return tuple((service, share) for service, share, listed in shares if listed and share > 0)


def route_objects(spec: RouteSpec) -> list[Manifest]:
    """Return the objects of a route, in the order in which they must be applied.

    Without a listed backend there is no main rule (a first install before its promotion); without a header
    value there is no header rule; without both there is nothing.
    """
    return _traefik_objects(spec) if spec.provider == "traefik" else _gateway_objects(spec)


def route_refs(spec: RouteSpec) -> tuple[ObjectRef, ...]:
    """Return the addresses of all objects that the route may consist of, in the order of removal."""
    if spec.provider == "gateway-api":
        return (ObjectRef(GATEWAY_API, "HTTPRoute", spec.namespace, spec.route),)
    return (
        ObjectRef(TRAEFIK_API, "IngressRoute", spec.namespace, spec.route),
        ObjectRef(TRAEFIK_API, "TraefikService", spec.namespace, spec.route),
        ObjectRef(TRAEFIK_API, "TraefikService", spec.namespace, _fallback_name(spec)),
    )


def weight_of(objects: Iterable[Manifest], canary_service: str) -> int | None:
    """Return the percent of the requests that the objects send to the canary.

    Args:
        objects: A route's objects, as `route_objects` made them or as the cluster keeps them.
        canary_service: Name of the canary's Service.

    Returns:
        The share in effect, rounded: 100 when only the canary is listed. None when there is no main rule.
    """
    for document in objects:
        backends = _listed(document)
        total = sum(weight for _, weight in backends)
        if total > 0:
            return round(100 * sum(weight for name, weight in backends if name == canary_service) / total)
    return None


def is_ours(document: Mapping[str, Any], app_id: str) -> bool:
    """Tell whether an object is this app's and written by this engine."""
    labels = document.get("metadata", {}).get("labels") or {}
    return labels.get(MANAGED_BY_LABEL) == MANAGER and labels.get(APP_LABEL) == app_id


def _metadata(spec: RouteSpec) -> dict[str, Any]:
    """Return name, owner and the wish to be left alone."""
    return {
        "name": spec.route,
        "namespace": spec.namespace,
        "labels": {APP_LABEL: spec.app_id, MANAGED_BY_LABEL: MANAGER},
        # A chart that once rendered this route itself stops doing so: Helm would then delete the live object,
        # and the users with it. Helm looks for this word on the live object before it deletes.
        "annotations": {"helm.sh/resource-policy": "keep"},
    }


def _traefik_objects(spec: RouteSpec) -> list[Manifest]:
    """Return Traefik's own objects: weighted services first, so that no rule ever points at nothing."""
    backends = backends_of(spec)
    rule = f"Host(`{spec.host}`) && PathPrefix(`{spec.path}`)"
    rules: list[dict[str, Any]] = []
    services: list[Manifest] = []
    if spec.header_value is not None:
        # No priority is written: the longer rule wins, so this one stands above the main rule, and does not
        # stand above a foreign rule for a longer path. Straight to the Service, so that Traefik counts these
        # requests under the rule's name and not under the track's: they are not users by lot.
        match = f"{rule} && Header(`{spec.header_name}`, `{spec.header_value}`)"
        rules.append(_rule(match, {"kind": "Service", "name": spec.canary_service, "port": spec.port}))
    if backends:
        services.append(_traefik_service(spec, spec.route, backends))
        rules.append(_rule(rule, {"kind": "TraefikService", "name": spec.route}))
    if _needs_fallback(spec, backends):
        name = _fallback_name(spec)
        services.insert(0, _traefik_service(spec, name, ((spec.stable_service, 100),)))
        services[0]["metadata"]["labels"][ROLE_LABEL] = FALLBACK
        # Traefik names a rule by its text, so the same condition must be spelt otherwise; and it must lose
        # against the main rule, whose priority is its length, but against nothing else.
        match = f"PathPrefix(`{spec.path}`) && Host(`{spec.host}`)"
        rules.append({**_rule(match, {"kind": "TraefikService", "name": name}), "priority": len(rule) - 1})
    return [*services, _ingress_route(spec, rules)] if rules else []


def _needs_fallback(spec: RouteSpec, backends: tuple[tuple[str, int], ...]) -> bool:
    """Tell whether stable stands by: all through a run, so that moving users deletes nothing."""
    return spec.header_value is not None and bool(backends) and spec.stable_listed


def _fallback_name(spec: RouteSpec) -> str:
    """Return the name of the service that stands by."""
    return f"{spec.route}-{FALLBACK}"


def _rule(match: str, target: dict[str, Any]) -> dict[str, Any]:
    """Return one rule."""
    return {"kind": "Rule", "match": match, "services": [target]}


def _traefik_service(spec: RouteSpec, name: str, backends: tuple[tuple[str, int], ...]) -> Manifest:
    """Return a weighted service; also around a single backend, so that its counters keep their name."""
    children = [
        {"kind": "Service", "name": service, "port": spec.port, "weight": weight}
        for service, weight in backends
    ]
    return {
        "apiVersion": TRAEFIK_API,
        "kind": "TraefikService",
        "metadata": {**_metadata(spec), "name": name},
        "spec": {"weighted": {"services": children}},
    }


def _ingress_route(spec: RouteSpec, rules: list[dict[str, Any]]) -> Manifest:
    """Return the rules."""
    body: dict[str, Any] = {"routes": rules}
    if spec.entry_points:
        body["entryPoints"] = list(spec.entry_points)
    if spec.tls_secret:
        body["tls"] = {"secretName": spec.tls_secret}
    return {"apiVersion": TRAEFIK_API, "kind": "IngressRoute", "metadata": _metadata(spec), "spec": body}


def _gateway_objects(spec: RouteSpec) -> list[Manifest]:
    """Return one HTTPRoute; by the standard the more specific match wins, so order needs no care."""
    path = {"type": "PathPrefix", "value": spec.path}
    rules: list[dict[str, Any]] = []
    if spec.header_value is not None:
        header = {"type": "Exact", "name": spec.header_name, "value": spec.header_value}
        canary = _backend_ref(spec.canary_service, spec.port, 1)
        rules.append({"matches": [{"path": path, "headers": [header]}], "backendRefs": [canary]})
    backends = [_backend_ref(service, spec.port, weight) for service, weight in backends_of(spec)]
    if backends:
        rules.append({"matches": [{"path": path}], "backendRefs": backends})
    if not rules:
        return []
    namespace, _, name = (spec.gateway or "").partition("/")
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": name}
    body = {"parentRefs": [parent], "hostnames": [spec.host], "rules": rules}
    return [{"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": _metadata(spec), "spec": body}]


def _backend_ref(service: str, port: int, weight: int) -> dict[str, Any]:
    """Return one backend with the defaults written out, so that what is read back equals what was written."""
    return {"group": "", "kind": "Service", "name": service, "port": port, "weight": weight}


def _listed(document: Manifest) -> list[tuple[str, int]]:
    """Return the backends of an object's main rule with their weights; empty when it has none."""
    spec = document.get("spec") or {}
    if (document.get("metadata", {}).get("labels") or {}).get(ROLE_LABEL) == FALLBACK:
        return []
    if document.get("kind") == "TraefikService":
        return _weights((spec.get("weighted") or {}).get("services"))
    if document.get("kind") != "HTTPRoute":
        return []
    for rule in spec.get("rules") or []:
        if not any(match.get("headers") for match in rule.get("matches") or []):
            return _weights(rule.get("backendRefs"))
    return []


def _weights(children: Any) -> list[tuple[str, int]]:
    """Return name and weight of each child; a child without weight counts 1, as both providers say."""
    return [(str(child.get("name")), int(child.get("weight", 1))) for child in children or []]
