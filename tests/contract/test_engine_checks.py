"""The checks and probes of Stage 2 and 3, on the fake cluster, with real HTTP where a gateway stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from railiance.adapters.routes import Routes
from railiance.domain.candidate import Candidate, Image
from railiance.domain.check import CheckResult, combine_checks
from railiance.domain.errors import Broken, Conflict, Unavailable, Usage
from railiance.domain.ports import ObjectRef, ProxyAnswer
from railiance.domain.results import check_info
from railiance.domain.verdict import Verdict
from railiance.engine import preflight
from railiance.engine.checks import BUILTINS, run_checks
from railiance.engine.ingress import ingress_url
from railiance.engine.probing import probe_canary, smoke
from railiance.engine.work import Hands, Work
from railiance_schema import load_contract
from tests.fake_controllers import FakeControllers
from tests.fakes import FakeClock, FakeCluster, FakeGateway, FakeMetrics, FakeReleases

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
DIGEST = "sha256:" + "a" * 64
BASE = """
schema_version = "railiance.app.v1"
app = {{ id = "web", name = "W", repo = "o/web", owner = "o", criticality = "low", description = "d" }}
source = {{ revision = "v1", artifact = "image", image = "127.0.0.1:1/web", digest = "{digest}" }}
rollback = {{ strategy = "known-good", verification = "look" }}
analysis = {{ earliest = "20s", interval = "5s", min_samples = 50, synthetic_rps = 5.0 }}
{top}
[stages]
stage1 = {{ commands = ["true"] }}
stage2 = {{ namespace = "shop", release = "web-canary", checks = {checks} }}
stage3 = {{ namespace = "shop", release = "web" }}
{tables}
"""
HEALTH = (
    '[[observability.health_endpoints]]\nname = "h"\nurl = "http://web.shop.svc/healthz"\nstage = "stage2"\n'
)
WEIGHTED = 'traffic = { mode = "weighted", host = "shop.example", drain = "0s" }'
READINESS = {"httpGet": {"path": "/readyz", "port": "http"}}


class Bench:
    """An app with both tracks in a fake cluster, and what a test does to them."""

    def __init__(self, folder: Path, *, checks: str = "[]", tables: str = "", top: str = "") -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(clock=self.clock)
        self.controllers = FakeControllers(self.cluster)
        self.gateway, self.metrics = FakeGateway(self.clock), FakeMetrics()
        text = BASE.format(digest=DIGEST, checks=checks, tables=tables, top=top)
        candidate = Candidate(
            "web",
            "v1",
            "c" * 40,
            False,
            False,
            (Image("127.0.0.1:1/web", DIGEST),),
            None,
            (),
            "sha256:1",
            None,
        )
        hands = Hands(
            cluster=self.cluster,
            releases=FakeReleases(self.cluster, lambda *_: ""),
            gateway=self.gateway,
            routes=Routes(self.cluster),
            ledger=None,  # type: ignore[arg-type]  # checks write nothing
            clock=self.clock,
            metrics=self.metrics,
        )
        self.hands = hands
        contract = load_contract(text, env={})
        self.work = Work(
            folder,
            contract,
            candidate,
            lambda: self.hands,
            clock=self.clock,
            run_id="run-12345678",
            requester="r",
        )
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        for name in ("web", "web-canary"):
            self.track(name)

    def track(self, name: str, probe: dict[str, Any] | None = READINESS) -> None:
        """Install a Deployment and a Service of one track."""
        labels = {"app.kubernetes.io/instance": name}
        container: dict[str, Any] = {
            "name": "app",
            "image": f"web@{DIGEST}",
            "ports": [{"name": "http", "containerPort": 8080}],
            **({"readinessProbe": probe} if probe else {}),
        }
        metadata = {"name": name, "namespace": "shop", "labels": labels}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        ports = [{"name": "http", "port": 80, "targetPort": "http"}]
        for kind, api, body in (
            ("Deployment", "apps/v1", spec),
            ("Service", "v1", {"selector": labels, "ports": ports}),
        ):
            ref = ObjectRef(api, kind, "shop", name)
            self.cluster.delete(ref)
            self.cluster.create({"apiVersion": api, "kind": kind, "metadata": dict(metadata), "spec": body})

    def pod(self, name: str = "web-canary") -> str:
        """Return the name of a track's pod."""
        (pod,) = self.cluster.list_objects("v1", "Pod", "shop", f"app.kubernetes.io/instance={name}")
        return str(pod["metadata"]["name"])

    def answer(self, path: str, answer: Any, name: str = "web-canary", port: int = 8080) -> None:
        """Let a track's pod answer."""
        self.cluster.answers["shop", self.pod(name), port, path] = answer

    def ask(self, *ids: str, stage: str = "stage2") -> CheckResult:
        """Run one check, whose result must fit into a result document."""
        (result,) = run_checks(self.work, stage, ids)
        check_info(result)  # every detail must be one that result documents know
        return result


