"""Asking a cluster for its nodes."""

from __future__ import annotations

from typing import Any

from railiance.lab.kubectl import Kubectl


def node_states(kubectl: Kubectl) -> dict[str, bool]:
    """Return, for each node of the cluster, whether Kubernetes calls it Ready."""
    listed = kubectl.get("nodes") or {}
    return {item["metadata"]["name"]: _is_ready(item) for item in listed.get("items", [])}


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
