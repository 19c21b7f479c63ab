"""What manifests, answers and log lines say about a check."""

from __future__ import annotations

from typing import Any

import pytest

from railiance.domain.check import Reading
from railiance.domain.check_rules import (
    Backend,
    ServiceAddress,
    backends_of,
    count_matches,
    fields_at,
    judge_answer,
    judge_endpoints,
    judge_log,
    judge_resource,
    judge_restarts,
    judge_workloads,
    path_of,
    port_of,
    probed_by_kubelet,
    readiness_path,
    service_of,
    worst,
)
from railiance.domain.hard_gates import Gates, GateSignal
from railiance.domain.ports import ProxyAnswer
from railiance.domain.rollout import WorkloadState
from railiance.domain.verdict import Verdict
from railiance_schema import HttpCheck, KubernetesCheck

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("web.shop.svc", ServiceAddress("shop", "web")),
        ("web.shop.svc.cluster.local", ServiceAddress("shop", "web")),
        ("WEB.shop.svc.cluster.local.", ServiceAddress("shop", "web")),
        ("web.shop", None),
        ("web.example", None),
        ("a.b.c.svc", None),
        ("svc", None),
        (".shop.svc", None),
        ("127.0.0.1", None),
    ],
)
def test_only_a_full_service_name_lies_inside_the_cluster(host: str, expected: ServiceAddress | None) -> None:
    """A name is a Service's only in the forms `S.N.svc` and `S.N.svc.cluster.local`."""
    assert service_of(host) == expected


@pytest.mark.parametrize(
    ("url", "port", "path"),
    [
        ("http://a.b.svc/health?deep=1", 80, "/health?deep=1"),
        ("https://a.b.svc", 443, "/"),
        ("http://a.b.svc:8080/x", 8080, "/x"),
    ],
)
def test_a_url_means_its_scheme_s_port_and_at_least_the_root(url: str, port: int, path: str) -> None:
    """Port and path of a URL are those that a client would use."""
    assert (port_of(url), path_of(url)) == (port, path)


def _service(**port: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"ports": [port]}}


def _slice(*endpoints: dict[str, Any], name: str = "http", port: int = 8080) -> dict[str, Any]:
    return {"ports": [{"name": name, "port": port}], "endpoints": list(endpoints)}


def _endpoint(address: str, pod: str | None = None, **conditions: bool) -> dict[str, Any]:
    target = {"targetRef": {"kind": "Pod", "name": pod}} if pod else {}
    return {"addresses": [address], "conditions": conditions, **target}


def test_a_service_port_is_resolved_to_the_port_of_its_ready_pods() -> None:
    """The endpoints' port of the same name counts, and only endpoints that are ready and stay."""
    service = _service(name="http", port=80, targetPort="web")
    piece = _slice(
        _endpoint("10.0.0.1", "web-1", ready=True),
        _endpoint("10.0.0.2", "web-2", ready=False),
        _endpoint("10.0.0.3", "web-3", ready=True, terminating=True),
        _endpoint("10.0.0.4", ready=True),
    )
    expected = (Backend("10.0.0.1", 8080, "shop", "web-1"), Backend("10.0.0.4", 8080, "shop", None))
    assert backends_of(service, [piece], 80) == expected


def test_a_port_that_the_service_has_not_is_told_from_one_without_endpoints() -> None:
    """No such port is None, a port behind which nobody is ready is empty."""
    service = _service(name="http", port=80)
    assert backends_of(service, [_slice(_endpoint("10.0.0.1", "web-1"))], 81) is None
    assert backends_of(service, [], 80) == ()
    assert backends_of(service, [_slice(_endpoint("10.0.0.1", "web-1"), name="other")], 80) == ()


def _pod(*, ready: bool = True, **probe: Any) -> dict[str, Any]:
    container = {"name": "app", "ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": probe}
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"metadata": {"name": "web-1"}, "spec": {"containers": [container]}, "status": status}