class Held:
    """A lock that is held until a test says otherwise."""

    fence = 1

    def __init__(self) -> None:
        self.wanted: str | None = None
        self.lost = False
        self.asked = 0

    def assert_held(self) -> None:
        """Raise when the lock is lost."""
        self.asked += 1
        if self.lost:
            raise Conflict("DENY_LOCK_LOST", "lost")

    def yield_wanted(self) -> str | None:
        """Return who asks for it."""
        return self.wanted

    def release(self) -> None:
        """Give it back."""


def _bench(folder: Path, check: str, **more: str) -> Bench:
    return Bench(
        folder, checks='["c"]', tables=f'[[checks]]\nid = "c"\n{check}\n{more.pop("tables", "")}', **more
    )


# ----- http


def test_a_cluster_url_is_asked_of_the_pods_behind_its_service(tmp_path: Path) -> None:
    """The Service's port leads to the pods' port, and the pod's own answer counts."""
    bench = _bench(tmp_path, 'type = "http"\nurl = "http://web.shop.svc.cluster.local/healthz?x=1"')
    bench.answer("/healthz?x=1", b"ok", "web")
    result = bench.ask("c")
    assert (result.verdict, result.details["http_status"]) == (PASS, 200)
    assert result.details["url"] == "http://web.shop.svc.cluster.local/healthz"
    bench.answer("/healthz?x=1", ProxyAnswer(503, b""), "web")
    assert bench.ask("c").verdict is FAIL


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://nobody.shop.svc/", "There is no Service shop/nobody"),
        ("http://web.shop.svc:81/", "has no port 81"),
        ("http://web.shop.svc/silent", "Nothing answers"),
    ],
)
def test_what_is_not_there_inside_the_cluster_is_a_failure(tmp_path: Path, url: str, expected: str) -> None:
    """No Service, no such port, or a ready pod that does not answer: the question is answered with no."""
    result = _bench(tmp_path, f'type = "http"\nurl = "{url}"').ask("c")
    assert result.verdict is FAIL
    assert expected in result.reason


def test_a_service_without_a_ready_pod_fails(tmp_path: Path) -> None:
    """Pods that are not ready do not count as answering."""
    bench = _bench(tmp_path, 'type = "http"\nurl = "http://web.shop.svc/"')
    bench.controllers.never_ready.add("web")
    bench.controllers.reconcile()
    assert "Nobody is ready" in bench.ask("c").reason


def test_an_api_server_that_does_not_answer_makes_every_check_unknown(tmp_path: Path) -> None:
    """Unreachable is UNKNOWN with the reason, never an error and never a pass."""
    bench = Bench(tmp_path, tables=HEALTH)
    bench.cluster.down = True
    results = run_checks(bench.work, "stage2")
    assert {result.id for result in results} == set(BUILTINS["stage2"])
    assert {result.verdict for result in results} == {UNKNOWN}
    assert combine_checks(results) is UNKNOWN


def test_retries_are_counted_and_paced_by_the_contract(tmp_path: Path) -> None:
    """A failing check is asked again after its interval, and the first PASS ends it."""
    bench = _bench(tmp_path, 'type = "http"\nurl = "http://web.shop.svc/"\nretries = 3\ninterval = "7s"')
    answers = iter([ProxyAnswer(500, b""), Unavailable("POD_UNREACHABLE", "no"), b"ok"])
    bench.answer("/", lambda: next(answers), "web")
    started = bench.clock.monotonic()
    result = bench.ask("c")
    assert (result.verdict, result.attempts) == (PASS, 3)
    assert bench.clock.monotonic() - started == 14


# ----- tcp


