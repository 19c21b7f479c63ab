"""Fixtures of the contract tests: each port once as the fake and once, marked `cluster`, as the real thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from railiance.adapters.clock import SystemClock
from railiance.adapters.cluster import KubeCluster
from railiance.domain.ports import Clock
from tests import real_cluster
from tests.fakes import FakeClock, FakeCluster

FAKE_AND_REAL = ["fake", pytest.param("real", marks=pytest.mark.cluster)]


@pytest.fixture(params=FAKE_AND_REAL)
def cluster(request: pytest.FixtureRequest) -> Any:
    """Return the port `Cluster`: in memory, and on a real API server."""
    if request.param == "fake":
        return FakeCluster(clock=FakeClock())
    return KubeCluster.connect(real_cluster.kubeconfig())


@pytest.fixture
def clock(cluster: Any) -> Clock:
    """Return time that fits the cluster."""
    return cluster.clock if isinstance(cluster, FakeCluster) else SystemClock()


@pytest.fixture
def namespace(cluster: Any) -> Iterator[str]:
    """Return a fresh namespace."""
    with real_cluster.fresh_namespace(cluster) as name:
        yield name
