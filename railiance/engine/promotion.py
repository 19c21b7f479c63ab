"""Stage 3 in actions: users always have a whole, ready track."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from railiance.adapters import progress
from railiance.domain.check import CheckResult, combine_checks
from railiance.domain.counters import CounterState, difference
from railiance.domain.errors import Unavailable
from railiance.domain.hard_gates import judge_pods
from railiance.domain.judge import STALE_AFTER
from railiance.domain.lifecycle import EventKind, KnownGood
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.verdict import Verdict
from railiance.engine.checks import BUILTINS, run_checks
from railiance.engine.known_good import kept_whole
from railiance.engine.planning import CANARY, STABLE, Source, canary_release, stage_source, surges
from railiance.engine.record import note
from railiance.engine.release import Applied, apply_release, remove_release
from railiance.engine.rollout import Rollout, keep_on, wait_ready
from railiance.engine.traffic import backends, routed, set_weight, track_of, track_state, wait_quiet
from railiance.engine.work import Work

BURN = 14.4
"""How many times faster than allowed errors may use up the error budget before a bake fails (SRE workbook)."""

_BURN_FROM = 50  # requests from which a share of errors is judged


@dataclass(frozen=True, slots=True)
class Baked:
    """How the watch after a promotion ended."""

    verdict: Verdict
    reason: str
    requests: int
    errors: int
    checks: tuple[CheckResult, ...]


def carry_users(work: Work, plan: Plan, source: Source, lease: Lease) -> Rollout:
    """Bring the canary track to full size with what will become stable, and send all users to it."""
    apply_release(work, plan, plan.release(CANARY), source, lease, phase="shifting")
    rollout = _ready(work, CANARY, lease)
    if rollout.verdict is Verdict.PASS:
        _move(work, 100, lease, phase="shifting")
        wait_quiet(work, STABLE)
    return rollout


def change_stable(
    work: Work, plan: Plan, source: Source, lease: Lease, *, phase: str = "upgrading"
) -> tuple[Applied, Rollout]:
    """Bring the stable track to its plan, and wait until it can take users."""
    applied = apply_release(work, plan, plan.release(STABLE), source, lease, phase=phase)
    return applied, _ready(work, STABLE, lease)


def give_back(work: Work, plan: Plan, lease: Lease) -> None:
    """Send all users to the stable track; drain and remove the canary track, where there is one."""
    _move(work, 0, lease, phase="returning")
    if surges(work, plan.baseline):
        wait_quiet(work, CANARY)
    set_weight(work, 0, lease, header=False)
    lease.assert_held()
    if remove_release(work, canary_release(work), work.stage("stage2").namespace, phase="returning"):
        progress.say(f"helm_release {canary_release(work)} is removed")


def bake(work: Work, lease: Lease) -> Baked:
    """Watch the promoted candidate: hard gates and error budget all the time, declared checks at the end.

    While the gateway's counters cannot be read, the bake does not end; after `analysis.hold_for` it is UNKNOWN.
    """
    duration = work.contract.bake.duration.total_seconds()
    interval = work.contract.analysis.interval.total_seconds()
    note(work, EventKind.VERIFIED, phase="baking", object="route")
    progress.say(f"Bake: watching the new stable for {duration:g} s")
    state, totals = CounterState(), (0.0, 0.0)
    end = work.clock.monotonic() + duration
    while True:
        keep_on(lease)
        if reason := _broken(work):
            return Baked(Verdict.FAIL, reason, int(totals[0]), int(totals[1]), ())
        state, totals = _counted(work, state, totals)
        if reason := over_budget(totals, work.contract.analysis.success_ratio_min):
            return Baked(Verdict.FAIL, reason, int(totals[0]), int(totals[1]), ())
        left = end - work.clock.monotonic()
        if left <= 0 and not _blind(work, state):
            break
        if left <= -work.contract.analysis.hold_for.total_seconds():
            reason = "the gateway's counters cannot be read, so nobody can tell how users fare"
            return Baked(Verdict.UNKNOWN, reason, int(totals[0]), int(totals[1]), ())
        work.clock.sleep(min(interval, left) if left > 0 else interval)
    checks = run_checks(work, "stage3", (*BUILTINS["stage3"], *work.contract.bake.checks))
    required = [c for c in checks if c.required]
    verdict = combine_checks(checks) if required else Verdict.PASS
    reason = f"{int(totals[0])} requests, {int(totals[1])} failed; checks {verdict}"
    return Baked(verdict, reason, int(totals[0]), int(totals[1]), checks)


def over_budget(totals: tuple[float, float], success_ratio_min: float) -> str | None:
    """Return why too many requests failed, or None.

    Args:
        totals: Requests and failed requests so far.
        success_ratio_min: Share that must succeed; 14.4 times the rest is too much (lifecycle.md 3, rule 7).
    """
    requests, errors = totals
    limit = min(BURN * (1 - success_ratio_min), 1.0)
    if requests < _BURN_FROM or errors / requests <= limit:
        return None
    return f"{errors:.0f} of {requests:.0f} requests failed ({errors / requests:.1%}, at most {limit:.1%} is tolerated)"


def keep_known_good(work: Work, plan: Plan, applied: Applied) -> KnownGood:
    """Keep the promoted candidate whole in the ledger, so that any machine can bring it back."""
    source = stage_source(work, "stage3", STABLE, plan.baseline)
    release = plan.release(STABLE)
    digest = work.hands.ledger.put(kept_whole(source.chart, source.values, release.overlay, release.manifest))
    note(
        work,
        EventKind.KNOWN_GOOD,
        candidate=plan.candidate,
        helm_revision=applied.helm_revision,
        manifest_digest=applied.manifest_digest,
        object=digest,
        source_revision=work.candidate.source_revision,
    )
    return KnownGood(plan.candidate, applied.helm_revision, applied.manifest_digest, digest, work.clock.now())


def _ready(work: Work, track: str, lease: Lease) -> Rollout:
    timeout: timedelta = work.stage("stage3").timeout
    rollout = wait_ready(
        work.hands,
        track_of(work, track),
        timeout.total_seconds(),
        lease,
        restart_limit=work.contract.analysis.restart_limit,
    )
    progress.answer(str(rollout.verdict), f"{track} track: {rollout.reason}")
    return rollout


def _move(work: Work, weight: int, lease: Lease, *, phase: str) -> None:
    note(work, EventKind.MUTATING, phase=phase, object="route", weight=weight)
    set_weight(work, weight, lease)
    note(work, EventKind.MUTATED, phase=phase, object="route", weight=weight)
    progress.say(f"Weight {weight} %: all users are on {'canary' if weight else 'stable'}")


def _blind(work: Work, state: CounterState) -> bool:
    """Tell whether the last reading of the counters is missing, partial, or older than three should be."""
    if not routed(work):
        return False
    patience = STALE_AFTER * work.contract.analysis.interval
    return state.at is None or not state.complete or work.clock.now() - state.at > patience


def _broken(work: Work) -> str | None:
    """Return what the stable pods say is wrong; an API server that does not answer is no fault of theirs."""
    try:
        pods = track_state(work, STABLE).pods
    except Unavailable:
        return None
    gates = judge_pods(pods, (), restart_limit=work.contract.analysis.restart_limit, now=work.clock.now())
    return gates.failures[0].reason if gates.failures else None


def _counted(
    work: Work, state: CounterState, totals: tuple[float, float]
) -> tuple[CounterState, tuple[float, float]]:
    if not routed(work):
        return state, totals
    try:
        state, change = difference(state, work.hands.gateway.read(backends(work)))
    except Unavailable:
        return state, totals
    stable = change.of(STABLE)
    return state, (totals[0] + stable.requests, totals[1] + stable.errors)
