"""Tasks that watch; on FAIL a watch returns the traffic itself before it reports to anybody."""

from __future__ import annotations

from typing import Any

from prefect import task

from railiance.adapters import progress
from railiance.domain.check import CheckResult
from railiance.domain.lifecycle import Run
from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.domain.watch_record import WatchRecord
from railiance.engine import observation, probing, promotion, watch
from railiance.engine.probing import Probing
from railiance.engine.promotion import Baked
from railiance.engine.watch import Watched
from railiance.engine.work import Work
from tasks.retry import ONCE, RETRIED


@task(**RETRIED)
def open_record(work: Work, plan: Plan, prior: Run | None) -> WatchRecord:
    """Return what an open run has seen of this candidate, or a fresh record."""
    return watch.open_record(work, plan, prior)


@task(**RETRIED, task_run_name="step {record.step}: watch")
def watch_step(work: Work, plan: Plan, record: WatchRecord, lease: Lease, until: float | None) -> Watched:
    """Watch the open step until it closes, fails, or cannot be decided."""
    watched = watch.watch_step(work, plan, record, lease, until=until, on_reading=watch.teller())
    progress.say(f"Step {record.step + 1} of {len(plan.steps)} {watched.end}: {watched.record.reason}")
    return watched


@task(**RETRIED)
def look(work: Work) -> CheckResult:
    """Ask the canary one request the way users will reach it, before any user does."""
    looked = probing.smoke(work)
    progress.answer(str(looked.verdict), f"private look: {looked.reason}")
    return looked


@task(**RETRIED)
def probe_canary(work: Work, lease: Lease) -> Probing:
    """Ask the canary synthetic requests where no user may be shown it."""
    probed = probing.probe_canary(work, lease, lambda text: progress.say(str(text)))
    progress.answer(str(probed.verdict), probed.reason)
    return probed


@task(**ONCE)
def bake(work: Work, lease: Lease) -> Baked:
    """Watch the new stable version."""
    baked = promotion.bake(work, lease)
    progress.answer(str(baked.verdict), f"bake: {baked.reason}")
    return baked


@task(**RETRIED)
def read_stage2(work: Work) -> dict[str, Any]:
    """Read how Stage 2 stands; changes nothing."""
    document = observation.read_now(work).document
    progress.answer(str(document.verdict), f"Stage 2 of {work.app_id}")
    return document.document()
