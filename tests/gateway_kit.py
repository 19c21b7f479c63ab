"""What the tests of gateway and routes need on a real cluster: two tracks of the demo application, and users."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from railiance.adapters.cluster import KubeCluster
from railiance.adapters.routes import Routes
from railiance.domain.manifests import RouteSpec, route_refs
from railiance.domain.ports import Manifest, ObjectRef
from railiance.lab import LabStatus, build_demo_image
from tests import real_cluster

HEADER = "X-Railiance-Track"
Seen = tuple[int, str]


def until(what: str, ask: Callable[[], bool], timeout: float = 60) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + timeout
    while not ask():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.1)


@contextmanager
def tracks_in(cluster: KubeCluster, lab: LabStatus) -> Iterator[Tracks]:
    """Return two tracks, not deployed yet, in a namespace of their own."""
    image = build_demo_image("gateway-kit")
    with real_cluster.fresh_namespace(cluster) as namespace:
        yield Tracks(cluster, namespace, f"{image.repository}@{image.digest}", str(lab.ingress_url))


@dataclass(frozen=True)
class Tracks:
    """Two tracks of the demo application in one namespace, without Helm: `web` and `web-canary`."""

    cluster: KubeCluster
    namespace: str
    image: str
    ingress: str

    @property
    def host(self) -> str:
        """Return the public host, one per namespace so that tests do not meet."""
        return f"web.{self.namespace}.example"

    @property
    def backends(self) -> dict[str, tuple[str, str, int]]:
        """Return the backends by track."""
        return {"stable": (self.namespace, "web", 80), "canary": (self.namespace, "web-canary", 80)}

    def spec(self, provider: str, weight: int) -> RouteSpec:
        """Return the route at a weight, with the header rule of an open run."""
        return RouteSpec(
            app_id="web",
            namespace=self.namespace,
            route="web",
            provider=provider,  # type: ignore[arg-type]
            host=self.host,
            path="/",
            port=80,
            stable_service="web",
            canary_service="web-canary",
            weight=weight,
            header_name=HEADER,
            header_value="canary-1",
            gateway="kube-system/traefik-gateway" if provider == "gateway-api" else None,
        )

    def deploy(self, name: str, version: str, replicas: int = 1, fail: float = 0) -> None:
        """Run a track and wait until exactly so many pods are ready."""
        for manifest in (self._deployment(name, version, replicas, fail), self._service(name)):
            self.cluster.apply(manifest, field_manager="test", force=True)
        until(f"{name} has {replicas} ready pods", lambda: self._settled(name, replicas))

    def restore(self, fail: float = 0) -> None:
        """Bring both tracks to what a test begins with; costs nothing when they are there already."""
        for pod in (*self.pods("web"), *self.pods("web-canary")):
            if not any(
                c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ())
            ):
                self.cluster.delete(ObjectRef("v1", "Pod", self.namespace, pod["metadata"]["name"]))
        self.deploy("web", "v1")
        self.deploy("web-canary", "v2", fail=fail)

    def close(self, providers: Sequence[str]) -> None:
        """Take the routes away, and wait until the gateway has forgotten them: the next test writes its own.

        The gateway follows the API server after a while only; a test that begins too early is served by the
        route of the one before, and loses it in the middle.
        """
        for spec in (self.spec(provider, 0) for provider in providers):
            Routes(self.cluster).remove(spec)
            for ref in route_refs(spec):
                until(f"{ref.kind} {ref.name} is gone", lambda ref=ref: self.cluster.get(ref) is None)
        until("the gateway serves nobody", lambda: set(self.asked(3)) == {(404, "404 page not found")})

    def pods(self, name: str) -> list[Manifest]:
        """Return the pods of a track."""
        return self.cluster.list_objects("v1", "Pod", self.namespace, f"app={name}")

    def ask(self, path: str = "/", *, canary: bool = False) -> Seen:
        """Return status and text of one request through the gateway; with the track header if `canary`."""
        connection = http.client.HTTPConnection(urlsplit(self.ingress).netloc, timeout=10)
        headers = {"Host": self.host, **({HEADER: "canary-1"} if canary else {})}
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        seen = reply.status, reply.read().decode().strip()
        connection.close()
        return seen

    def asked(self, times: int) -> Counter[Seen]:
        """Return how often which answer came to so many requests."""
        return Counter(self.ask() for _ in range(times))

    def _settled(self, name: str, replicas: int) -> bool:
        found = self.cluster.get(ObjectRef("apps/v1", "Deployment", self.namespace, name)) or {}
        status = found.get("status", {})
        if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return False
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")]
        # Pods that leave no longer count as replicas, but the slices may still list them.
        return counts == [replicas] * 3 and len(self.pods(name)) == replicas

    def _deployment(self, name: str, version: str, replicas: int, fail: float) -> Manifest:
        settings = {"VERSION": version, "FAIL_RATIO": str(fail), "DRAIN_SECONDS": "3"}
        container = {
            "name": "web",
            "image": self.image,
            "env": [{"name": key, "value": value} for key, value in settings.items()],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
        }
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
        }

    def _service(self, name: str) -> Manifest:
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"selector": {"app": name}, "ports": ports},
        }


class Users:
    """A bounded, steady stream of requests over kept-alive connections, with what became of each."""

    def __init__(self, tracks: Tracks, *, rate: float = 50, workers: int = 10) -> None:
        self._tracks, self._rate, self._workers = tracks, rate, workers
        self._lock, self._stop = threading.Lock(), threading.Event()
        self.seen: list[tuple[float, int | str, str]] = []

    @contextmanager
    def at_work(self) -> Iterator[Users]:
        """Keep the stream up for the duration of a block."""
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(self._workers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def answers(self, since: float = 0.0) -> Counter[tuple[int | str, str]]:
        """Return how often which answer came, from a monotonic moment on."""
        with self._lock:
            return Counter((status, text) for at, status, text in self.seen if at >= since)

    def lost(self, since: float = 0.0) -> int:
        """Return how many got no answer, or one that the gateway made because nobody answered it."""
        return sum(
            count
            for (status, _), count in self.answers(since).items()
            if status in {404, 502, 503, 504, "none"}
        )

    def _work(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        at = time.monotonic() + number / self._rate
        while not self._stop.wait(max(0.0, at - time.monotonic())):
            at += self._workers / self._rate
            try:
                connection = connection or http.client.HTTPConnection(
                    urlsplit(self._tracks.ingress).netloc, timeout=10
                )
                connection.request("GET", "/", headers={"Host": self._tracks.host})
                reply = connection.getresponse()
                outcome: tuple[int | str, str] = (reply.status, reply.read().decode().strip())
            except (OSError, http.client.HTTPException) as error:
                outcome, connection = ("none", type(error).__name__), None
            with self._lock:
                self.seen.append((time.monotonic(), *outcome))
