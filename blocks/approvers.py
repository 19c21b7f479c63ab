"""Who is asked."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field


class ApproverSettings(Block):
    """Say who is asked to approve an application's promotions; it grants nobody a right.

    Who may approve follows from the application's criticality and the policy, never from this block. It has
    no `connect`, since there is nothing to reach.

    Example:
        ```python
        from blocks import ApproverSettings

        ApproverSettings(people=["ada", "grace"], note="Ask in #releases first.").save("shop-approvers")
        ```
    """

    _block_type_name = "Approver settings"
    _block_type_slug = "railiance-approver-settings"
    _description = "Who is asked to approve, and what they should know; grants no right."

    people: list[str] = Field(default_factory=list, description="Who is asked, by the names that records use")
    note: str = Field(default="", description="What they read above the form, as Markdown")
