"""Hard gates: what the canary's pods say themselves, without statistics: a crash is a crash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from railiance.domain.ports import Manifest

UNREADY_PATIENCE = timedelta(seconds=15)
"""How long a pod that was Ready may be unready."""

START_PATIENCE = timedelta(seconds=60)
"""How long an image or a configuration may fail to load, as a registry may hiccup."""

SAME_MOMENT = timedelta(seconds=60)
"""A signal that stable shows within this time is the platform's fault rather than the canary's."""

_CANNOT_START = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ErrImageNeverPull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
_TAKEN_AWAY = frozenset(
    {"Evicted", "NodeAffinity", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"}
)


@dataclass(frozen=True, slots=True)
class GateSignal:
    """One thing that pods show.

    Attributes:
        code: `restarts`, `crash-loop`, `cannot-start`, `unready`, `pods-gone`, `taken-away`, `unreadable`.
        reason: One sentence: which pod, what, how long.
    """

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gates:
    """What the hard gates say: any failure is FAIL, any unknown is UNKNOWN; silence is no pass by itself."""

    failures: tuple[GateSignal, ...] = field(default=())
    unknowns: tuple[GateSignal, ...] = field(default=())

    def also(self, other: Gates) -> Gates:
        """Return both together."""
        return Gates(self.failures + other.failures, self.unknowns + other.unknowns)


UNREADABLE = Gates(unknowns=(GateSignal("unreadable", "the pods could not be read"),))
"""What to judge with while the API server does not answer."""


def judge_pods(
    canary: Sequence[Manifest], stable: Sequence[Manifest], *, restart_limit: int, now: datetime
) -> Gates:
    """Judge the canary's pods by themselves.

    Args:
        canary: The pods of the canary track, of this candidate only.
        stable: The pods of the stable track; what they show in the same minute is not the canary's fault.
        restart_limit: Restarts a canary container may have.
        now: The present moment.

    Returns:
        Failures and unknowns. A canary without any pod is a failure: there is nobody to answer.
    """
    if not canary:
        return Gates(failures=(GateSignal("pods-gone", "the canary has no pod"),))
    unknowns = tuple(signal for pod in canary for signal in _taken_away(pod))
    signals = [signal for pod in canary for signal in _signals(pod, restart_limit, now)]
    excused = {signal.code for pod in stable for signal in _recent_signals(pod, now)}
    failures = tuple(signal for signal in signals if signal.code not in excused)
    shared = tuple(
        GateSignal(signal.code, f"{signal.reason}; stable shows the same")
        for signal in signals
        if signal.code in excused
    )
    return Gates(failures, unknowns + shared)


def _signals(pod: Manifest, restart_limit: int, now: datetime) -> Iterator[GateSignal]:
    """Yield what is wrong with one pod, unless somebody takes it away or it is on its way out."""
    if pod.get("metadata", {}).get("deletionTimestamp") or any(_taken_away(pod)):
        return
    for status in _containers(pod):
        yield from _container_signals(pod, status, restart_limit, now)
    yield from _unready(pod, now)


def _recent_signals(pod: Manifest, now: datetime) -> Iterator[GateSignal]:
    """Yield what is wrong with a stable pod right now; an old restart of it excuses nobody."""
    for signal in _signals(pod, 0, now):
        if signal.code != "restarts" or any(_died_recently(status, now) for status in _containers(pod)):
            yield signal


def _container_signals(
    pod: Manifest, status: dict[str, Any], restart_limit: int, now: datetime
) -> Iterator[GateSignal]:
    """Yield what is wrong with one container."""
    name = f"{_name(pod)}/{status.get('name', '?')}"
    restarts = int(status.get("restartCount", 0))
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason", ""))
    if reason == "CrashLoopBackOff":
        yield GateSignal("crash-loop", f"{name} crashes again and again{_last_words(status)}")
    elif restarts > restart_limit:
        yield GateSignal("restarts", f"{name} restarted {restarts} times{_last_words(status)}")
    age = _age(pod.get("status", {}).get("startTime"), now)
    if reason in _CANNOT_START and age is not None and age > START_PATIENCE:
        yield GateSignal("cannot-start", f"{name} cannot start since {int(age.total_seconds())} s: {reason}")


def _unready(pod: Manifest, now: datetime) -> Iterator[GateSignal]:
    """Yield whether a pod that was Ready is not for too long.

    A pod that was never Ready has had its condition since before its containers started, so the times alone
    tell the two apart, and no memory is needed that a restarted run would have lost.
    """
    condition = _condition(pod, "Ready")
    if condition.get("status") != "False":
        return
    since = _moment(condition.get("lastTransitionTime"))
    started = [
        _moment((status.get("state") or {}).get("running", {}).get("startedAt"))
        for status in _containers(pod)
    ]
    if since is None or any(start is None or start >= since for start in started):
        return
    if now - since > UNREADY_PATIENCE:
        seconds = int((now - since).total_seconds())
        yield GateSignal("unready", f"{_name(pod)} was Ready and is not since {seconds} s")


def _taken_away(pod: Manifest) -> Iterator[GateSignal]:
    """Yield whether the platform takes a pod away: eviction, preemption, loss of its node."""
    reason = str(pod.get("status", {}).get("reason", ""))
    target = _condition(pod, "DisruptionTarget")
    if reason in _TAKEN_AWAY or target.get("status") == "True":
        yield GateSignal("taken-away", f"{_name(pod)} is taken away: {target.get('reason') or reason}")
    elif _condition(pod, "Ready").get("status") == "Unknown":
        yield GateSignal("taken-away", f"the node of {_name(pod)} does not answer")


def _last_words(status: dict[str, Any]) -> str:
    """Return how a container ended the last time, in brackets; empty when nobody knows."""
    ended = (status.get("lastState") or {}).get("terminated") or {}
    if not ended:
        return ""
    return f" ({ended.get('reason', 'Error')}, exit code {ended.get('exitCode', '?')})"


def _died_recently(status: dict[str, Any], now: datetime) -> bool:
    """Tell whether a container ended within the last minute."""
    ended = (status.get("lastState") or {}).get("terminated") or {}
    age = _age(ended.get("finishedAt"), now)
    return age is not None and age <= SAME_MOMENT


def _containers(pod: Manifest) -> Iterable[dict[str, Any]]:
    """Return the states of a pod's containers."""
    return pod.get("status", {}).get("containerStatuses") or []


def _condition(pod: Manifest, kind: str) -> dict[str, Any]:
    """Return one condition of a pod; empty when it has none of the kind."""
    conditions = pod.get("status", {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _name(pod: Manifest) -> str:
    """Return a pod's name."""
    return str(pod.get("metadata", {}).get("name", "?"))


def _age(text: str | None, now: datetime) -> timedelta | None:
    """Return how long ago a moment was; None when it is not given."""
    moment = _moment(text)
    return None if moment is None else now - moment


def _moment(text: str | None) -> datetime | None:
    """Return a moment as the API server writes it."""
    return datetime.fromisoformat(text) if text else None
