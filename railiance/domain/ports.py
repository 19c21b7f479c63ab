"""What the rules and the flows ask of the outside world: protocols of few verbs, declared for the caller.

Reading and changing are separate verbs, so that a plan can be handed hands that cannot change anything.
Every verb raises `Unavailable` when the outside could not be reached, and `Broken` when it answered nonsense.
An object of the cluster is a plain dict in the shape of its manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The address of one object in a cluster; `namespace` is empty for cluster-wide objects."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """Which cluster this is: name of the access, UID of kube-system, server version such as `v1.34.4`."""

    name: str
    uid: str
    version: str


@dataclass(frozen=True, slots=True)
class ProxyAnswer:
    """What a pod answered through the API server: HTTP status and body, whatever the status is."""

    status: int
    body: bytes


class Clock(Protocol):
    """Time, as the outside has it."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for measuring durations."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class ClusterReader(Protocol):
    """Reading the API server."""

    def info(self) -> ClusterInfo:
        """Return which cluster answers."""

    def get(self, ref: ObjectRef) -> Manifest | None:
        """Return one object, or None when it does not exist (nor its kind)."""

    def list_objects(
        self, api_version: str, kind: str, namespace: str | None = None, labels: str = ""
    ) -> list[Manifest]:
        """Return the objects of one kind; `labels` is a label selector; an unknown kind gives an empty list."""

    def has_kind(self, api_version: str, kind: str) -> bool:
        """Tell whether the API server serves this kind."""

    def proxy_get(self, namespace: str, pod: str, port: int, path: str, *, timeout: float = 5.0) -> bytes:
        """Return the body of a GET of one pod's port, through the API server; a status over 399 is `Unavailable`."""

    def proxy(
        self,
        namespace: str,
        pod: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        tls: bool = False,
        timeout: float = 5.0,
    ) -> ProxyAnswer:
        """Return what one pod's port answers, through the API server; one that cannot be asked is `Unavailable`."""

    def pod_log(
        self,
        namespace: str,
        pod: str,
        *,
        tail: int = 200,
        previous: bool = False,
        container: str | None = None,
        since: timedelta | None = None,
    ) -> str:
        """Return the last lines of the log of a pod's container; by default of the one that people mean."""


class Cluster(ClusterReader, Protocol):
    """Reading and changing the API server."""

    def apply(
        self, manifest: Manifest, *, field_manager: str, force: bool = False, dry_run: bool = False
    ) -> Manifest:
        """Apply on the server's side; a conflict of field managers is `Conflict` unless `force`."""

    def create(self, manifest: Manifest) -> Manifest:
        """Create; an object that is already there is `Conflict` (code ALREADY_EXISTS)."""

    def replace(self, manifest: Manifest) -> Manifest:
        """Replace; a `metadata.resourceVersion` that is no longer true is `Conflict` (code STALE)."""

    def delete(self, ref: ObjectRef) -> bool:
        """Delete (in the foreground); False when there was nothing."""


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """What Helm knows of a helm_release: its present helm_revision and status (`deployed`, `failed`, `pending-…`)."""

    helm_release: str
    namespace: str
    helm_revision: int
    status: str
    chart: str
    app_version: str
    updated: str


class ReleaseReader(Protocol):
    """Reading with Helm."""

    def version(self) -> str:
        """Return Helm's version, such as `v3.22.0`."""

    def template(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
        *,
        kube_version: str | None = None,
        api_versions: Sequence[str] = (),
    ) -> str:
        """Render the manifests; `overlay` is a values document that wins over the files."""

    def lint(self, chart: Path, values: Sequence[Path], overlay: Mapping[str, Any]) -> None:
        """Check the chart strictly; a finding is `Broken` with Helm's words."""

    def state(self, helm_release: str, namespace: str) -> ReleaseState | None:
        """Return the present state, or None when Helm does not know the helm_release."""

    def history(self, helm_release: str, namespace: str) -> list[ReleaseState]:
        """Return the kept helm_revisions, oldest first; empty when there are none."""

    def manifest(self, helm_release: str, namespace: str, helm_revision: int | None = None) -> str:
        """Return the stored manifest text."""


class Releases(ReleaseReader, Protocol):
    """Reading and changing with Helm."""

    def install(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
    ) -> ReleaseState:
        """Install a helm_release that is not there yet; no `--wait`, no hooks, no `--atomic`."""

    def upgrade(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
    ) -> ReleaseState:
        """Upgrade with the full values (`--reset-values`); a pending helm_release is `Conflict`."""

    def uninstall(self, helm_release: str, namespace: str) -> bool:
        """Uninstall and wait until its objects are gone; False when there was nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of the ingress's counters for one track since its exporter's start (observation.md 1).

    `series` is the counter's identity (gateway pod, its start, backend, status class), so that resets
    and new series are told apart; values are whole requests.
    """

    series: str
    requests: float
    errors: float
    slow: float | None = None


class Gateway(Protocol):
    """The ingress's own counters, read directly."""

    def read(self, backends: Mapping[str, tuple[str, str, int]]) -> GatewayReading:
        """Return the counters by track; `backends` maps a track to (namespace, Service, port)."""


@dataclass(frozen=True, slots=True)
class GatewayReading:
    """Counters by track at one moment.

    Attributes:
        at: When it was read.
        complete: False when a ready gateway pod could not be read: then never a PASS.
        samples: Track to its samples, one per gateway pod and backend.
        pods: Names of the gateway pods that answered.
    """

    at: datetime
    complete: bool
    samples: Mapping[str, tuple[Sample, ...]]
    pods: tuple[str, ...]


class Metrics(Protocol):
    """A Prometheus server."""

    def query(self, promql: str) -> list[tuple[Mapping[str, str], float]]:
        """Return the vector of an instant query (a scalar as one entry without labels); empty when no data."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the ledger: what happened, to whom, by whom.

    Attributes:
        sequence: Position in the ledger of this app, from 1, without gaps.
        kind: One of the words of `railiance.domain.lifecycle.EventKind`.
        at: When.
        run_id: The run that wrote it.
        actor: Who asked, approved or executed, as far as it is known.
        data: What the kind of event calls for; JSON values only.
        previous: Digest of the event before, empty for the first.
        digest: Digest of this event's canonical bytes (all fields but this one).
    """

    sequence: int
    kind: str
    at: str
    run_id: str
    actor: str
    data: Mapping[str, Any]
    previous: str
    digest: str


class Ledger(Protocol):
    """The append-only record of one app, in the target cluster."""

    def events(self) -> list[Event]:
        """Return all events in order; a broken chain is `Broken` (code LEDGER_BROKEN)."""

    def append(self, kind: str, run_id: str, actor: str, data: Mapping[str, Any]) -> Event:
        """Write one event after the last; two writers never share a sequence number."""

    def put(self, content: bytes) -> str:
        """Keep content, return its digest; keeping it twice is the same."""

    def get(self, digest: str) -> bytes:
        """Return kept content, verified; unknown is `Broken` (code OBJECT_MISSING)."""


class Lease(Protocol):
    """The lock of one app in one target."""

    @property
    def fence(self) -> int:
        """The fencing number: how often the Lease changed hands."""

    def assert_held(self) -> None:
        """Raise `Conflict` (DENY_LOCK_LOST) unless this run still holds it; call before every change."""

    def yield_wanted(self) -> str | None:
        """Return the run id that asks for the lock (abort or rollback), or None."""

    def release(self) -> None:
        """Give it back; harmless when it is lost already."""