def test_a_cluster_port_that_cannot_be_tried_is_vouched_for_by_its_kubelet(tmp_path: Path) -> None:
    """From outside, a ready pod whose kubelet connects to that port is a PASS; otherwise nobody can tell."""
    bench = _bench(
        tmp_path, 'type = "tcp"\naddress = "web.shop.svc.cluster.local"\nport = 80\ntimeout = "100ms"'
    )
    assert bench.ask("c").verdict is PASS
    bench.track("web", probe=None)
    assert bench.ask("c").verdict is UNKNOWN
    bench.controllers.never_ready.add("web")
    bench.controllers.reconcile()
    assert bench.ask("c").verdict is FAIL


# ----- objects


def test_without_a_resource_all_workloads_of_the_stage_are_meant(tmp_path: Path) -> None:
    """Stage 2 asks the canary's helm_release, Stage 3 the stable one."""
    bench = _bench(tmp_path, 'type = "kubernetes"')
    bench.controllers.never_ready.add("web")
    bench.controllers.reconcile()
    assert bench.ask("c").verdict is PASS
    assert bench.ask("c", stage="stage3").verdict is FAIL


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("Deployment/web", PASS),
        ("Deployment.apps/web", PASS),
        ("Deployment/nobody", FAIL),
        ("IngressRoute.traefik.io/web", FAIL),
        ("Cluster.postgresql.cnpg.io/db", UNKNOWN),
        ("IngressRoute/web", UNKNOWN),
    ],
)
def test_a_kind_is_found_with_or_without_its_group(tmp_path: Path, resource: str, expected: Verdict) -> None:
    """A missing object is FAIL, a kind that the cluster does not serve is UNKNOWN."""
    bench = _bench(tmp_path, f'type = "kubernetes"\nresource = "{resource}"')
    assert bench.ask("c").verdict is expected


# ----- metrics


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([({}, 0.2)], PASS),
        ([({}, 0.7)], FAIL),
        ([], UNKNOWN),
        ([({"a": "1"}, 0.1), ({"a": "2"}, 0.1)], UNKNOWN),
    ],
)
def test_a_bound_is_kept_broken_or_cannot_be_told(tmp_path: Path, vector: Any, expected: Verdict) -> None:
    """No data and several series are never a PASS."""
    bench = _bench(tmp_path, 'type = "promql"\nquery = "q"\ncompare = "<"\nthreshold = 0.5')
    bench.metrics.answer("q", *vector)
    result = bench.ask("c")
    assert result.verdict is expected
    assert result.details["query"] == "q"


def test_without_prometheus_a_bound_cannot_be_told(tmp_path: Path) -> None:
    """No server configured, or one that does not answer, is UNKNOWN."""
    bench = _bench(tmp_path, 'type = "promql"\nquery = "q"\ncompare = "<"\nthreshold = 0.5')
    bench.metrics.down = True
    assert bench.ask("c").verdict is UNKNOWN
    bench.hands = Hands(**{name: getattr(bench.hands, name) for name in Hands.__slots__} | {"metrics": None})
    bench.work._hands = bench.hands
    assert bench.ask("c").reason == "No Prometheus is configured."


def test_a_metric_without_a_bound_is_recorded_and_counts_nothing(tmp_path: Path) -> None:
    """It can neither stop a stage nor let it pass."""
    table = '[[observability.metrics]]\nname = "m"\nreference = "promql:q"\nstage = "stage2"'
    bench = Bench(tmp_path, checks='["m"]', tables=table)
    bench.metrics.answer("q", ({}, 3.0))
    result = bench.ask("m")
    assert (result.verdict, result.required, result.details["value"]) == (None, False, 3.0)
    assert result.skipped


def test_a_relative_bound_asks_stable_too(tmp_path: Path) -> None:
    """The canary's value is compared with stable's, and without stable's nobody can tell."""
    bench = _bench(tmp_path, 'type = "promql"\nquery = "c"\nstable_query = "s"\ntolerance_ratio = 2.0')
    bench.metrics.answer("c", ({}, 1.5))
    assert bench.ask("c").verdict is UNKNOWN
    bench.metrics.answer("s", ({}, 1.0))
    assert bench.ask("c").verdict is PASS
    bench.metrics.answer("s", ({}, 0.5))
    assert bench.ask("c").verdict is FAIL


# ----- logs and commands


