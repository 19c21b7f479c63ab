"""The checks of Stage 2 and Stage 3: what the contract declares, and what is always asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from railiance.domain.check import CheckResult, Reading
from railiance.domain.check_rules import (
    Backend,
    ServiceAddress,
    judge_endpoints,
    judge_restarts,
    judge_workloads,
    port_of,
    readiness_path,
    service_of,
    worst,
)
from railiance.domain.errors import RailianceError
from railiance.domain.hard_gates import judge_pods
from railiance.domain.probing import host_of, on_service
from railiance.domain.rollout import restarts
from railiance.domain.verdict import Verdict
from railiance.engine.cluster_checks import ask, ask_pods, read_backends
from railiance.engine.traffic import CANARY, STABLE, track_of, track_state
from railiance.engine.work import Work
from railiance_schema import Check, HealthEndpoint, HttpCheck, PromqlCheck

BUILTIN_PREFIX = "railiance."
BUILTINS: Mapping[str, tuple[str, ...]] = {
    "stage2": (
        "railiance.rollout",
        "railiance.endpoints",
        "railiance.canary-probe",
        "railiance.restarts",
    ),
    "stage3": ("railiance.rollout", "railiance.endpoints"),
}
"""What is asked in a stage whatever its contract declares."""

_PROBE_TIMEOUT = timedelta(seconds=10)


def run_checks(work: Work, stage_name: str, ids: Sequence[str] | None = None) -> tuple[CheckResult, ...]:
    """Ask the checks of a stage, each with its own retries, and return what they say.

    An answer that cannot be had is UNKNOWN with the reason, never an error: one missing tool must not hide
    what the other checks say.

    Args:
        work: Whose checks.
        stage_name: `stage2` or `stage3`.
        ids: Which checks; built-in ones begin with `railiance.`. None means the stage's built-in checks and
            those that its table lists.

    Raises:
        ContractError: A `${{ env.NAME }}` of the contract is not set.
        KeyError: An id is neither built-in nor in the contract; a loaded contract lists none such.
    """
    contract = work.contract.interpolated(stage_name)
    stage = contract.stage(stage_name) or work.stage(stage_name)
    wanted = (*BUILTINS.get(stage_name, ()), *stage.checks) if ids is None else tuple(ids)
    results = []
    for name in dict.fromkeys(wanted):
        if name.startswith(BUILTIN_PREFIX):
            results.append(_builtin(work, stage_name, name))
        else:
            check = contract.check(name, stage_name)
            results.append(_declared(work, check, partial(ask, work, stage_name, stage, check)))
    return tuple(results)


def _declared(work: Work, check: Check, question: Callable[[], Reading]) -> CheckResult:
    """Ask a declared check until it passes or its retries are used up."""
    clock, started = work.clock, work.clock.monotonic()
    attempts, reading = 1, _told(question)
    recorded_only = isinstance(check, PromqlCheck) and not check.judged
    while not recorded_only and reading.verdict is not Verdict.PASS and attempts <= check.retries:
        clock.sleep(check.interval.total_seconds())
        attempts, reading = attempts + 1, _told(question)
    return CheckResult(
        id=check.id,
        type=check.type,
        # What has no bound is only recorded: it can neither stop a stage nor let it pass.
        required=check.required and not recorded_only,
        verdict=None if recorded_only else reading.verdict,
        skipped="it has no bound, so it is recorded only" if recorded_only else None,
        reason=reading.reason,
        attempts=attempts,
        duration_ms=round((clock.monotonic() - started) * 1000),
        details=reading.details,
    )


def _told(question: Callable[[], Reading]) -> Reading:
    """Ask; whatever keeps the answer from us is the reason of an UNKNOWN."""
    try:
        return question()
    except RailianceError as error:
        return Reading(Verdict.UNKNOWN, error.message, answered=False)


def _builtin(work: Work, stage_name: str, name: str) -> CheckResult:
    """Ask a built-in check once; whoever calls has waited for the track before."""
    questions: Mapping[str, Callable[[Work, str], Reading]] = {
        "railiance.rollout": _rollout,
        "railiance.endpoints": _endpoints,
        "railiance.restarts": _restarts,
        "railiance.canary-probe": lambda asked, _: probe_pods(asked),
    }
    started = work.clock.monotonic()
    track = CANARY if stage_name == "stage2" else STABLE
    reading = _told(lambda: questions[name](work, track))
    return CheckResult(
        id=name,
        type="builtin",
        required=True,
        verdict=reading.verdict,
        reason=reading.reason,
        duration_ms=round((work.clock.monotonic() - started) * 1000),
        details=reading.details,
    )


def _rollout(work: Work, track: str) -> Reading:
    return judge_workloads(track_state(work, track).workloads, track_of(work, track).helm_release)


def _endpoints(work: Work, track: str) -> Reading:
    state = track_state(work, track)
    wanted = sum(workload.desired for workload in state.workloads)
    return judge_endpoints(track_of(work, track).service, state.endpoints, wanted)


def _restarts(work: Work, track: str) -> Reading:
    state, limit = track_state(work, track), work.contract.analysis.restart_limit
    other = track_state(work, STABLE).pods if track == CANARY else ()
    gates = judge_pods(state.pods, other, restart_limit=limit, now=work.clock.now())
    return judge_restarts(gates, restarts(state.pods), limit)


def probe_pods(work: Work) -> Reading:
    """Ask the canary's own pods for their health, whatever Service the contract's URLs address.

    Raises:
        RailianceError: The API server could not be asked.
    """
    contract = work.contract.interpolated("stage2")
    stage, endpoints = contract.stage("stage2"), contract.observability.health_endpoints
    listed = stage.checks if stage else ()
    asked = [e for e in endpoints if e.required and (e.stage == "stage2" or e.name in listed)]
    if not asked:
        return _probe_readiness(work)
    return worst([_probe_endpoint(work, endpoint) for endpoint in asked])


def _probe_endpoint(work: Work, endpoint: HealthEndpoint) -> Reading:
    """Ask the canary's pods at the path of a health endpoint."""
    check = HttpCheck(
        id=endpoint.name,
        type="http",
        url=on_service(endpoint.url, canary_service(work)),
        expected_status=(endpoint.expected_status,),
        host_header=host_of(endpoint.url, endpoint.host_header),
        timeout=endpoint.timeout,
    )
    found = _canary_backends(work, endpoint.url)
    return found if isinstance(found, Reading) else ask_pods(work, check, found)


