"""Watching one weight step: read, judge, keep the evidence, and return the traffic before telling anybody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from railiance.adapters import progress
from railiance.domain.canonical import canonical_json
from railiance.domain.check import CheckResult, combine_checks
from railiance.domain.errors import Broken, Unavailable
from railiance.domain.hard_gates import UNREADABLE, Gates, judge_pods
from railiance.domain.judge import (
    Assessment,
    JudgeConfig,
    JudgeState,
    assess,
    rebase,
    stage_verdict,
    step_closed,
    update,
)
from railiance.domain.lifecycle import Run, moment
from railiance.domain.manifests import APP_LABEL, MANAGED_BY_LABEL, MANAGER
from railiance.domain.plan import Plan, Step
from railiance.domain.ports import Lease, ObjectRef
from railiance.domain.verdict import Verdict
from railiance.domain.watch_record import WatchRecord, concluded, seen, step_ended
from railiance.engine.checks import run_checks
from railiance.engine.traffic import CANARY, STABLE, backends, set_weight, track_state
from railiance.engine.work import Work

_LOOK = 0.5

OnReading = Callable[[WatchRecord], None]


class StepEnd(StrEnum):
    """How watching a step ended."""

    CLOSED = "closed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    VISIT_OVER = "visit-over"
    YIELDED = "yielded"


@dataclass(frozen=True, slots=True)
class Watched:
    """What watching one step left behind."""

    end: StepEnd
    record: WatchRecord
    checks: tuple[CheckResult, ...] = ()


def watch_step(
    work: Work,
    plan: Plan,
    record: WatchRecord,
    lease: Lease,
    *,
    until: float | None = None,
    on_reading: OnReading = lambda _: None,
) -> Watched:
    """Watch the record's open step until it closes, fails, stays undecided too long, or the visit is over.

    On FAIL the weight is 0 before this returns, whatever became of everything else.

    Args:
        work: Whose canary.
        plan: The plan with its steps.
        record: What was seen so far.
        lease: The lock; losing it ends the watch, and a wish for it ends the watch with `YIELDED`.
        until: Monotonic moment at which a scheduled visit is over; None for a run that goes on.
        on_reading: Told after every reading.

    Raises:
        Conflict: The lock is lost.
    """
    config = judge_config(work)
    step = plan.steps[record.step]
    last = record.step == len(plan.steps) - 1
    watcher = _Watcher(work, config, step, last=last)
    started = work.clock.monotonic() - record.judge.step_seconds
    record = watcher.rebased(record)
    while True:
        lease.assert_held()
        record, verdict, closed = watcher.read(record, lease)
        save(work, record)
        on_reading(record)
        now = work.clock.now()
        if verdict is Verdict.FAIL:
            set_weight(work, 0, lease)
            failed = concluded(step_ended(record, verdict, record.reason, now), verdict, record.reason, now)
            return Watched(StepEnd.FAILED, _keep(work, failed), watcher.checks)
        if closed:
            ended = step_ended(record, Verdict.PASS, record.reason, now)
            if last:
                ended = concluded(ended, Verdict.PASS, _pass_reason(config, record), now)
            return Watched(StepEnd.CLOSED, _keep(work, ended), watcher.checks)
        if end := _over(work, record, step, started, until, lease):
            if end is StepEnd.YIELDED:
                lease.release()  # at once: whoever asks wants users back on stable
            else:
                record = _keep(work, replace(record, weight=0))
            return Watched(end, record, watcher.checks)
        _rest(work, config.interval, lease)


def _pass_reason(config: JudgeConfig, record: WatchRecord) -> str:
    """Return the deciding sentence of a PASS; the rule `samples` passes without the judge's word, and says so."""
    if config.pass_rule == "evidence" or record.assessment.get("code") == "pass":  # noqa: S105 - no password
        return record.reason
    return f"every step closed, by the rule `samples`, which bounds no error; the judge: {record.reason}"


