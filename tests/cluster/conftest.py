"""Fixtures of the tests on a real cluster: everything they make is labelled, and goes with its namespace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from railiance.adapters.cluster import KubeCluster
from railiance.adapters.helm import HelmCli
from tests import real_cluster

if TYPE_CHECKING:
    from railiance.lab import LabStatus


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """Return the kubeconfig of the tests' cluster; without one the test fails."""
    return real_cluster.kubeconfig()


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> KubeCluster:
    """Return the tests' cluster."""
    return KubeCluster.connect(kubeconfig)


@pytest.fixture(scope="session")
def helm(kubeconfig: Path) -> HelmCli:
    """Return the real Helm on it."""
    return HelmCli(kubeconfig, None)


@pytest.fixture
def namespace(cluster: KubeCluster) -> Iterator[str]:
    """Return a fresh namespace."""
    with real_cluster.fresh_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="session")
def lab() -> LabStatus:
    """Return the facts of the lab that the tests run on: ingress, registry, Prometheus."""
    from railiance.lab import status

    return status()
