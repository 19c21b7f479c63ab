"""The real cluster that tests marked `cluster` run on; without one they fail, they never skip."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from railiance.adapters.cluster import KubeCluster
from railiance.domain.ports import ObjectRef

TEST_LABEL = {"railiance.dev/test": "true"}


def kubeconfig() -> Path:
    """Return the kubeconfig of the tests' cluster."""
    path = os.environ.get("RAILIANCE_TEST_KUBECONFIG")
    if not path:
        pytest.fail(
            "set RAILIANCE_TEST_KUBECONFIG (`railiance lab up` prints it); this test does not skip",
            pytrace=False,
        )
    return Path(path)


@contextmanager
def fresh_namespace(cluster: KubeCluster) -> Iterator[str]:
    """Make a namespace of its own for a test, and ask for its deletion afterwards."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    cluster.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(TEST_LABEL)}}
    )
    try:
        yield name
    finally:
        cluster.delete(ObjectRef("v1", "Namespace", "", name))


def gone(cluster: KubeCluster, ref: ObjectRef, timeout: float = 30) -> bool:
    """Wait until an object is really gone; deletion goes on after it was asked for."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if cluster.get(ref) is None:
            return True
        time.sleep(0.1)
    return False
