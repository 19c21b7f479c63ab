"""Asking a canary synthetic requests, where no user may be shown it; and one before any user is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from railiance.adapters import probe
from railiance.domain.check import CheckResult, Reading, combine_checks
from railiance.domain.check_rules import Backend
from railiance.domain.errors import Unavailable
from railiance.domain.hard_gates import UNREADABLE, Gates, judge_pods
from railiance.domain.ports import Lease
from railiance.domain.probing import (
    Decision,
    ProbeTerms,
    Sent,
    Tally,
    clear_failure,
    conclude_probes,
    expected_statuses,
    gateway_path,
    host_of,
    is_good,
    is_over,
    look_backend,
)
from railiance.domain.verdict import Verdict
from railiance.engine.checks import canary_service, probe_pods, run_checks
from railiance.engine.cluster_checks import read_backends
from railiance.engine.ingress import VARIABLE, ingress_url
from railiance.engine.rollout import keep_on
from railiance.engine.traffic import CANARY, STABLE, header_of, route_spec, routed, track_state
from railiance.engine.work import Work

SMOKE = "railiance.smoke"
_LOOK = "look"
_TIMEOUT = 5.0
_LISTED_FOR = 2.0
_SMOKE_LIMIT = 20.0
_SMOKE_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Probing:
    """What synthetic requests and checks say of a canary.

    Attributes:
        verdict: PASS, FAIL or UNKNOWN.
        reason: The deciding sentence.
        requests: Synthetic requests that were put to the canary.
        errors: Those of them that failed.
        user_traffic: Always False: no user was involved.
        way: `gateway` or `pods`: how the requests went.
        checks: The stage's checks; empty when the requests decided alone.
    """

    verdict: Verdict
    reason: str
    requests: int
    errors: int
    user_traffic: bool = False
    way: str = "pods"
    checks: tuple[CheckResult, ...] = ()


class _Way(Protocol):
    """How synthetic requests reach the canary."""

    name: str

    def send(self) -> Sent:
        """Put one request to the canary."""

    def reached(self) -> float | None:
        """Return how many requests the gateway saw reach the canary so far; None if it was not asked."""


def probe_canary(work: Work, lease: Lease, on_reading: Callable[[str], None] = lambda _: None) -> Probing:
    """Ask the canary synthetic requests for `analysis.earliest`, then its checks, and judge.

    Args:
        work: Whose canary.
        lease: The lock, asked for in each round.
        on_reading: Told after each round what was seen.

    Raises:
        Conflict: The lock is lost, or another run asked for it.
        Unavailable: The API server cannot be asked at the very start.
    """
    terms = ProbeTerms.of(work.contract.analysis)
    expected = _expected(work)
    way = _way(work)
    started = work.clock.monotonic()
    tally = Tally()
    while True:
        keep_on(lease)
        for sent in _round(work, terms, way):
            tally = tally.counted(sent, expected)
            if lease.yield_wanted():
                break
        gates = _gates(work)
        on_reading(f"{tally.words()} through the {way.name}")
        elapsed = work.clock.monotonic() - started
        if clear_failure(terms, tally, gates) or is_over(terms, tally, elapsed):
            break
    return _concluded(work, way, tally, conclude_probes(terms, tally, gates, reached=way.reached()))


def _round(work: Work, terms: ProbeTerms, way: _Way) -> Iterator[Sent]:
    """Send requests at a steady pace until the next look at the pods is due."""
    clock, pace = work.clock, 1 / terms.rps
    end = clock.monotonic() + terms.interval
    while True:
        sent_at = clock.monotonic()
        yield way.send()
        rest = min(end, sent_at + pace) - clock.monotonic()
        if rest > 0:
            clock.sleep(rest)
        if clock.monotonic() >= end:
            return


def _concluded(work: Work, way: _Way, tally: Tally, decision: Decision) -> Probing:
    """Ask the stage's checks when the requests alone would pass, and combine."""
    verdict, reason = decision.verdict, decision.reason
    checks: tuple[CheckResult, ...] = ()
    if verdict is Verdict.PASS:
        checks = run_checks(work, "stage2")
        verdict = combine_checks(checks)
        open_ones = [c for c in checks if c.required and c.verdict is not Verdict.PASS]
        if open_ones:
            worst = next((c for c in open_ones if c.verdict is Verdict.FAIL), open_ones[0])
            reason = f"check {worst.id}: {worst.reason}"
    return Probing(verdict, reason, tally.requests, tally.errors, way=way.name, checks=checks)


def _gates(work: Work) -> Gates:
    try:
        canary, stable = track_state(work, CANARY), track_state(work, STABLE)
    except Unavailable:
        return UNREADABLE
    limit = work.contract.analysis.restart_limit
    return judge_pods(canary.pods, stable.pods, restart_limit=limit, now=work.clock.now())


def smoke(work: Work) -> CheckResult:
    """Ask one request as a user with the track header would, before any user is sent to the canary.

    Through the gateway it passes only if the gateway's own counters show that this very rule was used: stable
    would answer the same. Where there is no route, or nobody knows the gateway's address, the canary's pods
    are asked for their health instead.
    """
    started = work.clock.monotonic()
    attempts = 0
    try:
        url = ingress_url(work.hands.cluster) if routed(work) else None
        if url is None:
            attempts, reading = 1, probe_pods(work)
        else:
            attempts, reading = _look(work, url)
    except Unavailable as error:
        reading = Reading(Verdict.UNKNOWN, error.message, answered=False)
    return CheckResult(
        id=SMOKE,
        type="builtin",
        required=True,
        verdict=reading.verdict,
        reason=reading.reason,
        attempts=max(attempts, 1),
        duration_ms=round((work.clock.monotonic() - started) * 1000),
        details=reading.details,
    )


