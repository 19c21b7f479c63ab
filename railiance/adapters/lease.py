"""The lock of one app in one target: a Kubernetes Lease with fencing and a polite way to ask for it.

    holderIdentity      the run that holds it
    leaseTransitions    the fence: it grows whenever the lock is taken, so that a former holder can tell
    renewTime           written every 10 s; after 30 s without, and 10 s more of watching, others may take it
    the annotation railiance.dev/yield-to    the run that asks for the lock (abort or rollback)

Every write carries the resourceVersion that was read, so two takers can never both succeed.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from railiance.adapters.lease_record import (
    APP_LABEL,
    LEASE_API,
    YIELD_ANNOTATION,
    LeaseInfo,
    Timing,
    lease_info,
    lease_ref,
    micro_time,
    moment,
    yield_to,
)
from railiance.adapters.objects import MANAGED_BY, create_in_namespace
from railiance.domain.errors import Conflict, RailianceError, Unavailable
from railiance.domain.ports import Clock, Cluster, ClusterReader, Manifest, ObjectRef

__all__ = ["HeldLease", "LeaseInfo", "Timing", "acquire", "holder"]

_log = logging.getLogger(__name__)


def holder(cluster: ClusterReader, namespace: str, app_id: str) -> LeaseInfo | None:
    """Return who holds the lock of an app, expired or not; None when nobody does."""
    found = cluster.get(lease_ref(namespace, app_id))
    return None if found is None else lease_info(found)


def acquire(
    cluster: Cluster,
    namespace: str,
    app_id: str,
    run_id: str,
    clock: Clock,
    *,
    wait: float = 0,
    ask_to_yield: bool = False,
    timing: Timing | None = None,
) -> HeldLease:
    """Take the lock, and keep it by renewing in the background until it is released.

    A run that holds it already takes it again at once; its former process, if it lives, is fenced off.
    An expired lock is watched for the time of grace, then taken over; this may last longer than `wait`.

    Args:
        cluster: The target cluster.
        namespace: Namespace of Stage 3; made when it is missing.
        app_id: The app.
        run_id: Who takes it.
        clock: Time.
        wait: Seconds to wait for a live holder. With `ask_to_yield`, 0 means as long as going back needs:
            for the holder's answer, and without one until it stopped renewing and the lock expired.
        ask_to_yield: Ask the holder to give it up (abort and rollback do).
        timing: Other durations, for tests.

    Raises:
        Conflict: A live run holds it (code `DENY_LOCKED`).
    """
    asked = _Acquisition(cluster, lease_ref(namespace, app_id), run_id, clock, timing or Timing())
    lease = asked.until(wait, ask_to_yield=ask_to_yield)
    lease.keep_renewing()
    return lease


class HeldLease:
    """A lock that this run took; the port `Lease`, and a context manager that releases it.

    It is used from two threads: the run's own, and the one that renews.

    Attributes:
        taken_over_from: The run that held the lock and died, or None. Record it, and look for a pending
            helm_release before the first change.
    """

    def __init__(
        self,
        cluster: Cluster,
        manifest: Manifest,
        clock: Clock,
        timing: Timing,
        *,
        taken_over_from: str | None = None,
    ) -> None:
        self.taken_over_from = taken_over_from
        self._cluster = cluster
        self._manifest = manifest
        self._clock = clock
        self._timing = timing
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._run_id = str(manifest["spec"]["holderIdentity"])
        self._fence = int(manifest["spec"]["leaseTransitions"])
        self._lost = ""
        self._renewed = self._read = clock.monotonic()
        self._asked_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def fence(self) -> int:
        """The fencing number: how often the lock was taken so far, this time included."""
        return self._fence

    def assert_held(self) -> None:
        """Ask the API server whether this run still holds the lock, and renew when that is due.

        Raises:
            Conflict: It does not, or it was asked for and the time to answer is over (code `DENY_LOCK_LOST`).
            Unavailable: The API server gives no answer, so no change may be made.
        """
        with self._lock:
            self._refresh()
            if self._answer_overdue():
                self._lose(f"run {self._wanted_by()} asked for it and got no answer in time")
            if self._clock.monotonic() - self._renewed >= self._timing.renew:
                self._renew()

    def yield_wanted(self) -> str | None:
        """Return the run id that asks for the lock, or None; asks the API server at most once a second."""
        with self._lock:
            if not self._lost and self._clock.monotonic() - self._read >= 1:
                # Who cannot reach the API server cannot be asked through it either; the next look will tell.
                with suppress(Unavailable, Conflict):
                    self._refresh()
            return self._wanted_by()

    def renew(self) -> bool:
        """Renew the lock; False when it is lost, or not renewed on purpose because another run waits for it.

        A failure to reach the API server is no loss before the Lease expires, and not for good afterwards:
        `assert_held` goes on as long as the Lease still names this run.
        """
        with self._lock:
            try:
                if self._lost:
                    return False
                if self._answer_overdue():
                    _log.warning("not renewing %s: run %s waits for it", self._name(), self._wanted_by())
                    return False
                self._renew()
            except Conflict:
                return False
            except RailianceError as error:
                _log.warning("could not renew %s: %s", self._name(), error)
                return False
            return True

    def release(self) -> None:
        """Give the lock back; harmless when it is lost already. Without an API server it just expires."""
        self._stopped.set()
        with self._lock:
            if self._lost:
                return
            try:
                self._refresh()
                self._give_back()
            except Conflict:
                _log.info("%s went to another run before it was released", self._name())
            except RailianceError as error:
                _log.warning("could not release %s, it will expire: %s", self._name(), error)
            self._lost = "it was released"

    def keep_renewing(self) -> None:
        """Renew in the background until the lock is released or lost."""
        threading.Thread(target=self._renew_until_stopped, name=self._name(), daemon=True).start()

    def _renew_until_stopped(self) -> None:
        while not self._stopped.wait(self._timing.renew):
            self.renew()
            if self._lost:
                return

    # Below: called with the lock of the threads held.

    def _refresh(self) -> None:
        """Read the Lease anew; raise when it is no longer ours."""
        if self._lost:
            self._lose(self._lost)
        metadata = self._manifest["metadata"]
        found = self._cluster.get(ObjectRef(LEASE_API, "Lease", metadata["namespace"], metadata["name"]))
        if found is None:
            self._lose("somebody deleted the Lease")
            return
        spec = found["spec"]
        if spec.get("holderIdentity") != self._run_id or spec.get("leaseTransitions") != self._fence:
            self._lose(f"run {spec.get('holderIdentity') or 'nobody'} has it now")
        self._manifest = found
        self._read = self._clock.monotonic()
        if self._wanted_by() is None:
            self._asked_at = None
        elif self._asked_at is None:
            self._asked_at = self._read

    def _renew(self) -> None:
        started = self._clock.monotonic()
        try:
            self._write({**self._manifest["spec"], "renewTime": micro_time(self._clock.now())})
        except Conflict:
            # Somebody wrote it: an annotation leaves it ours, a new holder does not.
            self._refresh()
            self._write({**self._manifest["spec"], "renewTime": micro_time(self._clock.now())})
        self._renewed = started

    def _write(self, spec: Manifest) -> None:
        self._manifest = self._cluster.replace({**self._manifest, "spec": spec})

    def _give_back(self) -> None:
        # The field leaves: an empty holderIdentity is no valid one.
        spec = {key: value for key, value in self._manifest["spec"].items() if key != "holderIdentity"}
        self._write({**spec, "renewTime": micro_time(self._clock.now())})

    def _wanted_by(self) -> str | None:
        return yield_to(self._manifest, other_than=self._run_id)

    def _answer_overdue(self) -> bool:
        if self._asked_at is None:
            return False
        return self._clock.monotonic() - self._asked_at >= self._timing.answer

    def _lose(self, why: str) -> None:
        self._lost = why
        self._stopped.set()
        message = f"Run {self._run_id} no longer holds the lock {self._name()}: {why}."
        raise Conflict(
            "DENY_LOCK_LOST", message, "Nothing more was changed; see `railiance status`, plan anew."
        )

    def _name(self) -> str:
        metadata = self._manifest["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"


class _Acquisition:
    """One attempt of one run to take the lock."""

    def __init__(self, cluster: Cluster, ref: ObjectRef, run_id: str, clock: Clock, timing: Timing) -> None:
        self._cluster = cluster
        self._ref = ref
        self._run_id = run_id
        self._clock = clock
        self._timing = timing
        self._seen: Manifest | None = None
        self._seen_at = clock.monotonic()
        self._alive = False

    def until(self, wait: float, *, ask_to_yield: bool) -> HeldLease:
        """Look, ask, wait and take; see `acquire`."""
        t = self._timing
        patience = wait if wait or not ask_to_yield else t.answer + t.duration + 2 * t.grace
        deadline = self._clock.monotonic() + patience
        while True:
            found = self._cluster.get(self._ref)
            if found is None or self._may_take(found):
                lease = self._take(found)
                if lease is not None:
                    return lease
                continue  # somebody was faster: look again
            if ask_to_yield and yield_to(found, other_than="") != self._run_id:
                self._annotate(found, self._run_id)
                continue
            if self._clock.monotonic() >= deadline and (self._alive or not self._expired(found)):
                if ask_to_yield:
                    self._annotate(found, None)
                raise self._locked(found)
            self._clock.sleep(t.poll)

    def _may_take(self, found: Manifest) -> bool:
        """Tell whether nobody who lives has a right to the lock."""
        held_by = found["spec"].get("holderIdentity")
        self._watch(found["spec"])
        watched = self._clock.monotonic() - self._seen_at
        if held_by == self._run_id:
            return True
        if not held_by:
            # Given back on request: it is meant for the run that asked, for a little while.
            waiting = yield_to(found, other_than=self._run_id)
            return waiting is None or self._age(found) >= self._timing.grace or watched >= self._timing.grace
        if self._expired(found) and watched >= self._timing.grace:
            return True
        # Whatever the two clocks say: nobody renewed it while we watched.
        return watched >= self._timing.duration + self._timing.grace

    def _watch(self, spec: Manifest) -> None:
        if self._seen == spec:
            return
        # A change while we look is a sign of life, of whoever made it.
        self._alive = self._seen is not None
        self._seen, self._seen_at = spec, self._clock.monotonic()

    def _expired(self, found: Manifest) -> bool:
        return self._age(found) >= float(found["spec"].get("leaseDurationSeconds") or 0)

    def _age(self, found: Manifest) -> float:
        """Return the seconds since the Lease was renewed, by the wall clocks."""
        return (self._clock.now() - moment(found["spec"].get("renewTime"))).total_seconds()

    def _take(self, found: Manifest | None) -> HeldLease | None:
        """Write this run into the Lease; None when somebody else was faster."""
        try:
            if found is None:
                written = create_in_namespace(self._cluster, self._manifest({}, 1))
            else:
                fence = int(found["spec"].get("leaseTransitions") or 0) + 1
                written = self._cluster.replace(self._manifest(found["metadata"], fence))
        except Conflict as error:
            if error.code not in {"ALREADY_EXISTS", "STALE"}:
                raise
            return None
        former = (found or {}).get("spec", {}).get("holderIdentity")
        return HeldLease(
            self._cluster,
            written,
            self._clock,
            self._timing,
            taken_over_from=None if former == self._run_id else former,
        )

    def _manifest(self, metadata: Manifest, fence: int) -> Manifest:
        now = micro_time(self._clock.now())
        annotations = dict(metadata.get("annotations") or {})
        annotations.pop(YIELD_ANNOTATION, None)
        own = {
            "name": self._ref.name,
            "namespace": self._ref.namespace,
            "labels": {**MANAGED_BY, APP_LABEL: self._ref.name.removeprefix("railiance-")},
            "annotations": annotations,
        }
        spec = {
            "holderIdentity": self._run_id,
            "leaseDurationSeconds": max(1, round(self._timing.duration)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": fence,
        }
        return {"apiVersion": LEASE_API, "kind": "Lease", "metadata": {**metadata, **own}, "spec": spec}

    def _annotate(self, found: Manifest, run_id: str | None) -> None:
        """Write, or with None take back, the wish for the lock; whoever is faster makes us look again."""
        annotations = dict(found["metadata"].get("annotations") or {})
        if run_id is not None:
            annotations[YIELD_ANNOTATION] = run_id
        elif annotations.pop(YIELD_ANNOTATION, None) != self._run_id:
            return
        with suppress(Conflict):
            self._cluster.replace({**found, "metadata": {**found["metadata"], "annotations": annotations}})

    def _locked(self, found: Manifest) -> Conflict:
        info = lease_info(found)
        who = (
            f"run {info.holder} since {info.since:%Y-%m-%d %H:%M:%S} UTC"
            if info
            else "a run that asked for it"
        )
        message = f"The lock {self._ref.namespace}/{self._ref.name} is held by {who}."
        return Conflict(
            "DENY_LOCKED", message, "Wait until it ends (`railiance status`), or `railiance abort` it."
        )