def test_a_kubelet_vouches_for_the_port_it_asks_and_for_no_other() -> None:
    """A Ready pod whose readiness probe asks a port accepts connections there; a command as probe says nothing."""
    assert probed_by_kubelet(_pod(tcpSocket={"port": "http"}), 8080)
    assert probed_by_kubelet(_pod(httpGet={"path": "/", "port": 8080}), 8080)
    assert not probed_by_kubelet(_pod(tcpSocket={"port": 9090}), 8080)
    assert not probed_by_kubelet(_pod(exec={"command": ["true"]}), 8080)
    assert not probed_by_kubelet(_pod(ready=False, tcpSocket={"port": 8080}), 8080)


def test_the_first_http_readiness_probe_gives_port_path_and_host() -> None:
    """Named ports are resolved, the Host header is kept, and a pod without such a probe has no path."""
    headers = [{"name": "Host", "value": "shop.example"}]
    pod = _pod(httpGet={"path": "/readyz", "port": "http", "httpHeaders": headers})
    assert readiness_path(pod) == (8080, "/readyz", "shop.example")
    assert readiness_path(_pod(httpGet={"port": 8080})) == (8080, "/", None)
    assert readiness_path(_pod(tcpSocket={"port": 8080})) is None
    assert readiness_path(_pod()) is None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [(200, b"all well", PASS), (200, b"hm", FAIL), (503, b"all well", FAIL), (302, b"all well", FAIL)],
)
def test_status_and_text_of_an_answer_both_count(status: int, body: bytes, expected: Verdict) -> None:
    """An answer passes only with an expected status and the expected text; the body is not repeated."""
    check = HttpCheck(id="h", type="http", url="http://u:p@web.shop.svc/x?token=1", contains="well")
    reading = judge_answer(check, "Pod web-1", ProxyAnswer(status, body))
    assert reading.verdict is expected
    assert reading.details == {"url": "http://web.shop.svc/x", "http_status": status}
    assert "well" not in reading.reason


def test_the_worst_answer_of_several_pods_decides() -> None:
    """One FAIL is FAIL, else one UNKNOWN is UNKNOWN, and nobody asked is UNKNOWN."""
    good, bad, dark = (Reading(verdict, verdict) for verdict in (PASS, FAIL, UNKNOWN))
    assert worst([good, dark, bad]) is bad
    assert worst([good, dark]) is dark
    assert worst([good]) is good
    assert worst([]).verdict is UNKNOWN


def test_no_workload_at_all_is_no_rollout() -> None:
    """A helm_release without workloads, or with one that is not whole, is not rolled out."""
    whole = WorkloadState("Deployment", "web", 2, 2, settled=True)
    late = WorkloadState("Deployment", "api", 1, 2, settled=True)
    assert judge_workloads([], "web").verdict is FAIL
    assert judge_workloads([whole, late], "web").verdict is FAIL
    assert judge_workloads([whole], "web").verdict is PASS


def _check(**keys: Any) -> KubernetesCheck:
    return KubernetesCheck(id="k", type="kubernetes", **keys)


def test_a_condition_must_be_there_and_true() -> None:
    """An absent, false or unknown condition is FAIL."""
    check = _check(resource="Cluster.postgresql.cnpg.io/db", condition="Ready")

    def judged(*conditions: dict[str, str]) -> Verdict:
        return judge_resource(check, {"status": {"conditions": list(conditions)}}).verdict

    assert judged({"type": "Ready", "status": "True"}) is PASS
    assert judged({"type": "Ready", "status": "Unknown"}) is FAIL
    assert judged({"type": "Other", "status": "True"}) is FAIL
    assert judged() is FAIL


def test_a_workload_must_be_rolled_out_unless_the_check_says_otherwise() -> None:
    """`rollout` is asked of workloads only, and can be switched off."""
    deployment = {"metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 1}, "status": {}}
    assert judge_resource(_check(resource="Deployment/web"), deployment).verdict is FAIL
    assert judge_resource(_check(resource="Deployment/web", rollout=False), deployment).verdict is PASS
    assert judge_resource(_check(resource="ConfigMap/web"), {"metadata": {}}).verdict is PASS


DOCUMENT = {
    "spec": {"replicas": 3, "a.b": "dotted", "off": False},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}],
        "phase": "Running",
    },
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{.status.phase}", ["Running"]),
        ("status.phase", ["Running"]),
        ("$.spec.replicas", [3]),
        (".spec.off", [False]),
        (r".spec.a\.b", ["dotted"]),
        (".spec['a.b']", ["dotted"]),
        (".status.conditions[0].type", ["Ready"]),
        (".status.conditions[-1].type", ["Old"]),
        ('{.status.conditions[?(@.type=="Ready")].status}', ["True"]),
        (".status.conditions[7].type", []),
        (".status.nothing.here", []),
    ],
)
def test_the_plain_part_of_jsonpath_is_understood(path: str, expected: list[Any]) -> None:
    """Keys, indexes and filters by one key lead to their values; what is not there leads to none."""
    assert fields_at(DOCUMENT, path) == expected


