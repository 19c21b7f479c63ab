"""How to reach a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from prefect.blocks.core import Block
from pydantic import Field

from railiance.adapters.cluster import KubeCluster
from railiance.domain.errors import Usage
from railiance.engine.work import DEFAULT_ACCESS, KUBECONFIG_PREFIX, Access


class ClusterAccess(Block):
    """Name the kubeconfig and the context through which a cluster is reached; holds no credentials.

    Example:
        ```python
        from blocks import ClusterAccess

        ClusterAccess(kubeconfig="/etc/rancher/k3s/k3s.yaml").save("production")
        ```
    """

    _block_type_name = "Cluster access"
    _block_type_slug = "railiance-cluster-access"
    _description = "Which kubeconfig and context reach a cluster; holds no credentials."

    kubeconfig: Path | None = Field(
        default=None,
        description="Path of a kubeconfig on the worker's machine; empty: $KUBECONFIG, ~/.kube/config, or the"
        " service account of the pod that the worker runs in",
    )
    context: str | None = Field(
        default=None, description="A context of that kubeconfig; empty: its current one"
    )

    def connect(self) -> KubeCluster:
        """Return the cluster."""
        return KubeCluster.connect(self.kubeconfig, self.context)


def cluster_access(name: str) -> ClusterAccess:
    """Return the access that a flow's parameter `cluster` names.

    Args:
        name: Name of a saved block; or `default`, or `kubeconfig:PATH#CONTEXT`, which need no block.

    Raises:
        Usage: There is no saved block of that name (code `UNKNOWN_CLUSTER`).
    """
    if name.startswith(KUBECONFIG_PREFIX):
        return _spelled(name)
    try:
        return _saved(name)
    except Usage:
        if name != DEFAULT_ACCESS:
            raise
        return _spelled(name)


def access_text(name: str) -> str:
    """Return the access that a flow's parameter `cluster` names, spelled out as `Access.parse` reads it."""
    block = cluster_access(name)
    return Access(block.kubeconfig, block.context).spelled()


def _saved(name: str) -> ClusterAccess:
    try:
        return cast("ClusterAccess", ClusterAccess.load(name))  # typed for async callers as well
    except ValueError as error:
        message = f"There is no ClusterAccess block named {name!r} in Prefect."
        help_ = "Save one, or give `default` or `kubeconfig:PATH#CONTEXT`; see the reference of the blocks."
        raise Usage("UNKNOWN_CLUSTER", message, help_) from error


def _spelled(name: str) -> ClusterAccess:
    access = Access.parse(name)
    return ClusterAccess(kubeconfig=access.kubeconfig, context=access.context)
