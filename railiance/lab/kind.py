"""The lab in kind: Kubernetes nodes as containers."""

from __future__ import annotations


def obstacles() -> list[str]:
    """Return what keeps this machine from running a lab in kind; empty if nothing does."""
    return ["not built yet"]