def _over(
    work: Work, record: WatchRecord, step: Step, started: float, until: float | None, lease: Lease
) -> StepEnd | None:
    """Return why watching must end although the step is open, or None."""
    now, patience = work.clock.monotonic(), _patience(work)
    if lease.yield_wanted():
        return StepEnd.YIELDED
    if now - started > step.window + patience:
        return StepEnd.UNDECIDED
    if record.held_since and (work.clock.now() - moment(record.held_since)).total_seconds() > patience:
        return StepEnd.UNDECIDED
    if until is not None and now >= until:
        return StepEnd.VISIT_OVER
    return None


def _rest(work: Work, seconds: float, lease: Lease) -> None:
    """Wait for the next reading, but no longer than half a second once another run asks for the lock."""
    end = work.clock.monotonic() + seconds
    while (left := end - work.clock.monotonic()) > 0 and not lease.yield_wanted():
        work.clock.sleep(min(left, _LOOK))


def _patience(work: Work) -> float:
    """Return how long a step may stay undecided after its window, in seconds."""
    analysis = work.contract.analysis
    match str(analysis.on_unknown):
        case "extend":
            return analysis.max_window.total_seconds()
        case "abort":
            return 0.0
        case _:
            return analysis.hold_for.total_seconds()


class _Watcher:
    """The parts of one step's watch that stay the same from reading to reading."""

    def __init__(self, work: Work, config: JudgeConfig, step: Step, *, last: bool) -> None:
        self.work, self.config, self.step, self.last = work, config, step, last
        self.checks: tuple[CheckResult, ...] = ()
        self._canary_listed = True

    def rebased(self, record: WatchRecord) -> WatchRecord:
        """Return the record ready to go on: what was counted since its last reading was dealt at other odds.

        The run may have been between visits, or its process may have died, while users were on stable.
        """
        record = replace(record, weight=self.step.weight)
        if record.judge.counters.began is None:
            return record
        try:
            reading = self.work.hands.gateway.read(backends(self.work))
        except Unavailable:
            return record
        return replace(record, judge=rebase(record.judge, reading))

    def read(self, record: WatchRecord, lease: Lease) -> tuple[WatchRecord, Verdict, bool]:
        """Take one reading; return the record, the verdict so far, and whether the step is closed."""
        gates, tracks = self._pods(lease)
        judge = self._counted(record.judge)
        now = self.work.clock.now()
        assessment = assess(self.config, judge, gates, now)
        closed, waits = step_closed(self.config, judge, self.step, assessment, Verdict.PASS)
        if closed:
            closed, waits = self._checked(judge, assessment)
        if closed and self.last and not self._passed(judge, assessment):
            closed, waits = False, (assessment.reason,)
        record = replace(seen(record, judge, assessment, waits, now), tracks=tracks)
        failed = assessment.verdict is Verdict.FAIL
        return record, Verdict.FAIL if failed else Verdict.UNKNOWN, closed

    def _passed(self, judge: JudgeState, assessment: Assessment) -> bool:
        return stage_verdict(self.config, judge, assessment, steps_closed=True) is Verdict.PASS

    def _checked(self, judge: JudgeState, assessment: Assessment) -> tuple[bool, tuple[str, ...]]:
        """Ask the declared checks only when all else is done: they may cost seconds."""
        self.checks = run_checks(self.work, "stage2")
        required = [c for c in self.checks if c.required]
        verdict = combine_checks(self.checks) if required else Verdict.PASS
        return step_closed(self.config, judge, self.step, assessment, verdict)

    def _counted(self, judge: JudgeState) -> JudgeState:
        """Return the evidence with one more reading; unreadable counters leave it as it is, to grow stale."""
        try:
            reading = self.work.hands.gateway.read(backends(self.work))
        except Unavailable:
            return judge
        return update(self.config, judge, reading, self.step.weight)

    def _list_canary(self, answering: bool, lease: Lease) -> None:
        """Take a canary that nobody answers for out of the route at once, and list it again when it is back.

        Some gateways answer 503 for the share of an empty backend and count it nowhere, so no judge would see it.
        """
        if answering != self._canary_listed:
            set_weight(self.work, self.step.weight, lease)
            self._canary_listed = answering

    def _pods(self, lease: Lease) -> tuple[Gates, dict[str, object]]:
        try:
            canary, stable = track_state(self.work, CANARY), track_state(self.work, STABLE)
            self._list_canary(canary.endpoints > 0, lease)
        except Unavailable:
            return UNREADABLE, {}
        gates = judge_pods(
            canary.pods, stable.pods, restart_limit=self.config.restart_limit, now=self.work.clock.now()
        )
        return gates, {CANARY: canary.words(), STABLE: stable.words()}


