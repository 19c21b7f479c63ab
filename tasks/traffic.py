"""Tasks that move users."""

from __future__ import annotations

from prefect import task

from railiance.domain.plan import Plan
from railiance.domain.ports import Lease
from railiance.engine import canary
from railiance.engine.work import Work
from tasks.retry import RETRIED


@task(**RETRIED, task_run_name="step {index}: shift users")
def shift_users(work: Work, plan: Plan, index: int, lease: Lease) -> None:
    """Give the canary the weight of a step."""
    canary.shift_users(work, plan, index, lease)


@task(**RETRIED)
def return_users(work: Work, lease: Lease) -> None:
    """Give all users back to stable and wait until the canary has answered its last."""
    canary.return_users(work, lease)
