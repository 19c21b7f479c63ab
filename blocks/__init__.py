"""Configuration that people save in Prefect; a block's only method is connect(), which gives an adapter."""

from __future__ import annotations

from blocks.approvers import ApproverSettings
from blocks.cluster import ClusterAccess, access_text, cluster_access
from blocks.evidence import EvidenceLedger
from blocks.helm_registry import HelmRegistry
from blocks.prometheus import PrometheusServer

__all__ = [
    "ApproverSettings",
    "ClusterAccess",
    "EvidenceLedger",
    "HelmRegistry",
    "PrometheusServer",
    "access_text",
    "cluster_access",
]
