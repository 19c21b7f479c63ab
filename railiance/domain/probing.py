"""Judging a canary that no user sees: by the answers to synthetic requests, its pods and its checks."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from railiance.domain.check_rules import ServiceAddress, path_of, service_of
from railiance.domain.hard_gates import Gates
from railiance.domain.manifests import RouteSpec, route_objects
from railiance.domain.verdict import Verdict
from railiance_schema import Analysis, HealthEndpoint

MOST_RPS = 50.0
"""Synthetic requests per second at most, whatever a contract asks for: a probe is no load test."""

CLEAR_ERRORS, CLEAR_SHARE = 10, 0.5
"""So many failed requests, and such a share, need no more waiting."""

REACHED_SHARE = 0.9
"""Share of the answers that the gateway's own counters must show for the canary."""


@dataclass(frozen=True, slots=True)
class ProbeTerms:
    """On what terms synthetic requests are judged.

    Attributes:
        earliest: Seconds before which there is no PASS.
        interval: Seconds between two looks at the pods.
        min_samples: Answers needed for a PASS.
        bound: Share of requests that may fail.
        rps: Requests per second.
    """

    earliest: float
    interval: float
    min_samples: int
    bound: float
    rps: float

    @classmethod
    def of(cls, analysis: Analysis) -> ProbeTerms:
        """Return the terms that a contract declares."""
        return cls(
            earliest=analysis.earliest.total_seconds(),
            interval=max(analysis.interval.total_seconds(), 0.1),
            min_samples=analysis.min_samples,
            bound=1 - analysis.success_ratio_min,
            rps=min(analysis.synthetic_rps, MOST_RPS),
        )

    @property
    def limit(self) -> float:
        """Return the seconds after which nobody waits for more answers: twice what they should take."""
        return max(self.earliest, 2 * self.min_samples / self.rps)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was sent so far.

    Attributes:
        requests: Requests that were put to the canary.
        errors: Those of them that failed, by a wrong status or by no answer.
        unasked: Requests that could not even be put, as API server or gateway did not answer.
    """

    requests: int = 0
    errors: int = 0
    unasked: int = 0

    @property
    def share(self) -> float:
        """Return the share of failed requests; 0 without a request."""
        return self.errors / self.requests if self.requests else 0.0

    def counted(self, sent: Sent, expected: Sequence[int]) -> Tally:
        """Return the tally with one more request."""
        if not sent.asked:
            return replace(self, unasked=self.unasked + 1)
        return Tally(self.requests + 1, self.errors + (not is_good(sent.status, expected)), self.unasked)

    def words(self) -> str:
        """Return the tally for people."""
        unasked = f", {self.unasked} could not be sent" if self.unasked else ""
        return f"{self.requests} synthetic requests, {self.errors} failed ({self.share:.1%}){unasked}"


@dataclass(frozen=True, slots=True)
class Sent:
    """One synthetic request: its answer's status, None for no answer; `asked` is False if it never left."""

    status: int | None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """What synthetic requests say: the verdict, and one sentence why."""

    verdict: Verdict
    reason: str


def is_good(status: int | None, expected: Sequence[int]) -> bool:
    """Tell whether an answer is one that the path should give; without expected ones, anything below 500."""
    if status is None:
        return False
    return status in expected if expected else status < 500


def clear_failure(terms: ProbeTerms, tally: Tally, gates: Gates) -> Decision | None:
    """Return the FAIL that needs no more waiting, or None."""
    if gates.failures:
        return Decision(Verdict.FAIL, gates.failures[0].reason)
    if tally.errors >= CLEAR_ERRORS and tally.share >= max(CLEAR_SHARE, terms.bound):
        return Decision(Verdict.FAIL, f"{tally.words()}: most of them fail")
    return None


def is_over(terms: ProbeTerms, tally: Tally, elapsed: float) -> bool:
    """Tell whether it is time to conclude."""
    enough = tally.requests >= terms.min_samples
    return elapsed >= terms.earliest and (enough or elapsed >= terms.limit)


def conclude_probes(
    terms: ProbeTerms, tally: Tally, gates: Gates, *, reached: float | None = None
) -> Decision:
    """Judge all synthetic requests at the end; PASS is provisional until the checks have been asked.

    Args:
        terms: On what terms.
        tally: What was sent.
        gates: What the pods show now.
        reached: Requests for the canary that the gateway's own counters show; None if it was not asked.
    """
    objections = _objections(terms, tally, gates, reached)
    return next(objections, Decision(Verdict.PASS, tally.words()))


def _objections(terms: ProbeTerms, tally: Tally, gates: Gates, reached: float | None) -> Iterator[Decision]:
    """Yield what stands against a PASS, the gravest first."""
    words = tally.words()
    enough = tally.requests >= terms.min_samples
    if failure := clear_failure(terms, tally, gates):
        yield failure
    if tally.requests == 0:
        yield Decision(Verdict.UNKNOWN, f"nothing could be asked: {words}")
    if tally.share > terms.bound and (enough or tally.share >= CLEAR_SHARE):
        yield Decision(Verdict.FAIL, f"{words}, at most {terms.bound:.1%} may")
    if gates.unknowns:
        yield Decision(Verdict.UNKNOWN, gates.unknowns[0].reason)
    if not enough:
        yield Decision(Verdict.UNKNOWN, f"{words}: {terms.min_samples} answers are needed")
    if reached is not None and reached < REACHED_SHARE * tally.requests:
        shown = f"the gateway's counters show only {reached:.0f} of them for the canary"
        yield Decision(Verdict.UNKNOWN, f"{words}, but {shown}")


def expected_statuses(path: str, endpoints: Sequence[HealthEndpoint]) -> tuple[int, ...]:
    """Return the statuses that a path should give, by the health endpoints with it; empty if none has."""
    return tuple({e.expected_status: None for e in endpoints if path_of(e.url) == path})


def gateway_path(prefix: str, path: str) -> str:
    """Return the path to ask through the gateway: the wanted one if it is routed, else the route's own."""
    base = prefix.rstrip("/")
    return path if path == base or path.startswith(f"{base}/") else prefix


def host_of(url: str, declared: str | None) -> str | None:
    """Return the Host header for asking a pod: the declared one, else the URL's public name, else None."""
    name = urlsplit(url).hostname or ""
    if declared or service_of(name) or name == "localhost":
        return declared
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name
    return None


def on_service(url: str, service: ServiceAddress) -> str:
    """Return a URL with a Service in the place of its host.

    TLS of a public URL ends at the gateway, so the Service behind it is asked by http.
    """
    parts = urlsplit(url)
    scheme = parts.scheme if service_of(parts.hostname or "") else "http"
    return f"{scheme}://{service.name}.{service.namespace}.svc{path_of(url)}"


def look_backend(spec: RouteSpec) -> tuple[str, str, int]:
    """Return what the gateway counts requests with the track header under, for the port `Gateway`.

    Traefik counts a rule that points straight to a Service under the rule's own name, which ends in a digest
    of its match (seen on 3.5.4); such a service has no port, which is written 0. A Gateway API route counts
    under the Service.
    """
    for document in route_objects(spec):
        for rule in document["spec"].get("routes") or ():
            if rule["services"][0]["kind"] == "Service":
                digest = hashlib.sha256(rule["match"].encode()).hexdigest()[:20]
                return spec.namespace, f"{spec.route}-{digest}", 0
    return spec.namespace, spec.canary_service, spec.port
