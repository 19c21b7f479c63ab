"""The form that a waiting run shows to an approver (lifecycle.md 7.2)."""

from __future__ import annotations

from typing import Literal

from prefect.input import RunInput
from pydantic import Field


class ApprovalInput(RunInput):
    """The answer to an approval request: a filter against mistakes, not against forgery.

    No field has a default, and none is ever prefilled: otherwise an empty answer would approve.
    """

    decision: Literal["approve", "reject"] = Field(description="What happens with this request")
    plan_digest_first_12: str = Field(
        pattern=r"^[0-9a-f]{12}$", description="Type it from the summary above: the first 12 characters"
    )
    comment: str = Field(min_length=10, description="Why is this safe now? At least 10 characters")
    signed_approval: str = Field(
        description="Output of `railiance approve REQ`; a single '-' where an unsigned approval is allowed"
    )
