"""Ask a person, in the body of a flow, and show what there is to decide."""

from __future__ import annotations

from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.flow_runs import suspend_flow_run
from pydantic import ValidationError

from blocks.approval_form import ApprovalInput


def wait_for_answer(
    plan_digest: str, answers_recorded: int, summary_markdown: str, timeout_seconds: int
) -> dict[str, Any] | None:
    """Suspend the calling flow until somebody answers the form, and return the answer.

    Call it in the body of a top-level flow: never in a task, a subflow, a transaction, or a `with` that
    cleans up. The first call ends this process; after the answer the flow runs again from the top, and the
    same call, with the same two first arguments, returns. The caller records what came, good or useless, so
    that `answers_recorded` grows: no answer is then read twice, and a retried run asks anew.

    Args:
        plan_digest: Digest of the plan to be approved, with or without `sha256:`.
        answers_recorded: How many answers to this request the ledger already holds.
        summary_markdown: What the approver reads above the form.
        timeout_seconds: Seconds until the server gives the run up; the approval's lifetime.

    Returns:
        The fields of the form, or None if the run was set going without a usable answer: that is no approval.
    """
    short = plan_digest.removeprefix("sha256:")[:12]
    # The description only: initial values would take the fields' rules away.
    form = ApprovalInput.with_initial_data(description=summary_markdown)
    try:
        answer = suspend_flow_run(
            wait_for_input=form, key=f"approve-{short}-{answers_recorded}", timeout=timeout_seconds
        )
    except ValidationError:
        return None
    return None if answer is None else answer.model_dump(include=set(ApprovalInput.model_fields))


def publish(markdown: str, key: str, description: str = "") -> None:
    """Keep a Markdown page with the flow run, where the UI lists it under Artifacts.

    Args:
        markdown: The page.
        key: Its name; what Prefect does not allow in it becomes a dash.
        description: One line for the list.
    """
    create_markdown_artifact(markdown=markdown, key=_artifact_key(key), description=description or None)


def _artifact_key(key: str) -> str:
    allowed = [letter if letter.isascii() and letter.isalnum() else "-" for letter in key.lower()]
    return "".join(allowed).strip("-")
