"""The canary chart by itself on a real cluster: Helm, gateway and pods, without the engine."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from railiance.adapters.cluster import KubeCluster
from railiance.adapters.helm import HelmCli
from railiance.demo_app import create
from railiance.domain.ports import ObjectRef
from railiance.lab import build_demo_image

pytestmark = pytest.mark.cluster
WORKERS, RATE = 25, 50
ROUTES = {
    "traefik": (("traefik.io/v1alpha1", "TraefikService"), ("traefik.io/v1alpha1", "IngressRoute")),
    "gateway-api": (("gateway.networking.k8s.io/v1", "HTTPRoute"),),
}


def until(what: str, ask: Callable[[], bool], timeout: float = 60) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + timeout
    while not ask():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.2)


def answer(url: str, host: str) -> tuple[int, str]:
    """Return status and text of one request through the gateway."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", "/", headers={"Host": host})
    reply = connection.getresponse()
    return reply.status, reply.read().decode().strip()


class Load:
    """Users of the application: a bounded, steady stream of requests over kept-alive connections."""

    def __init__(self, url: str, host: str) -> None:
        self._url, self._host = url, host
        self.answers: Counter[tuple[int | str, str]] = Counter()
        self._lock, self._stop = threading.Lock(), threading.Event()

    def run(self, worker: int) -> None:
        """Send one worker's share of the requests, until it is over."""
        connection: http.client.HTTPConnection | None = None
        at = time.monotonic() + worker / RATE
        while not self._stop.wait(max(0, at - time.monotonic())):
            at += WORKERS / RATE
            try:
                connection = connection or http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=10)
                connection.request("GET", "/", headers={"Host": self._host})
                reply = connection.getresponse()
                seen: tuple[int | str, str] = (reply.status, reply.read().decode().strip())
            except (OSError, http.client.HTTPException) as error:
                seen, connection = ("no answer", type(error).__name__), None
            with self._lock:
                self.answers[seen] += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the stream up for the duration of a block."""
        threads = [threading.Thread(target=self.run, args=(worker,)) for worker in range(WORKERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def taken(self, seconds: float) -> Counter[tuple[int | str, str]]:
        """Return the answers of a span of time that begins now."""
        with self._lock:
            before = self.answers.copy()
        time.sleep(seconds)
        with self._lock:
            return self.answers - before


class Story:
    """One application in one namespace, changed with Helm alone."""

    def __init__(
        self, folder: Path, cluster: KubeCluster, helm: HelmCli, namespace: str, provider: str
    ) -> None:
        self._folder, self._cluster, self._helm = folder, cluster, helm
        self._namespace, self._provider = namespace, provider
        self.host = f"{namespace}.localhost"

    def deploy(self, helm_release: str, values: str, version: str, **traffic: Any) -> None:
        """Install or upgrade a helm_release with a version, and wait until no pod of an older one is left."""
        image = build_demo_image(version)
        create(
            self._folder,
            image=image.repository,
            digest=image.digest,
            host=self.host,
            namespace=self._namespace,
            provider=self._provider,
            gateway="kube-system/traefik-gateway" if self._provider == "gateway-api" else None,
        )
        known = self._helm.state(helm_release, self._namespace)
        send = self._helm.upgrade if known else self._helm.install
        overlay = {"railiance": {"traffic": traffic}} if traffic else {}
        files = [self._folder / "values" / values]
        send(self._folder / "charts" / "hello", helm_release, self._namespace, files, overlay)
        until(f"{helm_release} runs {version} alone", lambda: self._runs_alone(helm_release, image.digest))

    def _runs_alone(self, helm_release: str, digest: str) -> bool:
        labels = f"app.kubernetes.io/instance={helm_release}"
        pods = self._cluster.list_objects("v1", "Pod", self._namespace, labels)
        ready = [
            pod["spec"]["containers"][0]["image"].endswith(digest)
            and any(
                c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])
            )
            for pod in pods
        ]
        return bool(ready) and all(ready)

    def routes(self) -> list[dict[str, Any] | None]:
        """Return the route's live objects."""
        refs = (ObjectRef(api, kind, self._namespace, "hello") for api, kind in ROUTES[self._provider])
        return [self._cluster.get(ref) for ref in refs]


@pytest.fixture(params=list(ROUTES))
def story(request, tmp_path, cluster, helm, namespace) -> Story:
    """Return an application that is not deployed yet, for each provider."""
    return Story(tmp_path / "app", cluster, helm, namespace, request.param)


def test_no_request_is_lost(story, lab):
    """Split, upgrade, hand-over of the route to an engine, and the way back: the chart loses no request."""
    story.deploy("hello", "stage3-production.yaml", "v1")
    until("the route answers", lambda: answer(lab.ingress_url, story.host) == (200, "demoapp v1"))
    story.deploy("hello-canary", "stage2-canary.yaml", "v2")
    load = Load(lab.ingress_url, story.host)
    with load.running():
        assert set(load.taken(2)) == {(200, "demoapp v1")}, "the canary has users without a weight"

        story.deploy("hello", "stage3-production.yaml", "v1", stableWeight=80, canaryWeight=20)
        time.sleep(1)
        split = load.taken(8)
        assert 0.15 < split[200, "demoapp v2"] / split.total() < 0.25

        story.deploy("hello", "stage3-production.yaml", "v2")
        assert set(load.taken(2)) == {(200, "demoapp v2")}

        before = story.routes()
        story.deploy("hello", "stage3-production.yaml", "v2", managed=True)
        after = story.routes()
        assert [item and item["spec"] for item in after] == [item and item["spec"] for item in before]
        assert None not in after

        story.deploy("hello", "stage3-production.yaml", "v1")
        assert set(load.taken(2)) == {(200, "demoapp v1")}
    assert {status for status, _ in load.answers} == {200}, load.answers
