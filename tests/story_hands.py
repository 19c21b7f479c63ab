"""What a story's world is made of: hands that tell the journal what they do, a lock, a chart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml

from railiance.adapters.ledger import ClusterLedger
from railiance.adapters.routes import Routes, RouteState
from railiance.domain.errors import Conflict
from railiance.domain.manifests import RouteSpec, backends_of
from railiance.domain.ports import Event, Manifest
from tests.fakes import FakeClock, FakeCluster

SPACE = "shop"


class Told(Protocol):
    """A world with a journal."""

    journal: list[str]
    names: dict[str, str]
    spec: RouteSpec | None
    clock: FakeClock
    cluster: FakeCluster


class Killed(BaseException):
    """The process is gone: nothing of it runs after this, so nothing may be expected of it."""


class HeldLock:
    """A lock that is held until a test says otherwise.

    Attributes:
        wanted: The run that asks for it.
        lost: Whether it is gone.
        asked: How often the holder made sure.
    """

    fence = 1

    def __init__(self) -> None:
        self.wanted: str | None = None
        self.lost = False
        self.asked = 0

    def assert_held(self) -> None:
        """Raise when the lock is lost."""
        self.asked += 1
        if self.lost:
            raise Conflict("DENY_LOCK_LOST", "the lock is lost")

    def yield_wanted(self) -> str | None:
        """Return who asks for it."""
        return self.wanted

    def release(self) -> None:
        """Give it back."""


class Answers(dict[Any, Any]):
    """What pods answer: 200 to everybody, unless a test put something else in."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key, b"ok" if key[0] == SPACE else default)


class ToldLedger(ClusterLedger):
    """The real ledger, which also tells the journal."""

    def __init__(self, world: Told) -> None:
        super().__init__(world.cluster, SPACE, "web", clock=world.clock)
        self._world = world

    def append(self, kind: str, run_id: str, actor: str, data: Mapping[str, Any]) -> Event:
        event = super().append(kind, run_id, actor, data)
        shown = [kind]
        for key in ("verb", "stage", "phase", "step", "object", "weight", "candidate", "verdict", "decision"):
            value = data.get(key)
            if value in (None, "") or (key == "object" and str(value).startswith("sha256:")):
                continue
            value = self._world.names.get(str(value), value)
            shown.append(f"{key} {value}" if key in ("step", "weight", "candidate") else str(value))
        self._world.journal.append(f"    ledger: {', '.join(shown)}")
        return event


class ToldRoutes(Routes):
    """The real routes, which also tell the journal where the users go."""

    def __init__(self, world: Told) -> None:
        super().__init__(world.cluster)
        self._world = world

    def apply(self, spec: RouteSpec, *, adopt: bool = False, force: bool = False) -> RouteState:
        self._world.spec = spec
        tracks = {spec.stable_service: "stable", spec.canary_service: "canary"}
        parts = [f"{tracks[service]} {share} %" for service, share in backends_of(spec)]
        look = "; private look at the canary" if spec.header_value else ""
        line = f"users: {', '.join(parts) or 'nobody'}{look}"
        state = super().apply(spec, adopt=adopt, force=force)
        self._world.journal.append(line)
        return state

    def remove(self, spec: RouteSpec) -> bool:
        self._world.spec = None
        gone = super().remove(spec)
        self._world.journal.append("users: no route" if gone else "users: no route, as before")
        return gone


def digest_of_image(version: str) -> str:
    """Return the digest of a version's image."""
    return f"sha256:{hashlib.sha256(version.encode()).hexdigest()}"


def render(
    chart: Path, helm_release: str, namespace: str, values: Sequence[Path], overlay: Mapping[str, Any]
) -> str:
    """Return what a chart like ours renders; what the chart's own files say shows in the pods."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    greeting = [yaml.safe_load(path.read_text())["greeting"] for path in values][-1]
    labels = {"app.kubernetes.io/instance": helm_release}
    image = overlay["image"]
    container = {
        "name": "app",
        "image": f"{image['repository']}@{image['digest']}",
        "env": [{"name": "GREETING", "value": greeting}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
    }
    annotations = {"chart": about["appVersion"], "candidate": overlay["railiance"]["candidate"]}
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"containers": [container]},
    }
    meta = {"name": helm_release, "labels": labels}
    deployment = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    documents: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
    ]
    return yaml.safe_dump_all(documents)


def version_of(deployment: Manifest) -> str:
    """Return a version as the chart of it said; chart and image are of one version in these stories."""
    return str(deployment["spec"]["template"]["metadata"]["annotations"]["chart"])
