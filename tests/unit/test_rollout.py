"""Is a track ready: read from workloads, endpoints and pods themselves."""

from __future__ import annotations

from typing import Any

import pytest

from railiance.domain.rollout import WorkloadState, image_digest, ready_addresses, restarts, workload_state

WHOLE: dict[str, Any] = {
    "observedGeneration": 2,
    "replicas": 3,
    "updatedReplicas": 3,
    "readyReplicas": 3,
}


def deployment(status: dict[str, Any], replicas: int | None = 3, kind: str = "Deployment") -> dict[str, Any]:
    """Return a workload of generation 2."""
    spec = {} if replicas is None else {"replicas": replicas}
    return {"kind": kind, "metadata": {"name": "web", "generation": 2}, "spec": spec, "status": status}


def slices(*conditions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return EndpointSlices with one address for each set of conditions."""
    return [
        {"endpoints": [{"addresses": [f"10.0.0.{number}"], "conditions": condition}]}
        for number, condition in enumerate(conditions)
    ]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize(
    ("changed", "whole"),
    [
        ({}, True),
        ({"observedGeneration": 1}, False),
        ({"observedGeneration": None}, False),
        ({"readyReplicas": 2}, False),
        ({"readyReplicas": None}, False),
        ({"updatedReplicas": 2}, False),
        ({"replicas": 4}, False),
        ({"replicas": 2}, False),
    ],
)
def test_a_workload_is_whole(kind: str, changed: dict[str, Any], whole: bool) -> None:
    """Only when its controller has seen the spec, and every pod is new and ready, with no old one left."""
    assert workload_state(deployment({**WHOLE, **changed}, kind=kind)).whole is whole


def test_no_status_is_not_whole() -> None:
    """An object that no controller has looked at yet is not ready."""
    assert not workload_state(
        {"kind": "Deployment", "metadata": {"name": "w", "generation": 1}, "spec": {}}
    ).whole


def test_scaled_to_nothing_is_not_whole() -> None:
    """A workload that wants no pod can take no user."""
    nothing = {"observedGeneration": 2, "replicas": 0, "updatedReplicas": 0, "readyReplicas": 0}
    assert workload_state(deployment(nothing, 0)) == WorkloadState("Deployment", "web", 0, 0, True)
    assert not workload_state(deployment(nothing, 0)).whole


def test_replicas_default_to_one() -> None:
    """A Deployment that leaves `replicas` to an autoscaler wants at least one."""
    assert workload_state(deployment({}, None)).desired == 1


@pytest.mark.parametrize(("ready", "whole"), [(2, True), (1, False)])
def test_a_daemon_set_counts_nodes(ready: int, whole: bool) -> None:
    """A DaemonSet wants a pod on each of its nodes."""
    status = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 2,
        "updatedNumberScheduled": 2,
        "numberReady": ready,
    }
    assert workload_state(deployment(status, None, "DaemonSet")).whole is whole


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ({"ready": True}, 1),
        ({"ready": False}, 0),
        ({}, 1),
        ({"ready": True, "terminating": True}, 0),
        ({"ready": False, "serving": True, "terminating": True}, 0),
    ],
)
def test_ready_addresses(conditions: dict[str, Any], count: int) -> None:
    """An endpoint counts if it is ready (or says nothing) and is not on its way out."""
    assert len(ready_addresses(slices(conditions))) == count


def test_an_address_counts_once() -> None:
    """Two slices that list the same pod are one endpoint; a slice without any is none."""
    assert ready_addresses([*slices({}), *slices({}), {"endpoints": None}]) == ("10.0.0.0",)


@pytest.mark.parametrize(
    ("image_id", "digest"),
    [
        ("registry.example/web@sha256:" + "a" * 64, "sha256:" + "a" * 64),
        ("sha256:" + "a" * 64, "sha256:" + "a" * 64),
        ("", None),
        ("web:v1", None),
    ],
)
def test_image_digest(image_id: str, digest: str | None) -> None:
    """What a kubelet runs is told by its image id, or not at all."""
    assert image_digest({"status": {"containerStatuses": [{"imageID": image_id}]}}) == digest


def test_image_digest_of_a_new_pod() -> None:
    """A pod without a status runs nothing yet."""
    assert image_digest({}) is None


def test_restarts_are_summed_up() -> None:
    """All containers of all pods count."""
    pod = {"status": {"containerStatuses": [{"restartCount": 2}, {}]}}
    assert restarts([pod, pod, {}]) == 4