def test_a_log_is_scanned_through_the_api_and_never_kept(tmp_path: Path) -> None:
    """A leaked token is counted in the pods that the line names; its text appears nowhere."""
    line = "kubectl logs -n shop deploy/web-canary --tail=50"
    table = f'[[observability.logs]]\nname = "scan"\nreference = "{line}"\nstage = "stage2"'
    bench = Bench(tmp_path, checks='["scan"]', tables=table)
    assert bench.ask("scan").verdict is PASS
    bench.cluster.logs["shop", bench.pod()] = "fine\nAuthorization: Bearer abcdefghijklmnop\n"
    result = bench.ask("scan")
    assert (result.verdict, result.details["matches"]) == (FAIL, 1)
    assert "abcdefghijklmnop" not in f"{result}"
    bench.cluster.fail("pod_log", Unavailable("LOG_UNAVAILABLE", "no log"))
    assert bench.ask("scan").verdict is UNKNOWN


def test_a_log_of_nobody_cannot_pass(tmp_path: Path) -> None:
    """No pod to read is UNKNOWN."""
    table = '[[observability.logs]]\nname = "scan"\nreference = "kubectl logs deploy/gone"\nstage = "stage2"'
    assert Bench(tmp_path, checks='["scan"]', tables=table).ask("scan").verdict is UNKNOWN


def test_a_command_answers_with_its_exit_status_and_knows_its_run(tmp_path: Path) -> None:
    """The app directory is where it runs; the run's id keeps it from starting the tool anew."""
    run = 'test "$RAILIANCE_RUN_ID" = run-12345678 && test "$RAILIANCE_STAGE" = stage2 && test -d .railiance'
    bench = _bench(tmp_path, f"type = 'command'\nrun = '{run}'")
    result = bench.ask("c")
    assert (result.verdict, result.details["exit_code"]) == (PASS, 0)
    assert _bench(tmp_path, 'type = "command"\nrun = "exit 3"').ask("c").verdict is FAIL


def test_placeholders_are_filled_in_for_the_stage(tmp_path: Path) -> None:
    """`${{ }}` is resolved for the stage in use."""
    bench = _bench(tmp_path, 'type = "http"\nurl = "http://${{ stage.release }}.shop.svc/"')
    bench.answer("/", b"ok")
    assert bench.ask("c").verdict is PASS


# ----- built in


def test_a_healthy_canary_passes_every_built_in_check(tmp_path: Path) -> None:
    """Rolled out, listed, well by its own pods, and never restarted."""
    bench = Bench(tmp_path, tables=HEALTH)
    bench.answer("/healthz", b"ok")
    results = run_checks(bench.work, "stage2")
    assert [(r.id, r.verdict) for r in results] == [(name, PASS) for name in BUILTINS["stage2"]]
    assert combine_checks(results) is PASS


def test_the_canary_s_own_pods_are_probed_though_the_url_names_stable(tmp_path: Path) -> None:
    """A health URL that addresses the stable Service proves nothing about the canary."""
    bench = Bench(tmp_path, tables=HEALTH)
    bench.answer("/healthz", b"ok", "web")
    assert bench.ask("railiance.canary-probe").verdict is FAIL
    bench.answer("/healthz", b"ok")
    assert bench.ask("railiance.canary-probe").verdict is PASS
    bench.answer("/healthz", ProxyAnswer(500, b""))
    assert bench.ask("railiance.canary-probe").verdict is FAIL


def test_without_a_health_endpoint_the_readiness_path_is_asked(tmp_path: Path) -> None:
    """Without either nobody can tell."""
    bench = Bench(tmp_path)
    assert bench.ask("railiance.canary-probe").verdict is FAIL
    bench.answer("/readyz", b"ok")
    assert bench.ask("railiance.canary-probe").verdict is PASS
    bench.track("web-canary", probe=None)
    assert bench.ask("railiance.canary-probe").verdict is UNKNOWN


def test_a_restart_fails_and_a_shared_one_cannot_be_told(tmp_path: Path) -> None:
    """Restarts beyond the limit are the canary's fault, unless stable shows the same in that minute."""
    bench = Bench(tmp_path)
    stamp = bench.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {"terminated": {"exitCode": 1, "finishedAt": stamp}}
    bench.controllers.frozen = True

    def restart(name: str) -> None:
        (pod,) = bench.cluster.list_objects("v1", "Pod", "shop", f"app.kubernetes.io/instance={name}")
        pod["status"]["containerStatuses"][0] |= {"restartCount": 1, "lastState": ended}
        bench.cluster.put(pod)

    restart("web-canary")
    assert bench.ask("railiance.restarts").verdict is FAIL
    restart("web")
    assert bench.ask("railiance.restarts").verdict is UNKNOWN