def _canary_backends(work: Work, url: str) -> tuple[Backend, ...] | Reading:
    """Return the canary's pods behind the port that a URL names, else behind the port of the traffic."""
    if service_of(urlsplit(url).hostname or ""):
        found = read_backends(work, canary_service(work), port_of(url))
        if not isinstance(found, Reading):
            return found
    return read_backends(work, canary_service(work), work.contract.traffic.port)


def _probe_readiness(work: Work) -> Reading:
    """Ask every pod at the path of its own readiness probe."""
    readings = []
    for pod in track_state(work, CANARY).pods:
        probe = readiness_path(pod)
        if probe is None:
            reason = "No health endpoint is declared, and the pods have no HTTP readiness probe."
            return Reading(Verdict.UNKNOWN, reason, answered=False)
        port, path, host = probe
        check = HttpCheck(
            id="readiness",
            type="http",
            url=f"http://{pod['metadata']['name']}:{port}{path}",
            expected_status=tuple(range(200, 400)),
            host_header=host,
            timeout=_PROBE_TIMEOUT,
        )
        backend = Backend("", port, pod["metadata"]["namespace"], pod["metadata"]["name"])
        readings.append(ask_pods(work, check, [backend]))
    return worst(readings)


def canary_service(work: Work) -> ServiceAddress:
    """Return the Service before the canary's pods."""
    track = track_of(work, CANARY)
    return ServiceAddress(track.namespace, track.service)