@pytest.mark.parametrize("path", [".status..phase", ".status.conditions[*]", ".a[?(@.x>1)]", ".a[1:2]"])
def test_jsonpath_beyond_that_is_refused_rather_than_guessed(path: str) -> None:
    """A path that we cannot follow makes the check UNKNOWN."""
    with pytest.raises(ValueError, match="neither a key"):
        fields_at(DOCUMENT, path)
    reading = judge_resource(_check(resource="Job/x", jsonpath=path, equals="1"), DOCUMENT)
    assert reading.verdict is UNKNOWN


def test_a_field_is_compared_as_text() -> None:
    """Numbers and booleans are compared as JSON writes them; an absent field is FAIL."""
    for path, equals, expected in (
        (".spec.replicas", "3", PASS),
        (".spec.off", "false", PASS),
        (".spec.replicas", "2", FAIL),
        (".spec.none", "", FAIL),
    ):
        check = _check(resource="Job/x", jsonpath=path, equals=equals or None)
        assert judge_resource(check, DOCUMENT).verdict is expected


def test_values_of_a_secret_are_never_read() -> None:
    """A check that would compare the data of a Secret is UNKNOWN, and what it holds does not show."""
    check = _check(resource="Secret/s", jsonpath=".data.password", equals="eA==")
    reading = judge_resource(check, {"data": {"password": "eA=="}})
    assert reading.verdict is UNKNOWN
    assert "eA==" not in f"{reading}"


def test_what_looks_like_a_secret_is_not_shown() -> None:
    """An observed field is redacted before anybody sees it."""
    token = "ghp_" + "a1B2" * 6
    check = _check(resource="ConfigMap/c", jsonpath=".data.x", equals="y")
    assert token not in f"{judge_resource(check, {'data': {'x': token}})}"


def test_log_lines_are_counted_not_kept() -> None:
    """Each line with a match counts once; without patterns the shapes of secrets are looked for."""
    lines = ["ok", "panic: panic", "TOKEN=abc", "-----BEGIN RSA PRIVATE KEY-----"]
    assert count_matches(lines, ("panic", "TOK")) == 2
    assert count_matches(lines, None) == 2
    assert count_matches(lines, ()) == 0


def test_a_log_scan_without_a_pod_cannot_pass() -> None:
    """No pod is UNKNOWN; matches beyond the allowed number are FAIL; silence of a pod is fine."""
    assert judge_log(0, 0, 0, 0).verdict is UNKNOWN
    assert judge_log(1, 0, 10, 1).verdict is FAIL
    assert judge_log(1, 1, 10, 1).verdict is PASS
    assert judge_log(0, 0, 0, 1).verdict is PASS


def test_pods_in_trouble_fail_and_pods_taken_away_are_unknown() -> None:
    """A failure outweighs what nobody can tell; without either the restarts pass."""
    broken, gone = GateSignal("restarts", "web-1 restarted"), GateSignal("taken-away", "web-2 is evicted")
    assert judge_restarts(Gates((broken,), (gone,)), 1, 0).verdict is FAIL
    assert judge_restarts(Gates((), (gone,)), 0, 0).verdict is UNKNOWN
    assert judge_restarts(Gates(), 0, 0).verdict is PASS


def test_every_wanted_pod_must_stand_behind_the_service() -> None:
    """Fewer endpoints than wanted pods, or no wanted pod at all, is FAIL."""
    assert judge_endpoints("web", 2, 2).verdict is PASS
    assert judge_endpoints("web", 1, 2).verdict is FAIL
    assert judge_endpoints("web", 0, 0).verdict is FAIL