# ----- probing


def test_a_clean_canary_passes_after_the_earliest_time(tmp_path: Path) -> None:
    """Isolated: the pods are asked at the declared rate, the lock each round, and no user is involved."""
    bench, lease, told = Bench(tmp_path, tables=HEALTH), Held(), []
    bench.answer("/healthz", b"ok")
    started = bench.clock.monotonic()
    probing = probe_canary(bench.work, lease, told.append)
    assert (probing.verdict, probing.errors, probing.user_traffic, probing.way) == (PASS, 0, False, "pods")
    assert 90 <= probing.requests <= 110
    assert bench.clock.monotonic() - started == pytest.approx(20, abs=1)
    assert lease.asked == 4
    assert len(told) == 4
    assert combine_checks(probing.checks) is PASS


def test_a_failing_canary_is_found_long_before_the_earliest_time(tmp_path: Path) -> None:
    """Ten failures that are most of the requests need no more waiting."""
    bench = Bench(tmp_path, tables=HEALTH)
    bench.answer("/healthz", ProxyAnswer(500, b""))
    started = bench.clock.monotonic()
    assert probe_canary(bench.work, Held()).verdict is FAIL
    assert bench.clock.monotonic() - started <= 5


def test_a_canary_that_fails_now_and_then_fails_at_the_end(tmp_path: Path) -> None:
    """A share beyond the bound is FAIL though most requests succeed."""
    bench = Bench(tmp_path, tables=HEALTH)
    turns = iter(range(1000))
    bench.answer("/healthz", lambda: ProxyAnswer(500 if next(turns) % 20 == 0 else 200, b""))
    probing = probe_canary(bench.work, Held())
    assert probing.verdict is FAIL
    assert probing.errors in (5, 6)


def test_nobody_to_ask_is_unknown_not_failed(tmp_path: Path) -> None:
    """An API server that does not answer is not the canary's fault."""
    bench = Bench(tmp_path, tables=HEALTH)
    bench.answer("/healthz", Unavailable("CLUSTER_UNREACHABLE", "no answer"))
    probing = probe_canary(bench.work, Held())
    assert (probing.verdict, probing.requests) == (UNKNOWN, 0)


def test_a_failing_check_outweighs_clean_requests(tmp_path: Path) -> None:
    """Required checks of the stage must pass as well, and the reason names the one that did not."""
    bench = _bench(tmp_path, 'type = "command"\nrun = "false"', tables=HEALTH)
    bench.answer("/healthz", b"ok")
    probing = probe_canary(bench.work, Held())
    assert probing.verdict is FAIL
    assert "check c" in probing.reason


def test_a_lost_or_wanted_lock_ends_the_probing(tmp_path: Path) -> None:
    """Who goes back does not wait for the rest of the window."""
    bench, lease = Bench(tmp_path, tables=HEALTH), Held()
    bench.answer("/healthz", b"ok")
    bench.clock.after(6, lambda: setattr(lease, "wanted", "other"))
    started = bench.clock.monotonic()
    with pytest.raises(Conflict, match="other"):
        probe_canary(bench.work, lease)
    assert bench.clock.monotonic() - started < 8


