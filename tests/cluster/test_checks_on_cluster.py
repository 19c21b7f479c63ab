"""Checks, probes and preflight against a real API server, Traefik, Prometheus, registry and application."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from railiance import demo_app
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.prometheus import Prometheus
from railiance.adapters.registry import manifest_exists
from railiance.domain.check import CheckResult
from railiance.domain.errors import Unavailable
from railiance.domain.verdict import Verdict
from railiance.engine import preflight
from railiance.engine.checks import BUILTINS, run_checks
from railiance.engine.ingress import ingress_url
from railiance.engine.planning import CANARY, STABLE, read_baseline, stage_source
from railiance.engine.probing import probe_canary, smoke
from railiance.engine.traffic import set_weight, track_state
from railiance.engine.work import Hands, Work, open_work
from tests import real_cluster

if TYPE_CHECKING:
    from railiance.lab import LabStatus

pytestmark = pytest.mark.cluster

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
PROVIDERS = {"traefik": None, "gateway-api": "kube-system/traefik-gateway"}
CHECKS = """
[[checks]]
id = "rolled-out"
type = "kubernetes"
resource = "Deployment/@app@-canary"
condition = "Available"
jsonpath = "{.spec.template.spec.containers[0].ports[?(@.name=='http')].containerPort}"
equals = "8080"

[[checks]]
id = "no-such-object"
type = "kubernetes"
resource = "Deployment.apps/nobody"

[[checks]]
id = "route"
type = "kubernetes"
resource = "HTTPRoute.gateway.networking.k8s.io/nobody"

[[checks]]
id = "port"
type = "tcp"
address = "@app@-canary.@namespace@.svc.cluster.local"
port = 80

[[checks]]
id = "accepted"
type = "helm"
mode = "dry-run"

[[checks]]
id = "scraped"
type = "promql"
query = "max(up)"
compare = "=="
threshold = 1.0

[[checks]]
id = "no-data"
type = "promql"
query = "railiance_no_such_metric"
compare = "<"
threshold = 1.0

[[observability.logs]]
name = "no-leak"
reference = "kubectl logs deploy/@app@-canary --tail=100"
stage = "stage2"

[[observability.logs]]
name = "no-listening"
reference = "kubectl logs deploy/@app@-canary"
stage = "stage2"
forbid = ["."]
"""


class Held:
    """A lock that is always held; the real one has tests of its own."""

    fence = 1

    def assert_held(self) -> None:
        """Agree."""

    def yield_wanted(self) -> str | None:
        """Return nobody."""

    def release(self) -> None:
        """Give it back."""


def _installed(folder: Path, lab: LabStatus, kubeconfig: Path, namespace: str, provider: str) -> Work:
    """Install both tracks of the demo application with the header rule, and return its work."""
    image, digest = _image()
    app = f"probe-{provider[:4]}"
    demo_app.create(
        folder,
        image=image,
        digest=digest,
        app_id=app,
        namespace=namespace,
        host=f"{namespace}.localhost",
        provider=provider,
        gateway=PROVIDERS[provider],
    )
    contract = folder / "railiance" / "app.toml"
    # The demo's health path stays well whatever its other answers are.
    text = contract.read_text()
    contract.write_text(text + CHECKS.replace("@app@", app).replace("@namespace@", namespace))
    work = open_work(folder, cluster=f"kubeconfig:{kubeconfig}")
    hands = work.hands
    metrics = Prometheus(lab.prometheus_url) if lab.prometheus_url else None
    work._hands = Hands(**{name: getattr(hands, name) for name in Hands.__slots__} | {"metrics": metrics})
    for stage, track, release in (("stage3", STABLE, app), ("stage2", CANARY, f"{app}-canary")):
        source = stage_source(work, stage, track, read_baseline(work, work.standing()))
        work.hands.releases.install(source.chart, release, namespace, source.values, source.overlay)
    deadline = time.monotonic() + 120
    while not (track_state(work, STABLE).ready and track_state(work, CANARY).ready):
        assert time.monotonic() < deadline, "the tracks did not become ready"
        time.sleep(0.5)
    set_weight(work, 0, None)
    return work


def _image() -> tuple[str, str]:
    from railiance.lab import build_demo_image

    image = build_demo_image("v1")
    return image.repository, image.digest


@pytest.fixture(scope="module", params=list(PROVIDERS))
def work(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    cluster: KubeCluster,
    kubeconfig: Path,
    lab: LabStatus,
) -> Iterator[Work]:
    """Return the demo application with both tracks, once by each provider."""
    folder = tmp_path_factory.mktemp("app") / "repository"
    with real_cluster.fresh_namespace(cluster) as namespace:
        yield _installed(folder, lab, kubeconfig, namespace, request.param)


@pytest.fixture
def faults(work: Work) -> Iterator[Faults]:
    """Return the switch for the canary's faults, which are off again afterwards."""
    switch = Faults(work)
    yield switch
    switch.set("fail=0&delay=0s&ready=true")


class Faults:
    """The demo application's fault switch."""

    def __init__(self, work: Work) -> None:
        self.work = work
        (pod,) = track_state(work, CANARY).pods
        self.pod = str(pod["metadata"]["name"])

    def set(self, query: str) -> None:
        """Set faults of the canary's pod."""
        namespace = self.work.namespace
        self.work.hands.cluster.proxy(namespace, self.pod, 8080, f"/fault?{query}", method="POST", timeout=20)


def _ask(work: Work, name: str) -> CheckResult:
    (result,) = run_checks(work, "stage2", [name])
    return result


