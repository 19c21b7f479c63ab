"""Where the ledger of an application stays."""

from __future__ import annotations

from pathlib import Path

from prefect.blocks.core import Block
from pydantic import Field

from blocks.cluster import ClusterAccess
from railiance.adapters.clock import SystemClock
from railiance.adapters.ledger import ClusterLedger


class EvidenceLedger(Block):
    """Say where the ledger of one application stays: its namespace, and a folder for a second copy.

    Example:
        ```python
        from blocks import ClusterAccess, EvidenceLedger

        access = ClusterAccess.load("production")
        EvidenceLedger(cluster=access, namespace="shop", app_id="shop").save("shop-evidence")
        ```
    """

    _block_type_name = "Evidence ledger"
    _block_type_slug = "railiance-evidence-ledger"
    _description = "Where the ledger of one application stays, and its second copy."

    cluster: ClusterAccess = Field(default_factory=ClusterAccess, description="The target cluster")
    namespace: str = Field(description="Namespace of the application's Stage 3")
    app_id: str = Field(description="The application's id in its app.toml")
    mirror: Path | None = Field(default=None, description="Folder of a second copy, on the worker's machine")

    def connect(self) -> ClusterLedger:
        """Return the ledger."""
        return ClusterLedger(
            self.cluster.connect(), self.namespace, self.app_id, self.mirror, clock=SystemClock()
        )