def open_record(work: Work, plan: Plan, prior: Run | None) -> WatchRecord:
    """Return the record to go on with: that of the open run if it judged this candidate, else a fresh one.

    Args:
        work: Whose canary.
        plan: The plan with its steps.
        prior: The run that had not closed when this one began; its evidence is kept, whoever's process died.
    """
    fresh = WatchRecord.new(plan, work.run_id, work.contract.analysis.interval.total_seconds())
    present = load(work)
    if present is None or present.concluded or prior is None or prior.id != present.run_id:
        return fresh
    if present.candidate != plan.candidate or len(present.steps) != len(fresh.steps):
        return fresh
    return replace(present, run_id=work.run_id, plan_digest=plan.digest)


def teller() -> OnReading:
    """Return a listener that tells each reading in one line, for runs that nobody watches live."""

    def tell(record: WatchRecord) -> None:
        total, weight = record.judge.total, record.weight
        progress.say(
            f"  {weight:>3} %  canary {total.canary_requests:.0f} requests, {total.canary_errors:.0f} failed;"
            f" stable {total.stable_requests:.0f}, {total.stable_errors:.0f} failed"
            f"  [{record.assessment.get('code', '')}] {'; '.join(record.waits)}"
        )

    return tell


def judge_config(work: Work) -> JudgeConfig:
    """Return the terms of the contract's analysis."""
    return JudgeConfig.of(work.contract.analysis, work.contract.traffic.split_tolerance)


def record_ref(work: Work) -> ObjectRef:
    """Return where the running state is kept."""
    return ObjectRef("v1", "ConfigMap", work.namespace, f"railiance-analysis-{work.app_id}")


def load(work: Work) -> WatchRecord | None:
    """Return the running state, or None when there is none.

    Raises:
        Broken: It is there and cannot be read (ANALYSIS_UNREADABLE).
    """
    found = work.hands.cluster.get(record_ref(work))
    if found is None:
        return None
    try:
        return WatchRecord.from_json(json.loads(found["data"]["record.json"]))
    except (KeyError, ValueError, TypeError) as error:
        raise Broken(
            "ANALYSIS_UNREADABLE",
            f"the judge's state in ConfigMap {work.namespace}/railiance-analysis-{work.app_id} cannot be read",
            "`railiance abort DIR` ends the run; the next one starts with fresh evidence",
        ) from error


def save(work: Work, record: WatchRecord) -> None:
    """Keep the running state; an API server that does not answer loses one reading, not the watch."""
    ref = record_ref(work)
    manifest = {
        "apiVersion": ref.api_version,
        "kind": ref.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {APP_LABEL: work.app_id, MANAGED_BY_LABEL: MANAGER, "railiance.dev/record": "analysis"},
        },
        "data": {"record.json": canonical_json(record.to_json()).decode()},
    }
    try:
        work.hands.cluster.apply(manifest, field_manager=MANAGER, force=True)
    except Unavailable:
        return


def _keep(work: Work, record: WatchRecord) -> WatchRecord:
    save(work, record)
    return record
