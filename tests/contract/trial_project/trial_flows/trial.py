"""A flow that ends, one that fails, and one that waits for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, task

from railiance.domain.errors import Conflict
from tasks.approval import publish, wait_for_answer

PLAN = "sha256:0123456789abcdef" + "0" * 48
SUMMARY = """# Promote shop

| | from | to |
|---|---|---|
| image | v1 | v2 |

Plan `0123456789ab`. Rollback can restore v1.
"""


@task
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@flow(name="trial-ends")
def ends(number: int) -> dict[str, Any]:
    """Return a document.

    Args:
        number: Any number.
    """
    publish(f"**{number}**", key="Trial_number.1")
    return {"doubled": double(number)}


@flow(name="trial-fails")
def fails() -> None:
    """Fail with an error of ours."""
    raise Conflict("TRIAL", "The world changed.", "Make a new plan.")


@flow(name="trial-waits")
def waits(journal: str, timeout: int = 600) -> dict[str, Any]:
    """Ask until a usable answer comes; the journal stands for the ledger.

    Args:
        journal: A file with one line per recorded answer.
        timeout: Seconds to wait.
    """
    path = Path(journal)
    recorded = path.read_text().splitlines() if path.exists() else []
    answer = wait_for_answer(PLAN, len(recorded), SUMMARY, timeout)
    with path.open("a") as file:
        file.write(f"{answer}\n")
    if answer is None or answer["plan_digest_first_12"] != "0123456789ab":
        answer = wait_for_answer(PLAN, len(recorded) + 1, SUMMARY, timeout)
    return {"answer": answer}
