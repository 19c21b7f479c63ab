"""`kubectl logs …` lines as data: they are read through the API, never executed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import timedelta

_VALUE_FLAGS = {
    "-n": "namespace",
    "--namespace": "namespace",
    "-l": "selector",
    "--selector": "selector",
    "-c": "container",
    "--container": "container",
    "--since": "since",
    "--tail": "tail",
}
_OTHER_VALUE_FLAGS = frozenset(
    {"--context", "--kubeconfig", "--limit-bytes", "--max-log-requests", "--since-time", "--cluster"}
)
_KINDS = {
    "po": "Pod",
    "pod": "Pod",
    "pods": "Pod",
    "deploy": "Deployment",
    "deployment": "Deployment",
    "deployments": "Deployment",
    "deployment.apps": "Deployment",
    "sts": "StatefulSet",
    "statefulset": "StatefulSet",
    "statefulsets": "StatefulSet",
    "statefulset.apps": "StatefulSet",
    "ds": "DaemonSet",
    "daemonset": "DaemonSet",
    "daemonsets": "DaemonSet",
    "daemonset.apps": "DaemonSet",
    "rs": "ReplicaSet",
    "replicaset": "ReplicaSet",
    "job": "Job",
    "jobs": "Job",
    "job.batch": "Job",
    "svc": "Service",
    "service": "Service",
}


@dataclass(frozen=True, slots=True)
class LogReference:
    """Whose log lines are meant.

    Attributes:
        kind: `Pod`, `Deployment`, …; empty when pods are chosen by `selector`.
        name: Name of the object; empty likewise.
        selector: Label selector; empty when an object is named.
        namespace: Namespace; None = that of the stage.
        container: Container; None = all of them.
        since: Age of the oldest line; None = no limit.
        tail: Number of lines from the end; None = all.
    """

    kind: str
    name: str
    selector: str
    namespace: str | None = None
    container: str | None = None
    since: timedelta | None = None
    tail: int | None = None


def parse_log_reference(line: str) -> LogReference:
    """Read a `kubectl logs` line.

    Args:
        line: The line as written in the contract.

    Raises:
        ValueError: It is none, or holds more than one command; the message says what is wrong with it.
    """
    if re.search(r"[|;&<>`]|\$\(", line):
        raise ValueError("it holds a pipe or another command, and nothing of it is executed")
    words = shlex.split(line)
    if words[:2] != ["kubectl", "logs"]:
        raise ValueError("it does not begin with `kubectl logs`")
    options, rest = _options(words[2:])
    if len(rest) > 1 and "container" not in options:
        options["container"] = rest.pop()
    if not rest and "selector" not in options:
        raise ValueError("it names neither an object nor a selector (`-l app=…`)")
    kind, name = _target(rest[0]) if rest else ("", "")
    tail = options.get("tail", "-1")
    if re.fullmatch(r"-1|[0-9]{1,9}", tail) is None:
        raise ValueError("`--tail` wants a number")
    return LogReference(
        kind,
        name,
        options.get("selector", ""),
        options.get("namespace"),
        options.get("container"),
        _since(options["since"]) if "since" in options else None,
        None if tail == "-1" else int(tail),
    )


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    rest: list[str] = []
    pending = iter(words)
    for word in pending:
        flag, equals, value = word.partition("=")
        if flag in _VALUE_FLAGS or flag in _OTHER_VALUE_FLAGS:
            value = value if equals else next(pending, "")
            if not value:
                raise ValueError(f"`{flag}` wants a value")
            options[_VALUE_FLAGS.get(flag, flag)] = value
        elif not word.startswith("-"):
            rest.append(word)
    return options, rest


def _target(word: str) -> tuple[str, str]:
    kind, slash, name = word.partition("/")
    if not slash:
        return "Pod", word
    if kind.lower() not in _KINDS or not name:
        raise ValueError(f"it names `{word}`; known are pod/…, deploy/…, statefulset/…, daemonset/…, job/…")
    return _KINDS[kind.lower()], name


def _since(text: str) -> timedelta:
    if re.fullmatch(r"(?:[0-9]{1,6}[hms])+", text) is None:
        raise ValueError("`--since` wants a duration such as 10m")
    amounts = {unit: int(number) for number, unit in re.findall(r"([0-9]+)([hms])", text)}
    return timedelta(hours=amounts.get("h", 0), minutes=amounts.get("m", 0), seconds=amounts.get("s", 0))
