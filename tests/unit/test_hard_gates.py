"""Pods that crash fail the canary; pods that the platform takes away do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from railiance.domain.hard_gates import Gates, judge_pods

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def ago(seconds: float) -> str:
    """Return a moment as the API server writes it."""
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str = "web-1", **changes: Any) -> dict[str, Any]:
    """Return a pod that is Ready for an hour."""
    status = {
        "phase": "Running",
        "startTime": ago(changes.pop("age", 3600)),
        "containerStatuses": [
            {
                "name": "web",
                "restartCount": changes.pop("restarts", 0),
                "state": changes.pop("state", {"running": {"startedAt": ago(3599)}}),
                "lastState": changes.pop("last", {}),
            }
        ],
        "conditions": [
            {
                "type": "Ready",
                "status": changes.pop("ready", "True"),
                "lastTransitionTime": ago(changes.pop("since", 3590)),
            },
            *changes.pop("conditions", []),
        ],
        **changes.pop("status", {}),
    }
    return {"metadata": {"name": name, **changes.pop("metadata", {})}, "status": status}


def judge(*canary: dict[str, Any], stable: tuple[dict[str, Any], ...] = (), limit: int = 0) -> Gates:
    """Judge the pods now."""
    return judge_pods(canary, stable or (pod("old-1"),), restart_limit=limit, now=NOW)


OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": ago(20)}}


def test_healthy_pods_say_nothing() -> None:
    """Silence of all gates is no failure and no unknown."""
    assert judge(pod(), pod("web-2")) == Gates()


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (pod(restarts=1, last=OOM), "restarts", "web-1/web restarted 1 times (OOMKilled, exit code 137)"),
        (
            pod(restarts=3, state={"waiting": {"reason": "CrashLoopBackOff"}}),
            "crash-loop",
            "crashes again and again",
        ),
        (
            pod(age=90, state={"waiting": {"reason": "ImagePullBackOff"}}, ready="False", since=90),
            "cannot-start",
            "cannot start since 90 s: ImagePullBackOff",
        ),
        (pod(ready="False", since=16), "unready", "web-1 was Ready and is not since 16 s"),
    ],
    ids=["restart", "crash-loop", "image", "unready"],
)
def test_canary_fault_fails(bad: dict[str, Any], code: str, words: str) -> None:
    """Each fault is one failure that names pod and cause."""
    (signal,) = judge(bad).failures
    assert signal.code == code
    assert words in signal.reason


@pytest.mark.parametrize(
    "harmless",
    [
        pod(restarts=0, last=OOM),
        pod(age=30, state={"waiting": {"reason": "ErrImagePull"}}, ready="False", since=30),
        pod(ready="False", since=14),
        pod(ready="False", since=3600, state={"running": {"startedAt": ago(3598)}}),
        pod(restarts=1, last=OOM, metadata={"deletionTimestamp": ago(1)}),
    ],
    ids=["earlier-life", "image-hiccup", "short-unready", "never-ready", "leaving"],
)
def test_harmless_states_pass(harmless: dict[str, Any]) -> None:
    """Short troubles, a pod that is still starting and one that leaves are no failures."""
    assert judge(harmless).failures == ()


def test_restart_limit_of_the_contract() -> None:
    """As many restarts as the contract allows are allowed."""
    assert judge(pod(restarts=2, last=OOM), limit=2).failures == ()
    assert judge(pod(restarts=3, last=OOM), limit=2).failures[0].code == "restarts"


@pytest.mark.parametrize(
    "taken",
    [
        pod(status={"reason": "Evicted", "phase": "Failed"}),
        pod(
            restarts=1,
            last=OOM,
            conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "Preempted"}],
        ),
        pod(ready="Unknown", since=60),
    ],
    ids=["evicted", "preempted", "node-lost"],
)
def test_taken_away_is_unknown(taken: dict[str, Any]) -> None:
    """What the platform does to a pod is not the canary's fault, and not a pass either."""
    gates = judge(taken)
    assert gates.failures == ()
    assert [signal.code for signal in gates.unknowns] == ["taken-away"]


def test_same_signal_on_stable_is_unknown() -> None:
    """If stable restarts in the same minute, nobody can tell whose fault it is."""
    gates = judge(pod(restarts=1, last=OOM), stable=(pod("old-1", restarts=1, last=OOM),))
    assert gates.failures == ()
    assert "stable shows the same" in gates.unknowns[0].reason


def test_old_restart_of_stable_excuses_nobody() -> None:
    """A restart of stable an hour ago has nothing to do with the canary's now."""
    long_ago = {"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": ago(3000)}}
    gates = judge(pod(restarts=1, last=OOM), stable=(pod("old-1", restarts=4, last=long_ago),))
    assert gates.failures[0].code == "restarts"


def test_no_canary_pod_fails() -> None:
    """A canary without a pod answers nobody."""
    assert judge().failures[0].code == "pods-gone"


def test_gates_add_up() -> None:
    """Failures and unknowns of several sources stay side by side."""
    both = judge(pod(restarts=1, last=OOM)).also(judge(pod(ready="Unknown")))
    assert len(both.failures) == len(both.unknowns) == 1
