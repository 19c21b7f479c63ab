"""Route objects in the cluster: read back, written, removed; never anybody else's."""

from __future__ import annotations

from dataclasses import dataclass

from railiance.domain.errors import Broken, Conflict, Unavailable
from railiance.domain.manifests import MANAGER, RouteSpec, is_ours, route_objects, route_refs, weight_of
from railiance.domain.ports import Cluster, ClusterReader, Manifest, ObjectRef


@dataclass(frozen=True, slots=True)
class RouteState:
    """A route as the cluster has it.

    Attributes:
        exists: Whether any of its objects is there.
        weight: Percent of the requests that go to the canary, as written; None without a main rule.
        foreign: Its objects that somebody else owns, as `Kind/name`.
    """

    exists: bool
    weight: int | None
    foreign: tuple[str, ...]


class RouteReader:
    """Reading routes; for plans, which must not change anything."""

    def __init__(self, cluster: ClusterReader) -> None:
        self._reader = cluster

    def read(self, spec: RouteSpec) -> RouteState:
        """Return what is there now under the route's name.

        Args:
            spec: Which route; its weight does not matter.
        """
        found = self._found(spec)
        foreign = tuple(
            f"{ref.kind}/{ref.name}" for ref, body in found.items() if not is_ours(body, spec.app_id)
        )
        return RouteState(bool(found), weight_of(found.values(), spec.canary_service), foreign)

    def _found(self, spec: RouteSpec) -> dict[ObjectRef, Manifest]:
        """Return the route's objects that exist, except those whose deletion has begun."""
        return {ref: body for ref, body in self._all(spec).items() if not _leaves(body)}

    def _all(self, spec: RouteSpec) -> dict[ObjectRef, Manifest]:
        """Return the route's objects that exist."""
        bodies = {ref: self._reader.get(ref) for ref in route_refs(spec)}
        return {ref: body for ref, body in bodies.items() if body is not None}


class Routes(RouteReader):
    """Reading and changing routes.

    Args:
        cluster: Where the routes live.
    """

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._cluster = cluster

    def apply(self, spec: RouteSpec, *, adopt: bool = False, force: bool = False) -> RouteState:
        """Make the route as wanted, and return what the cluster then has.

        Every moment between the writes serves users: a weighted service is there before a rule points at it,
        and leaves after the last rule did.

        Args:
            spec: The wanted route.
            adopt: Take over objects of this name that somebody else owns (a chart that rendered them).
            force: Overwrite what somebody changed by hand in our objects; for going back, which must work.

        Raises:
            Conflict: The objects are somebody else's (code DENY_FOREIGN_OWNER), or were changed by hand.
            Unavailable: They are being deleted (code ROUTE_LEAVING); what is written now would go with them.
            Broken: The cluster keeps something else than what was written.
        """
        found = self._all(spec)
        if not adopt:
            self._refuse_foreign(spec, found)
        wanted = route_objects(spec)
        kept = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in wanted}
        if any(_leaves(body) for ref, body in found.items() if (ref.kind, ref.name) in kept):
            raise Unavailable(
                "ROUTE_LEAVING",
                f"route {spec.namespace}/{spec.route} is being deleted",
                "Try again in a moment.",
            )
        for manifest in wanted:
            applied = self._cluster.apply(manifest, field_manager=MANAGER, force=force or adopt)
            if adopt:
                self._own_alone(applied)
        for ref in found:
            if (ref.kind, ref.name) not in kept:
                self._cluster.delete(ref)
        state = self.read(spec)
        expected = weight_of(wanted, spec.canary_service)
        if state.weight != expected:
            raise Broken(
                "ROUTE_NOT_KEPT",
                f"route {spec.namespace}/{spec.route} was set to weight {expected} and reads {state.weight}",
                "Something else writes this route at the same time; find it before you go on.",
            )
        return state

    def remove(self, spec: RouteSpec) -> bool:
        """Remove the route's own objects, rules first; False when nothing is there or stays.

        Raises:
            Conflict: The objects are somebody else's.
        """
        found = self._found(spec)
        self._refuse_foreign(spec, found)
        gone = [self._cluster.delete(ref) for ref in found]
        return any(gone)

    def _own_alone(self, body: Manifest) -> None:
        """Drop everybody else's claim on an object's fields.

        Whoever wrote the same value before still owns it beside us, and would be in the way of the first
        weight that differs: the chart's Helm, above all.
        """
        metadata = body["metadata"]
        claims = metadata.get("managedFields") or []
        ours = [claim for claim in claims if claim.get("manager") == MANAGER]
        if ours != claims:
            self._cluster.replace({**body, "metadata": {**metadata, "managedFields": ours}})

    def _refuse_foreign(self, spec: RouteSpec, found: dict[ObjectRef, Manifest]) -> None:
        """Refuse to touch objects that are not this app's."""
        for ref, body in found.items():
            if not is_ours(body, spec.app_id):
                labels = body.get("metadata", {}).get("labels") or {}
                owner = labels.get("app.kubernetes.io/managed-by") or "nobody we know"
                raise Conflict(
                    "DENY_FOREIGN_OWNER",
                    f"{ref.kind} {ref.namespace}/{ref.name} belongs to {owner}, not to app {spec.app_id}",
                    "Name another route in `[traffic] route`, or take it over with `railiance adopt`.",
                )


def _leaves(body: Manifest) -> bool:
    """Tell whether an object's deletion has begun."""
    return bool(body["metadata"].get("deletionTimestamp"))
