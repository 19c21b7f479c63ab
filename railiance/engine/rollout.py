"""Waiting until a track is ready, by our own eyes: workloads whole, endpoints listed, no pod in trouble."""

from __future__ import annotations

from dataclasses import dataclass

from railiance.adapters import progress
from railiance.domain.errors import Conflict
from railiance.domain.hard_gates import Gates, judge_pods
from railiance.domain.ports import ClusterReader, Lease, Manifest
from railiance.domain.rollout import (
    INSTANCE_LABEL,
    SERVICE_LABEL,
    WORKLOAD_KINDS,
    WorkloadState,
    ready_addresses,
    workload_state,
)
from railiance.domain.verdict import Verdict
from railiance.engine.work import Hands

_POLL = 1.0


@dataclass(frozen=True, slots=True)
class Track:
    """Where one track lives: namespace, helm_release, and the Service that stands before its pods."""

    namespace: str
    helm_release: str
    service: str


@dataclass(frozen=True, slots=True)
class TrackState:
    """What one track looks like now.

    Attributes:
        workloads: How far each workload is.
        pods: The pods as the API server has them.
        endpoints: Ready addresses behind the Service.
    """

    workloads: tuple[WorkloadState, ...]
    pods: tuple[Manifest, ...]
    endpoints: int

    @property
    def ready(self) -> bool:
        """Tell whether the track can take users: every workload whole, and an endpoint for each wanted pod."""
        wanted = sum(w.desired for w in self.workloads)
        return bool(self.workloads) and all(w.whole for w in self.workloads) and self.endpoints >= wanted > 0

    def words(self) -> str:
        """Return the state in a few words, for progress lines."""
        pods = ", ".join(f"{w.kind} {w.name} {w.ready}/{w.desired} ready" for w in self.workloads)
        return f"{pods or 'no workload yet'}, {self.endpoints} endpoints"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How waiting for a track ended: PASS when it is ready, FAIL with the reason, UNKNOWN when nobody can tell."""

    verdict: Verdict
    reason: str
    state: TrackState


def read_track(cluster: ClusterReader, track: Track) -> TrackState:
    """Return what a track looks like now."""
    selector = f"{INSTANCE_LABEL}={track.helm_release}"
    workloads = [
        workload_state({**manifest, "kind": kind})
        for kind in WORKLOAD_KINDS
        for manifest in cluster.list_objects("apps/v1", kind, track.namespace, selector)
    ]
    pods = cluster.list_objects("v1", "Pod", track.namespace, selector)
    slices = cluster.list_objects(
        "discovery.k8s.io/v1", "EndpointSlice", track.namespace, f"{SERVICE_LABEL}={track.service}"
    )
    return TrackState(tuple(workloads), tuple(pods), len(ready_addresses(slices)))


def wait_ready(
    hands: Hands,
    track: Track,
    timeout: float,
    lease: Lease,
    *,
    restart_limit: int = 0,
) -> Rollout:
    """Wait until a track can take users, a pod is beyond hope, or the time is over.

    Args:
        hands: How the target is reached.
        track: Which track.
        timeout: Seconds at most.
        lease: The lock; losing it ends the wait.
        restart_limit: Restarts that are still fine.

    Raises:
        Conflict: The lock is lost.
        Unavailable: The API server does not answer (the task around this retries).
    """
    deadline = hands.clock.monotonic() + timeout
    told = ""
    while True:
        keep_on(lease)
        state = read_track(hands.cluster, track)
        if state.ready:
            return Rollout(Verdict.PASS, state.words(), state)
        gates = (
            judge_pods(state.pods, (), restart_limit=restart_limit, now=hands.clock.now())
            if state.pods
            else Gates()
        )
        if gates.failures:
            return Rollout(Verdict.FAIL, gates.failures[0].reason, state)
        if hands.clock.monotonic() >= deadline:
            return Rollout(Verdict.FAIL, f"not ready after {timeout:g} s: {_waiting(state)}", state)
        if (words := state.words()) != told:
            told = words
            progress.say(f"{track.helm_release}: {words}")
        hands.clock.sleep(_POLL)


def keep_on(lease: Lease) -> None:
    """Stop this run when its lock is lost, or when abort or rollback asks for it.

    Raises:
        Conflict: DENY_LOCK_LOST, or LOCK_YIELDED naming the run that asks.
    """
    lease.assert_held()
    if by := lease.yield_wanted():
        raise Conflict(
            "LOCK_YIELDED",
            f"run {by} asked for the lock to go back, so this run stops here",
            "follow that run",
        )


def _waiting(state: TrackState) -> str:
    """Return what a track waits for: the first container's own reason, else the counts."""
    for pod in state.pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            reason = ((status.get("state") or {}).get("waiting") or {}).get("reason")
            if reason:
                return f"{pod['metadata']['name']} waits: {reason}"
    return state.words()