def _look(work: Work, url: str) -> tuple[int, Reading]:
    """Ask through the gateway until it has learnt of the rule, at most 20 s."""
    way, expected = _GatewayWay(work, url), _expected(work)
    deadline = work.clock.monotonic() + _SMOKE_LIMIT
    attempts = 0
    while True:
        attempts += 1
        reading = _seen(way, way.send(), expected)
        if reading.verdict is Verdict.PASS or work.clock.monotonic() >= deadline:
            return attempts, reading
        work.clock.sleep(_SMOKE_PAUSE)


def _seen(way: _GatewayWay, sent: Sent, expected: Sequence[int]) -> Reading:
    """Judge one answer to a request with the track header."""
    details = {"url": way.url, "http_status": sent.status}
    if not sent.asked:
        reason = f"The gateway at {way.url} gives no answer; set ${VARIABLE} if it is elsewhere."
        return Reading(Verdict.UNKNOWN, reason, answered=False, details=details)
    if not is_good(sent.status, expected):
        reason = f"A request with the track header was answered {sent.status or 'not at all'}."
        return Reading(Verdict.FAIL, reason, details=details)
    if not way.reached():
        reason = f"It was answered {sent.status}, but no counter of the gateway shows that the canary did."
        return Reading(Verdict.UNKNOWN, reason, details=details)
    return Reading(Verdict.PASS, f"The canary answered {sent.status} through the gateway.", details=details)


def _expected(work: Work) -> tuple[int, ...]:
    contract = work.contract.interpolated("stage2")
    return expected_statuses(contract.analysis.synthetic_path, contract.observability.health_endpoints)


def _way(work: Work) -> _Way:
    """Return the way through the gateway where that is possible, else straight to the pods."""
    url = ingress_url(work.hands.cluster) if routed(work) else None
    return _PodsWay(work) if url is None else _GatewayWay(work, url)


class _GatewayWay:
    """Through the gateway, with the header that leads to the canary."""

    name = "gateway"

    def __init__(self, work: Work, url: str) -> None:
        contract = work.contract.interpolated("stage2")
        header, value = header_of(work)
        self.url = url + gateway_path(contract.traffic.path, contract.analysis.synthetic_path)
        self._work = work
        self._host = contract.traffic.host
        self._headers = {header: value}
        spec = route_spec(work, 0, header=True, stable_listed=True, canary_listed=True)
        self._backends = {_LOOK: look_backend(spec)}
        self._before = self._count()

    def send(self) -> Sent:
        """Put one request to the canary; a gateway that is not there is not the canary's fault."""
        reading = probe.http(
            self.url,
            expected=range(600),
            host_header=self._host,
            headers=self._headers,
            timeout=_TIMEOUT,
        )
        status = reading.details.get("http_status")
        if isinstance(status, int):
            return Sent(status)
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        there = probe.tcp(str(parts.hostname), port, timeout=_TIMEOUT)
        return Sent(None, asked=there.verdict is Verdict.PASS)

    def reached(self) -> float | None:
        """Return how many requests the gateway counted for the canary since the start."""
        now = self._count()
        if now is None or self._before is None:
            return 0.0
        # Counters begin anew with their gateway pod; what it counted before is lost, never negative.
        return now - self._before if now >= self._before else now

    def _count(self) -> float | None:
        try:
            reading = self._work.hands.gateway.read(self._backends)
        except Unavailable:
            return None
        return sum(sample.requests for sample in reading.samples.get(_LOOK, ()))


class _PodsWay:
    """Straight to the canary's pods, through the API server, one after the other."""

    name = "pods"

    def __init__(self, work: Work) -> None:
        contract = work.contract.interpolated("stage2")
        endpoints = contract.observability.health_endpoints
        self._work = work
        self._path = contract.analysis.synthetic_path
        hosts = [host_of(e.url, e.host_header) for e in endpoints]
        self._host = next(filter(None, hosts), contract.traffic.host)
        self._port = contract.traffic.port
        self._pods: Sequence[Backend] = ()
        self._listed_at: float | None = None
        self._turn = 0

    def send(self) -> Sent:
        """Put one request to the next ready pod; no ready pod means that nobody answers."""
        try:
            pod = self._next()
            if pod is None:
                return Sent(None)
            headers = {"Host": self._host} if self._host else {}
            answer = self._work.hands.cluster.proxy(
                pod.namespace, str(pod.pod), pod.port, self._path, headers=headers, timeout=_TIMEOUT
            )
        except Unavailable as error:
            return Sent(None, asked=error.code == "POD_UNREACHABLE")
        return Sent(answer.status)

    def reached(self) -> float | None:
        """Return None: there is nothing between the pods and the question."""
        return None

    def _next(self) -> Backend | None:
        now = self._work.clock.monotonic()
        if self._listed_at is None or now - self._listed_at >= _LISTED_FOR:
            found = read_backends(self._work, canary_service(self._work), self._port)
            self._pods = () if isinstance(found, Reading) else [b for b in found if b.pod]
            self._listed_at = now
        self._turn += 1
        return self._pods[self._turn % len(self._pods)] if self._pods else None
