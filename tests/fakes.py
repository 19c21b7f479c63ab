"""One in-memory class per port. They pass the contract tests of the real adapters, so they cannot lie.

All of them write what they were asked to change into one `journal`, if they are given the same list:
story tests compare it with a readable one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from railiance.domain.errors import Broken, Conflict, RailianceError, Unavailable
from railiance.domain.ports import GatewayReading, Manifest, ObjectRef, ReleaseState, Sample
from tests.fake_cluster import FakeCluster
from tests.fake_controllers import FakeControllers

__all__ = ["FakeClock", "FakeCluster", "FakeControllers", "FakeGateway", "FakeMetrics", "FakeReleases"]

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
Render = Callable[[Path, str, str, Sequence[Path], Mapping[str, Any]], str]


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._agenda: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> datetime:
        """Return the present moment."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Let time pass, and whatever was due in it happen at its moment."""
        end = self._elapsed + seconds
        while due := [entry for entry in self._agenda if entry[0] <= end]:
            entry = min(due, key=lambda one: one[0])
            self._agenda.remove(entry)
            self._elapsed = max(self._elapsed, entry[0])
            entry[1]()
        self._elapsed = max(self._elapsed, end)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something when so many seconds have passed from now."""
        self._agenda.append((self._elapsed + seconds, action))


@dataclass(slots=True)
class _Installed:
    """The helm_revisions of one helm_release, with the manifest of each."""

    states: list[ReleaseState] = field(default_factory=list)
    manifests: dict[int, str] = field(default_factory=dict)


class FakeReleases:
    """Helm, over a FakeCluster.

    Args:
        cluster: Where the objects go.
        render: What `helm template` would say, from (chart, helm_release, namespace, values, overlay).
        journal: Shared journal.

    Attributes:
        lint_error: What `lint` finds, or None.
    """

    def __init__(self, cluster: FakeCluster, render: Render, journal: list[str] | None = None) -> None:
        self.lint_error: str | None = None
        self._cluster = cluster
        self._render = render
        self._journal = journal if journal is not None else []
        self._installed: dict[tuple[str, str], _Installed] = {}
        self._failures: dict[str, tuple[RailianceError, bool]] = {}

    # ----- what tests do to it

    def fail(self, verb: str, error: RailianceError, *, after_objects: bool = False) -> None:
        """Let the next `install`, `upgrade` or `uninstall` fail, before or after it changed the objects."""
        self._failures[verb] = (error, after_objects)

    def leave_pending(self, helm_release: str, namespace: str) -> None:
        """Do what a killed upgrade does: leave a helm_revision `pending-upgrade` behind."""
        entry = self._installed[namespace, helm_release]
        last = entry.states[-1]
        entry.states.append(replace(last, helm_revision=last.helm_revision + 1, status="pending-upgrade"))
        entry.manifests[last.helm_revision + 1] = entry.manifests[last.helm_revision]

    # ----- the port

    def version(self) -> str:
        """Return the version of Helm that this fake behaves like."""
        return "v3.22.0"

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
        """Return what `render` says."""
        return self._render(chart, helm_release, namespace, values, overlay)

    def lint(self, chart: Path, values: Sequence[Path], overlay: Mapping[str, Any]) -> None:
        """Find what `lint_error` says."""
        if self.lint_error:
            raise Broken("HELM_LINT", self.lint_error)

    def state(self, helm_release: str, namespace: str) -> ReleaseState | None:
        """Return the newest helm_revision."""
        states = self.history(helm_release, namespace)
        return states[-1] if states else None

    def history(self, helm_release: str, namespace: str) -> list[ReleaseState]:
        """Return all helm_revisions."""
        if self._cluster.down:
            raise Unavailable("CLUSTER_UNREACHABLE", "The fake cluster is down.")
        return list(self._installed.get((namespace, helm_release), _Installed()).states)

    def manifest(self, helm_release: str, namespace: str, helm_revision: int | None = None) -> str:
        """Return the stored manifest."""
        states = self.history(helm_release, namespace)
        number = helm_revision if helm_revision is not None else (states[-1].helm_revision if states else 0)
        manifests = self._installed.get((namespace, helm_release), _Installed()).manifests
        if number not in manifests:
            raise Conflict(
                "HELM_RELEASE_MISSING", f"{namespace}/{helm_release} has no helm_revision {number}"
            )
        return manifests[number]

    def install(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
    ) -> ReleaseState:
        """Install into a namespace that is made when it is missing."""
        if self.state(helm_release, namespace) is not None:
            raise Conflict("HELM_RELEASE_EXISTS", f"{namespace}/{helm_release} is there already")
        space = ObjectRef("v1", "Namespace", "", namespace)
        if self._cluster.get(space) is None:
            self._cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        rendered = self._render(chart, helm_release, namespace, values, overlay)
        return self._send("install", chart, helm_release, namespace, rendered)

    def upgrade(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
    ) -> ReleaseState:
        """Upgrade, and remove the objects that the new manifest no longer has."""
        state = self.state(helm_release, namespace)
        if state is None:
            raise Conflict("HELM_RELEASE_MISSING", f"{namespace}/{helm_release} has no deployed releases")
        if state.status.startswith("pending"):
            raise Conflict(
                "DENY_PENDING_RELEASE", f"{namespace}/{helm_release}: another operation is in progress"
            )
        rendered = self._render(chart, helm_release, namespace, values, overlay)
        return self._send("upgrade", chart, helm_release, namespace, rendered)

    def uninstall(self, helm_release: str, namespace: str) -> bool:
        """Remove objects (but those with `helm.sh/resource-policy: keep`) and history."""
        if self.state(helm_release, namespace) is None:
            return False
        self._journal.append(f"helm uninstall {namespace}/{helm_release}")
        self._fail_now("uninstall", after_objects=False)
        entry = self._installed.pop((namespace, helm_release))
        for document in _documents(entry.manifests[entry.states[-1].helm_revision], namespace):
            if (document["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") != "keep":
                self._cluster.delete(_ref(document))
        return True

    # ----- inside

    def _send(self, verb: str, chart: Path, helm_release: str, namespace: str, rendered: str) -> ReleaseState:
        self._journal.append(f"helm {verb} {namespace}/{helm_release}")
        self._fail_now(verb, after_objects=False)
        documents = _documents(rendered, namespace)
        for document in documents:
            self._check_owner(document, helm_release, namespace)
        entry = self._installed.setdefault((namespace, helm_release), _Installed())
        number = entry.states[-1].helm_revision + 1 if entry.states else 1
        gone = self._gone(entry, documents, namespace)
        name, app_version = _chart(chart)
        state = ReleaseState(
            helm_release, namespace, number, f"pending-{verb}", name, app_version, START.isoformat()
        )
        entry.states.append(state)
        entry.manifests[number] = rendered
        for document in documents:
            self._cluster.apply(_owned(document, helm_release, namespace), field_manager="helm", force=True)
        for ref in gone:
            self._cluster.delete(ref)
        try:
            self._fail_now(verb, after_objects=True)
        except RailianceError:
            entry.states[-1] = replace(state, status="failed")
            raise
        entry.states = [
            replace(s, status="superseded") if s.status == "deployed" else s for s in entry.states
        ]
        entry.states[-1] = replace(state, status="deployed")
        return entry.states[-1]

    def _gone(self, entry: _Installed, documents: list[Manifest], namespace: str) -> list[ObjectRef]:
        if not entry.states:
            return []
        before = _documents(entry.manifests[entry.states[-1].helm_revision], namespace)
        now = {_ref(document) for document in documents}
        return [_ref(document) for document in before if _ref(document) not in now]

    def _check_owner(self, document: Manifest, helm_release: str, namespace: str) -> None:
        live = self._cluster.get(_ref(document))
        annotations = (live or {}).get("metadata", {}).get("annotations") or {}
        if live is not None and annotations.get("meta.helm.sh/release-name") != helm_release:
            ref = _ref(document)
            raise Conflict(
                "DENY_FOREIGN_OWNER", f"{ref.kind} {ref.name} in {namespace} is not of {helm_release}"
            )

    def _fail_now(self, verb: str, *, after_objects: bool) -> None:
        failure = self._failures.get(verb)
        if failure and failure[1] == after_objects:
            del self._failures[verb]
            raise failure[0]


class FakeGateway:
    """The ingress's counters.

    Attributes:
        complete: Whether every ready gateway pod can be read.
        down: While true, reading is `Unavailable`.
        on_read: Called before each reading; lets a test send traffic as time goes by.
    """

    def __init__(self, clock: FakeClock, pods: tuple[str, ...] = ("traefik-0",)) -> None:
        self.complete = True
        self.down = False
        self.on_read: Callable[[], None] = lambda: None
        self._clock = clock
        self._pods = pods
        self._starts = 1
        self._counts: dict[str, tuple[float, float, float]] = {}

    def serve(self, track: str, requests: float, errors: float = 0, slow: float = 0) -> None:
        """Let a track answer more requests, `errors` and `slow` of them being among these."""
        before = self._counts.get(track, (0.0, 0.0, 0.0))
        self._counts[track] = (before[0] + requests, before[1] + errors, before[2] + slow)

    def restart(self) -> None:
        """Start the gateway pods anew: counters begin at zero, in new series."""
        self._starts += 1
        self._counts.clear()

    def read(self, backends: Mapping[str, tuple[str, str, int]]) -> GatewayReading:
        """Return the counters of the tracks asked for; a track that nobody called has none."""
        self.on_read()
        if self.down:
            raise Unavailable("GATEWAY_UNREACHABLE", "The fake gateway is down.")
        samples = {
            track: tuple(self._sample(track, f"{space}/{service}:{port}"))
            for track, (space, service, port) in backends.items()
        }
        return GatewayReading(self._clock.now(), self.complete, samples, self._pods)

    def _sample(self, track: str, backend: str) -> list[Sample]:
        if track not in self._counts:
            return []
        requests, errors, slow = self._counts[track]
        return [Sample(f"{self._pods[0]}#{self._starts}|{backend}", requests, errors, slow)]


class FakeMetrics:
    """A Prometheus server that knows the answers it was given.

    Attributes:
        down: While true, every query is `Unavailable`.
        asked: The queries it got.
    """

    def __init__(self) -> None:
        self.down = False
        self.asked: list[str] = []
        self._answers: dict[str, list[tuple[Mapping[str, str], float]]] = {}

    def answer(self, promql: str, *vector: tuple[Mapping[str, str], float]) -> None:
        """Set the vector that a query returns."""
        self._answers[promql] = list(vector)

    def query(self, promql: str) -> list[tuple[Mapping[str, str], float]]:
        """Return the vector that was set, or none."""
        self.asked.append(promql)
        if self.down:
            raise Unavailable("PROMETHEUS_UNREACHABLE", "The fake Prometheus is down.")
        return list(self._answers.get(promql, []))


def _documents(rendered: str, namespace: str) -> list[Manifest]:
    documents = [document for document in yaml.safe_load_all(rendered) if document]
    for document in documents:
        document["metadata"].setdefault("namespace", namespace)
    return documents


def _owned(document: Manifest, helm_release: str, namespace: str) -> Manifest:
    """Add the marks by which Helm knows its objects."""
    meta = document["metadata"]
    marks = {"meta.helm.sh/release-name": helm_release, "meta.helm.sh/release-namespace": namespace}
    labels = {**(meta.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    marked = {**meta, "labels": labels, "annotations": {**(meta.get("annotations") or {}), **marks}}
    return {**document, "metadata": marked}


def _chart(chart: Path) -> tuple[str, str]:
    """Return name-version and appVersion of a chart, as Helm shows them."""
    file = chart / "Chart.yaml"
    about = yaml.safe_load(file.read_text()) if file.is_file() else {}
    name = f"{about.get('name', chart.name)}-{about.get('version', '0.0.0')}"
    return name, str(about.get("appVersion", ""))


def _ref(document: Manifest) -> ObjectRef:
    meta = document["metadata"]
    return ObjectRef(document["apiVersion"], document["kind"], meta.get("namespace", ""), meta["name"])