# ----- through a gateway


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A server in the gateway's place; `reply(headers)` returns the status it gives."""
    state = SimpleNamespace(reply=lambda _headers: 404, seen=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.seen.append((self.path, self.headers["Host"]))
            self.send_response(state.reply(self.headers))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("RAILIANCE_INGRESS_URL", f"http://127.0.0.1:{server.server_port}/")
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def _canary_rule(bench: Bench) -> Callable[[Any], int]:
    """Return a gateway that follows the track header and counts as Traefik does."""

    def reply(headers: Any) -> int:
        if headers["X-Railiance-Track"] != "canary-run-1234":
            return 200
        bench.gateway.serve("look", 1)
        return 200

    return reply


def test_the_private_look_passes_when_the_gateway_counted_it(
    tmp_path: Path, gateway: SimpleNamespace
) -> None:
    """Header, host and health path reach the canary, and the gateway's counters say so."""
    bench = Bench(tmp_path, tables=HEALTH, top=WEIGHTED)
    gateway.reply = _canary_rule(bench)
    result = smoke(bench.work)
    assert (result.verdict, result.attempts) == (PASS, 1)
    assert gateway.seen == [("/healthz", "shop.example")]


def test_an_answer_of_stable_is_no_answer_of_the_canary(tmp_path: Path, gateway: SimpleNamespace) -> None:
    """200 without the rule's own counter is UNKNOWN: stable would answer the same."""
    bench = Bench(tmp_path, tables=HEALTH, top=WEIGHTED)
    gateway.reply = lambda _headers: 200
    assert smoke(bench.work).verdict is UNKNOWN


def test_a_gateway_that_starts_anew_is_no_proof_by_itself(tmp_path: Path, gateway: SimpleNamespace) -> None:
    """Counters that fall back to zero show nothing; the first request that they count then does."""
    bench = Bench(tmp_path, tables=HEALTH, top=WEIGHTED)
    bench.gateway.serve("look", 1000)
    counting = _canary_rule(bench)

    def restarted(headers: Any) -> int:
        if len(gateway.seen) == 1:
            bench.gateway.restart()
        return 200 if len(gateway.seen) < 4 else counting(headers)

    gateway.reply = restarted
    result = smoke(bench.work)
    assert (result.verdict, result.attempts) == (PASS, 4)


def test_a_wrong_answer_through_the_gateway_fails(tmp_path: Path, gateway: SimpleNamespace) -> None:
    """A health path must give its expected status also through the gateway."""
    bench = Bench(tmp_path, tables=HEALTH, top=WEIGHTED)
    gateway.reply = lambda _headers: 503
    result = smoke(bench.work)
    assert (result.verdict, result.details["http_status"]) == (FAIL, 503)


def test_a_gateway_that_is_not_there_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at the gateway's address says nothing about the canary, and the message names the variable."""
    monkeypatch.setenv("RAILIANCE_INGRESS_URL", "http://127.0.0.1:9")
    result = smoke(Bench(tmp_path, tables=HEALTH, top=WEIGHTED).work)
    assert result.verdict is UNKNOWN
    assert "RAILIANCE_INGRESS_URL" in result.reason


def test_without_a_known_gateway_the_pods_are_asked(tmp_path: Path) -> None:
    """An isolated app, or one whose gateway has no known address, is looked at in its pods."""
    bench = Bench(tmp_path, tables=HEALTH, top=WEIGHTED)
    bench.answer("/healthz", b"ok")
    assert smoke(bench.work).verdict is PASS


def test_probing_through_the_gateway_needs_its_counters(tmp_path: Path, gateway: SimpleNamespace) -> None:
    """The canary passes when the counters show its answers, and not when stable gave them."""
    bench = Bench(tmp_path, tables=HEALTH, top=WEIGHTED)
    bench.answer("/healthz", b"ok")
    gateway.reply = _canary_rule(bench)
    probing = probe_canary(bench.work, Held())
    assert (probing.verdict, probing.way) == (PASS, "gateway")
    gateway.reply = lambda _headers: 200
    assert probe_canary(bench.work, Held()).verdict is UNKNOWN


# ----- the gateway's address


def _traefik(cluster: FakeCluster, **spec: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "traefik"}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "hostIP": "10.9.8.7"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "traefik-0", "namespace": "kube-system", "labels": labels, "annotations": {}},
        "spec": {"containers": [{"name": "t", "ports": [{"name": "web", "containerPort": 8000}]}], **spec},
        "status": status,
    }
    cluster.put(pod)
    return pod


def _traefik_service(cluster: FakeCluster, *ingress: dict[str, str]) -> None:
    metadata = {
        "name": "traefik",
        "namespace": "kube-system",
        "labels": {"app.kubernetes.io/name": "traefik"},
    }
    ports = [{"name": "websecure", "port": 443}, {"name": "web", "port": 80}]
    status = {"loadBalancer": {"ingress": list(ingress)}}
    body = {"spec": {"ports": ports}, "status": status}
    cluster.put({"apiVersion": "v1", "kind": "Service", "metadata": metadata, **body})


