"""Moving users between tracks, always in the same order: ready, listed, written, seen, drained."""

from __future__ import annotations

from railiance.adapters import progress
from railiance.domain.errors import Unavailable
from railiance.domain.manifests import RouteSpec
from railiance.domain.ports import Lease
from railiance.engine.planning import canary_release, stable_release, traffic_mode
from railiance.engine.rollout import Track, TrackState, read_track
from railiance.engine.work import Work

DEFAULT_HEADER = "X-Railiance-Track"
CANARY, STABLE = "canary", "stable"
_POLL = 0.5
_QUIET_LIMIT = 20.0
_SEEN_LIMIT = 10.0


def track_of(work: Work, name: str) -> Track:
    """Return where a track lives."""
    traffic = work.traffic
    if name == CANARY:
        stage = work.stage("stage2")
        return Track(stage.namespace, canary_release(work), traffic.canary_service)
    return Track(work.namespace, stable_release(work), traffic.stable_service)


def track_state(work: Work, name: str) -> TrackState:
    """Return what a track looks like now."""
    return read_track(work.hands.cluster, track_of(work, name))


def backends(work: Work) -> dict[str, tuple[str, str, int]]:
    """Return the backends whose counters are read, by track."""
    traffic = work.traffic
    return {
        name: (track_of(work, name).namespace, track_of(work, name).service, traffic.port)
        for name in (STABLE, CANARY)
    }


def routed(work: Work) -> bool:
    """Tell whether the engine owns a route for this app: weighted traffic with a host."""
    return traffic_mode(work) == "weighted" and work.traffic.host is not None


def header_of(work: Work) -> tuple[str, str]:
    """Return the header that leads to the canary while this run is open, and its value."""
    declared = work.traffic.header
    return (declared.name, declared.value) if declared else (DEFAULT_HEADER, f"canary-{work.run_id[:8]}")


def route_spec(
    work: Work, weight: int, *, header: bool, stable_listed: bool, canary_listed: bool
) -> RouteSpec:
    """Return the route at a weight."""
    traffic = work.traffic
    name, value = header_of(work)
    return RouteSpec(
        app_id=work.app_id,
        namespace=work.namespace,
        route=traffic.route,
        provider=str(traffic.provider),  # type: ignore[arg-type]  # the contract's words are the domain's
        host=str(traffic.host),
        path=traffic.path,
        port=traffic.port,
        stable_service=traffic.stable_service,
        canary_service=traffic.canary_service,
        weight=weight,
        header_name=name,
        header_value=value if header else None,
        stable_listed=stable_listed,
        canary_listed=canary_listed,
        gateway=traffic.gateway,
        tls_secret=traffic.tls_secret,
    )


def set_weight(work: Work, weight: int, lease: Lease | None, *, header: bool = True) -> None:
    """Write the weight, listing only backends that have a ready endpoint.

    Args:
        work: Whose route.
        weight: Percent of the requests to the canary.
        lease: The lock, asked just before the write; None only for the fast way back, which has its own.
        header: Whether the rule for a private look stays.

    Raises:
        Unavailable: The track that would receive all users has no ready endpoint (TRACK_NOT_READY): nothing is
            written, as moving users to nobody loses them.
    """
    if not routed(work):
        return
    stable, canary = track_state(work, STABLE), track_state(work, CANARY)
    receiving, state = (CANARY, canary) if weight == 100 else (STABLE, stable)
    first_install = not stable.workloads
    if state.endpoints == 0 and not (first_install and weight == 0):
        raise Unavailable(
            "TRACK_NOT_READY",
            f"the {receiving} track has no ready endpoint, so no user is moved to it ({state.words()})",
            "look at its pods; the weight stays as it is",
        )
    spec = route_spec(
        work,
        weight,
        header=header,
        stable_listed=stable.endpoints > 0,
        canary_listed=canary.endpoints > 0,
    )
    if lease is not None:
        lease.assert_held()
    # Going back must work even where somebody changed the route by hand.
    work.hands.routes.apply(spec, force=weight == 0)


def adopt_route(work: Work) -> None:
    """Take over a route of the same name that a chart rendered: all users stay on stable."""
    if routed(work):
        spec = route_spec(work, 0, header=False, stable_listed=True, canary_listed=False)
        work.hands.routes.apply(spec, adopt=True)


def close_route(work: Work) -> None:
    """Remove the engine's route: for undoing a first install, where no track is left that could answer."""
    if routed(work):
        work.hands.routes.remove(route_spec(work, 0, header=False, stable_listed=False, canary_listed=False))


def current_weight(work: Work) -> int | None:
    """Return the weight that the route has now, read back from the cluster; None without a route."""
    if not routed(work):
        return None
    return work.hands.routes.read(
        route_spec(work, 0, header=False, stable_listed=True, canary_listed=True)
    ).weight


def wait_quiet(work: Work, track: str) -> bool:
    """Wait until the gateway's counters show no request reaching a track, then drain it.

    Returns:
        False when the counters could not show it within 20 s; the drain was waited for all the same.
    """
    if not routed(work):
        return True
    clock = work.hands.clock
    deadline = clock.monotonic() + _QUIET_LIMIT
    before = _requests(work, track)
    quiet = False
    while not quiet and clock.monotonic() < deadline:
        clock.sleep(_POLL * 2)
        now = _requests(work, track)
        quiet = now is not None and now == before
        before = now
    drain = work.traffic.drain.total_seconds()
    progress.say(
        f"No more requests to {track}, draining for {drain:g} s"
        if quiet
        else f"Draining {track} for {drain:g} s"
    )
    clock.sleep(drain)
    return quiet


def wait_seen(work: Work, track: str) -> bool:
    """Wait until the gateway's counters show users reaching a track, so that a step is not judged by its delay.

    Returns:
        False when none was seen within 10 s: there may be no traffic, or the gateway is late; the judge will tell.
    """
    clock = work.hands.clock
    deadline = clock.monotonic() + _SEEN_LIMIT
    before = _requests(work, track)
    while clock.monotonic() < deadline:
        clock.sleep(_POLL)
        now = _requests(work, track)
        if now is not None and before is not None and now > before:
            return True
        before = now if before is None else before
    return False


def _requests(work: Work, track: str) -> float | None:
    """Return how many requests a track has had since its gateway started, or None when nobody can tell."""
    try:
        reading = work.hands.gateway.read(backends(work))
    except Unavailable:
        return None
    return sum(s.requests for s in reading.samples.get(track, ())) if reading.complete else None