def test_the_private_look_is_proven_by_the_gateway_itself(work: Work) -> None:
    """One request with the track header reaches the canary, and the gateway's counters show it."""
    assert ingress_url(work.hands.cluster)
    result = smoke(work)
    assert result.verdict is PASS, result.reason


def test_without_the_header_rule_the_look_is_not_believed(work: Work) -> None:
    """Stable answers 200 as well; only the counters tell the two apart."""
    set_weight(work, 0, None, header=False)
    try:
        # The gateway goes by the old rule for a moment, and then the look is rightly believed.
        deadline = time.monotonic() + 60
        while (result := smoke(work)).verdict is PASS and time.monotonic() < deadline:
            time.sleep(0.5)
    finally:
        set_weight(work, 0, None)
    assert result.verdict is UNKNOWN, result.reason


def test_a_healthy_canary_passes_the_built_in_and_declared_checks(work: Work) -> None:
    """Both stages pass with the demo application's own checks."""
    for stage in ("stage2", "stage3"):
        results = run_checks(work, stage)
        assert {r.id for r in results} >= set(BUILTINS[stage])
        assert {r.id: (r.verdict, r.reason) for r in results if r.verdict is not PASS} == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rolled-out", PASS),
        ("no-such-object", FAIL),
        ("route", FAIL),
        ("port", PASS),
        ("accepted", PASS),
        ("scraped", PASS),
        ("no-data", UNKNOWN),
        ("no-leak", PASS),
        ("no-listening", FAIL),
    ],
)
def test_each_type_of_check_tells_the_truth(work: Work, name: str, expected: Verdict) -> None:
    """Objects, ports, dry runs, metrics and logs are asked of the real thing."""
    result = _ask(work, name)
    assert result.verdict is expected, result.reason


def test_a_clean_canary_passes_the_probing(work: Work) -> None:
    """Synthetic requests for the earliest time, counted by the gateway, and every check."""
    probing = probe_canary(work, Held())
    assert probing.verdict is PASS, probing.reason
    assert (probing.way, probing.errors, probing.user_traffic) == ("gateway", 0, False)
    assert probing.requests >= work.contract.analysis.min_samples


def test_without_a_gateway_the_pods_are_asked_through_the_api_server(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An isolated canary is probed at the declared rate all the same, and passes."""
    monkeypatch.setattr("railiance.engine.probing.ingress_url", lambda _cluster: None)
    assert smoke(work).verdict is PASS
    probing = probe_canary(work, Held())
    assert (probing.verdict, probing.way) == (PASS, "pods"), probing.reason
    assert probing.requests >= work.contract.analysis.min_samples


def test_a_failing_canary_is_found_within_seconds(work: Work, faults: Faults) -> None:
    """A canary that answers 500 to everything needs no 20 seconds."""
    faults.set("fail=1")
    started = time.monotonic()
    probing = probe_canary(work, Held())
    assert probing.verdict is FAIL, probing.reason
    assert time.monotonic() - started < 10


def test_a_silent_pod_is_told_from_a_silent_api_server(work: Work, faults: Faults) -> None:
    """A pod that gives no answer in time is POD_UNREACHABLE, and its health check FAIL, not UNKNOWN."""
    faults.set("delay=8s")
    with pytest.raises(Unavailable) as error:
        work.hands.cluster.proxy(work.namespace, faults.pod, 8080, "/", timeout=1)
    assert error.value.code == "POD_UNREACHABLE"


def test_a_pod_that_does_not_listen_or_exist_is_told_apart_from_its_answers(
    work: Work, faults: Faults
) -> None:
    """A closed port and a pod that is gone are POD_UNREACHABLE; an answer keeps its status and body."""
    proxy, namespace = work.hands.cluster.proxy, work.namespace
    for pod, port in ((faults.pod, 9999), ("nobody", 8080)):
        with pytest.raises(Unavailable) as error:
            proxy(namespace, pod, port, "/")
        assert error.value.code == "POD_UNREACHABLE"
    assert proxy(namespace, faults.pod, 8080, "/version").status == 200
    faults.set("fail=1")
    assert proxy(namespace, faults.pod, 8080, "/").status == 500


def test_the_host_header_reaches_the_pod(work: Work) -> None:
    """Servers with a list of allowed hosts can be asked: Traefik, asked as a pod, routes by that name."""
    cluster = work.hands.cluster
    (pod, *_) = cluster.list_objects("v1", "Pod", None, "app.kubernetes.io/name=traefik")
    ports = {p["name"]: p["containerPort"] for p in pod["spec"]["containers"][0]["ports"]}
    meta = pod["metadata"]

    def status(host: str) -> int:
        answer = cluster.proxy(meta["namespace"], meta["name"], ports["web"], "/", headers={"Host": host})
        return answer.status

    assert status(str(work.contract.traffic.host)) == 200
    assert status("nobody.localhost") == 404


def test_the_registry_tells_what_it_has() -> None:
    """A pushed image is there, another digest is not, and a registry that is not there says nothing."""
    image, digest = _image()
    assert manifest_exists(image, digest) is True
    assert manifest_exists(image, "sha256:" + "0" * 64) is False
    assert manifest_exists(f"{image}-nowhere", digest) is False
    assert manifest_exists("127.0.0.1:9/demoapp", digest) is None


def test_nothing_stands_against_a_run_on_a_healthy_lab(work: Work) -> None:
    """Image, metrics and gateway are there."""
    assert preflight.image_problems(work) == ([], [])
    assert preflight.metrics_problems(work, "stage2") == []
    assert preflight.gateway_problems(work) == []