def test_the_gateway_s_address_comes_from_the_first_that_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variable, annotation, load balancer, node: in this order; an unready gateway or nobody is None."""
    monkeypatch.delenv("RAILIANCE_INGRESS_URL", raising=False)
    cluster = FakeCluster()
    assert ingress_url(cluster) is None
    pod = _traefik(cluster)
    assert ingress_url(cluster) is None
    pod = _traefik(cluster, hostNetwork=True)
    assert ingress_url(cluster) == "http://10.9.8.7:8000"
    _traefik_service(cluster)
    assert ingress_url(cluster) == "http://10.9.8.7:8000"
    _traefik_service(cluster, {"ip": "203.0.113.5"})
    assert ingress_url(cluster) == "http://203.0.113.5"
    pod["metadata"]["annotations"] = {"railiance.dev/ingress-url": "http://127.0.0.1:26080/"}
    cluster.put(pod)
    assert ingress_url(cluster) == "http://127.0.0.1:26080"
    monkeypatch.setenv("RAILIANCE_INGRESS_URL", "https://gw.example")
    assert ingress_url(cluster) == "https://gw.example"
    monkeypatch.setenv("RAILIANCE_INGRESS_URL", "gw.example")
    with pytest.raises(Usage, match="RAILIANCE_INGRESS_URL"):
        ingress_url(cluster)


# ----- before the first change


@pytest.mark.parametrize(("answer", "denied", "warned"), [(True, 0, 0), (False, 1, 0), (None, 0, 1)])
def test_a_missing_image_denies_and_an_unanswered_question_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool | None, denied: int, warned: int
) -> None:
    """Only a registry's own no is a denial, and it names image and digest."""
    monkeypatch.setattr(preflight, "manifest_exists", lambda _name, _digest: answer)
    denials, warnings = preflight.image_problems(Bench(tmp_path).work)
    assert (len(denials), len(warnings)) == (denied, warned)
    assert all(d.code == "DENY_IMAGE_MISSING" and DIGEST in d.why for d in denials)


def test_a_required_bound_needs_a_prometheus_that_answers(tmp_path: Path) -> None:
    """Without such a check none is needed; with one, silence denies."""
    assert preflight.metrics_problems(Bench(tmp_path).work, "stage2") == []
    bench = _bench(tmp_path, 'type = "promql"\nquery = "q"\ncompare = "<"\nthreshold = 0.5')
    assert [d.code for d in preflight.metrics_problems(bench.work, "stage2")] == ["DENY_UNREACHABLE"]
    bench.metrics.answer("vector(1)", ({}, 1.0))
    assert preflight.metrics_problems(bench.work, "stage2") == []
    bench.metrics.down = True
    assert [d.code for d in preflight.metrics_problems(bench.work, "stage2")] == ["DENY_UNREACHABLE"]


def test_users_need_gateway_counters_that_can_be_read(tmp_path: Path) -> None:
    """Weighted traffic without whole counters is denied; isolated traffic needs none."""
    isolated, weighted = Bench(tmp_path), Bench(tmp_path, top=WEIGHTED)
    isolated.gateway.down = True
    assert preflight.gateway_problems(isolated.work) == []
    assert preflight.gateway_problems(weighted.work) == []
    weighted.gateway.complete = False
    assert [d.code for d in preflight.gateway_problems(weighted.work)] == ["DENY_NO_EVIDENCE_SOURCE"]
    weighted.gateway.down = True
    assert [d.code for d in preflight.gateway_problems(weighted.work)] == ["DENY_NO_EVIDENCE_SOURCE"]


def test_dependencies_are_proven_by_their_checks(tmp_path: Path) -> None:
    """A required one that does not pass denies, an optional one warns, one without a check is not verified."""
    dependencies = """[platform]
dependencies = [
  { name = "db", kind = "postgres", check = "c" },
  { name = "cache", kind = "cache", required = false, check = "c" },
  { name = "hub", kind = "state-hub" },
  { name = "later", kind = "queue", stage = "stage3", check = "c" },
]"""
    bench = _bench(tmp_path, 'type = "kubernetes"\nresource = "Deployment/db"', tables=dependencies)
    denials, warnings = preflight.dependency_problems(bench.work, "stage2")
    assert [d.code for d in denials] == ["DENY_DEPENDENCY"]
    assert len(warnings) == 2
    assert "hub (state-hub): declared, not verified" in warnings[1]
    bench.track("db")
    assert preflight.dependency_problems(bench.work, "stage3")[0] == []


def test_a_refused_query_is_unknown_rather_than_a_crash(tmp_path: Path) -> None:
    """What Prometheus refuses is UNKNOWN for the check that asked."""
    bench = _bench(tmp_path, 'type = "promql"\nquery = "q"\ncompare = "<"\nthreshold = 0.5')
    bench.metrics.query = lambda _: (_ for _ in ()).throw(Broken("X", "refused"))  # type: ignore[method-assign]
    assert bench.ask("c").verdict is UNKNOWN
