"""Helm, through its command line: the only module that calls it.

Helm installs and upgrades; it is never asked whether something works. So nothing here waits for readiness,
rolls back by itself or runs hooks, and values are always given in full (lifecycle, section on Helm).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from railiance.adapters import process
from railiance.domain.errors import Broken, Conflict, Denied, RailianceError, Unavailable
from railiance.domain.ports import ReleaseState

OLDEST_HELM_3 = (3, 18)
HISTORY_MAX = 10
READ_TIMEOUT = 30.0
WRITE_TIMEOUT = 300.0
_GONE = ("uninstalled",)
_HELP = "Install Helm 3.18 or newer, name it in RAILIANCE_HELM, or let `railiance lab up` build one."


def helm_binary() -> Path:
    """Return the Helm to use: `$RAILIANCE_HELM`, else the one on PATH, else the one that the lab built.

    Raises:
        Denied: There is none (code `DENY_HELM_MISSING`).
    """
    named = os.getenv("RAILIANCE_HELM")
    cache = Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidates = (
        [named] if named else [shutil.which("helm"), str(cache / "railiance" / "lab" / "bin" / "helm")]
    )
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK) and Path(candidate).is_file():
            return Path(candidate)
    looked_at = f"$RAILIANCE_HELM ({named})" if named else f"PATH or at {candidates[-1]}"
    raise Denied("DENY_HELM_MISSING", f"There is no Helm in {looked_at}.", _HELP)


class HelmCli:
    """Helm with one set of credentials.

    Args:
        kubeconfig: A kubeconfig file; None leaves the choice to Helm, which looks where `KubeCluster` looks.
        context: A context of it; None means the current one.
        binary: The program; None means `helm_binary()`, asked when it is first needed.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None, binary: Path | None = None) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._binary = binary
        self._version: str | None = None

    # ----- reading

    def version(self) -> str:
        """Return Helm's version, such as `v3.22.0`.

        Raises:
            Denied: None is there (`DENY_HELM_MISSING`), or a foreign one (`DENY_HELM_VERSION`).
        """
        if self._version is None:
            self._binary = self._binary or helm_binary()
            argv = [str(self._binary), "version", "--template", "{{.Version}}"]
            self._version = _supported(process.run(argv, timeout=READ_TIMEOUT).stdout.strip(), self._binary)
        return self._version

    def template(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
        *,
        kube_version: str | None = None,
        api_versions: Sequence[str] = (),
    ) -> str:
        """Render the manifests that an install would send; `overlay` is a values document that wins."""
        extra = ["--no-hooks"]
        if kube_version:
            extra += ["--kube-version", kube_version]
        for version in api_versions:
            extra += ["--api-versions", version]
        with _value_flags(values, overlay) as flags:
            return self._run(["template", helm_release, str(chart), "-n", namespace, *extra, *flags]).stdout

    def lint(self, chart: Path, values: Sequence[Path], overlay: Mapping[str, Any]) -> None:
        """Check the chart strictly.

        Raises:
            Broken: There are findings, in Helm's words (code `HELM_LINT`).
        """
        with _value_flags(values, overlay) as flags:
            done = self._start(["lint", str(chart), "--strict", *flags], READ_TIMEOUT)
        if done.exit_code == 0:
            return
        findings = [line for line in done.stdout.splitlines() if line.startswith(("[ERROR]", "[WARNING]"))]
        words = "\n  ".join(findings) or _first_line(done.stderr)
        raise Broken("HELM_LINT", f"`helm lint` refuses the chart {chart}:\n  {words}", "Correct the chart.")

    def state(self, helm_release: str, namespace: str) -> ReleaseState | None:
        """Return the present state, or None when Helm does not know the helm_release."""
        states = self._history(helm_release, namespace, newest=1)
        return None if not states or states[-1].status in _GONE else states[-1]

    def history(self, helm_release: str, namespace: str) -> list[ReleaseState]:
        """Return the kept helm_revisions, oldest first; empty when there are none."""
        return self._history(helm_release, namespace, newest=256)

    def manifest(self, helm_release: str, namespace: str, helm_revision: int | None = None) -> str:
        """Return the stored manifest text.

        Raises:
            Conflict: Helm does not know the helm_release or helm_revision (code `HELM_RELEASE_MISSING`).
        """
        chosen = ["--revision", str(helm_revision)] if helm_revision is not None else []
        return self._run(["get", "manifest", helm_release, "-n", namespace, *chosen]).stdout

    def _history(self, helm_release: str, namespace: str, newest: int) -> list[ReleaseState]:
        argv = ["history", helm_release, "-n", namespace, "--max", str(newest), "-o", "json"]
        try:
            done = self._run(argv)
        except Conflict as error:
            if error.code != "HELM_RELEASE_MISSING":
                raise
            return []
        return _states(done.stdout, helm_release, namespace)

    # ----- changing

    def install(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
    ) -> ReleaseState:
        """Install a helm_release that is not there yet, and its namespace; return when Helm has sent all.

        Raises:
            Conflict: The name is taken (code `HELM_RELEASE_EXISTS`).
        """
        argv = ["install", helm_release, str(chart), "--create-namespace"]
        return self._send(argv, helm_release, namespace, values, overlay)

    def upgrade(
        self,
        chart: Path,
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
    ) -> ReleaseState:
        """Upgrade with the full values; return when Helm has sent all.

        Raises:
            Conflict: It is not there (`HELM_RELEASE_MISSING`) or pending (`DENY_PENDING_RELEASE`).
        """
        kept = ["--reset-values", "--history-max", str(HISTORY_MAX)]
        argv = ["upgrade", helm_release, str(chart), *kept]
        return self._send(argv, helm_release, namespace, values, overlay)

    def uninstall(self, helm_release: str, namespace: str) -> bool:
        """Uninstall and wait until its objects are gone; False when there was nothing."""
        if self.state(helm_release, namespace) is None:
            return False
        # Helm 4's own watcher misjudges healthy objects; its older way of waiting does not.
        wait = "--wait=legacy" if _parsed(self.version())[0] >= 4 else "--wait"
        argv = ["uninstall", helm_release, "-n", namespace, "--no-hooks", "--cascade", "foreground", wait]
        try:
            self._run([*argv, "--timeout", f"{WRITE_TIMEOUT:.0f}s"], timeout=WRITE_TIMEOUT + READ_TIMEOUT)
        except Conflict as error:
            if error.code != "HELM_RELEASE_MISSING":
                raise
            return False
        return True

    def _send(
        self,
        argv: Sequence[str],
        helm_release: str,
        namespace: str,
        values: Sequence[Path],
        overlay: Mapping[str, Any],
    ) -> ReleaseState:
        """Install or upgrade; the CRDs of a chart are a matter of their own, so Helm leaves them alone."""
        options = ["-n", namespace, "--no-hooks", "--skip-crds"]
        with _value_flags(values, overlay) as flags:
            self._run([*argv, *options, *flags], timeout=WRITE_TIMEOUT)
        state = self.state(helm_release, namespace)
        if state is None:
            text = f"Helm did {argv[0]} {namespace}/{helm_release}, and does not know it afterwards."
            raise Conflict("HELM_RELEASE_MISSING", text, "Somebody uninstalled it meanwhile; look again.")
        return state

    # ----- the program

    def _run(self, argv: Sequence[str], timeout: float = READ_TIMEOUT) -> process.Completed:
        done = self._start(argv, timeout)
        if done.exit_code != 0:
            raise helm_error(argv[0], argv[1], done.stderr or done.stdout)
        return done

    def _start(self, argv: Sequence[str], timeout: float) -> process.Completed:
        self.version()
        access = ["--kubeconfig", str(self._kubeconfig)] if self._kubeconfig else []
        access += ["--kube-context", self._context] if self._context else []
        # A person's debug switch would fill the error output that is read here.
        environment = {"HELM_DEBUG": "false"}
        return process.run([str(self._binary), *argv, *access], env=environment, timeout=timeout, check=False)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What some words of Helm mean to us."""

    words: tuple[str, ...]
    error: type[RailianceError]
    code: str
    help: str


_MEANINGS = (
    _Meaning(
        ("another operation (install/upgrade/rollback) is in progress",),
        Conflict,
        "DENY_PENDING_RELEASE",
        "See whether another run is at work; if it died, `railiance rollback` puts things in order.",
    ),
    _Meaning(
        ("cannot re-use a name", "cannot reuse a name", "release: already exists"),
        Conflict,
        "HELM_RELEASE_EXISTS",
        "It is installed already: upgrade it, or make a new plan.",
    ),
    _Meaning(
        ("release: not found", "has no deployed releases", "release not loaded"),
        Conflict,
        "HELM_RELEASE_MISSING",
        "It is not installed: see `railiance status`, then make a new plan.",
    ),
    _Meaning(
        ("invalid ownership metadata", "cannot be imported into the current release"),
        Conflict,
        "DENY_FOREIGN_OWNER",
        "Find out who owns that object; move it out of the way, or choose another name.",
    ),
    _Meaning(
        ("conflict occurred while applying", "Apply failed with"),
        Conflict,
        "FIELD_CONFLICT",
        "Somebody else set these fields: see who, then make a new plan.",
    ),
    _Meaning(
        (
            "cluster unreachable",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "context deadline exceeded",
            "no such host",
            "TLS handshake timeout",
            "unexpected EOF",
            "currently unable to handle the request",
            "etcdserver:",
            "too many requests",
            "Too Many Requests",
        ),
        Unavailable,
        "CLUSTER_UNREACHABLE",
        "See whether the cluster runs, then try again.",
    ),
    _Meaning(
        ("is forbidden", "forbidden:", "Unauthorized"),
        Denied,
        "FORBIDDEN",
        "Ask the cluster's operators for this right, or use another access.",
    ),
)


def helm_error(verb: str, subject: str, said: str) -> RailianceError:
    """Return the error that Helm's words mean.

    Args:
        verb: What Helm was asked, such as `upgrade`.
        subject: The helm_release or chart it was asked about.
        said: Helm's error output.
    """
    text = f"`helm {verb} {subject}`: {_first_line(said)}"
    for meaning in _MEANINGS:
        if any(words in said for words in meaning.words):
            return meaning.error(meaning.code, text, meaning.help)
    return Broken("HELM_FAILED", text, "Helm's words say what; correct the chart or its values.")


def _first_line(said: str) -> str:
    """Return the line that begins with `Error:`, without that word; warnings may stand before it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("Error:", "level=ERROR"))]
    return (errors or lines or ["Helm failed without a word."])[0].removeprefix("Error:").strip()


def _parsed(version: str) -> tuple[int, int]:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    if match is None:
        raise Denied("DENY_HELM_VERSION", f"Helm's version is unreadable: {version!r}.", _HELP)
    return int(match[1]), int(match[2])


def _supported(version: str, binary: Path) -> str:
    major, minor = _parsed(version)
    if major == 4 or (major == 3 and (major, minor) >= OLDEST_HELM_3):
        return version
    raise Denied("DENY_HELM_VERSION", f"{binary} is Helm {version}; 3.18 or newer, or 4, is needed.", _HELP)


def _states(text: str, helm_release: str, namespace: str) -> list[ReleaseState]:
    """Read the answer of `helm history -o json`."""
    try:
        states = [
            ReleaseState(
                helm_release=helm_release,
                namespace=namespace,
                helm_revision=int(entry["revision"]),
                status=str(entry["status"]),
                chart=str(entry["chart"]),
                app_version=str(entry.get("app_version") or ""),
                updated=str(entry.get("updated") or ""),
            )
            for entry in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise Broken(
            "HELM_NONSENSE", f"Helm's history of {namespace}/{helm_release} is unreadable."
        ) from error
    return sorted(states, key=lambda state: state.helm_revision)


@contextmanager
def _value_flags(values: Sequence[Path], overlay: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the flags for the values files and the overlay, which others on this machine shall not read."""
    for path in values:
        if not path.is_file():
            raise Denied("DENY_VALUES_MISSING", f"There is no values file {path}.", "Name one that exists.")
        if "," in str(path):
            raise Denied("DENY_VALUES_MISSING", f"Helm cannot read {path}: a comma parts two files for it.")
    flags = [flag for path in values for flag in ("-f", str(path))]
    # mkstemp makes it mode 0600; the command line would be readable by everybody.
    handle, name = tempfile.mkstemp(prefix="railiance-values-", suffix=".yaml")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yaml.safe_dump(_plain(overlay), file, sort_keys=True)
        yield [*flags, "-f", name]
    finally:
        Path(name).unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Return plain dicts and lists, the only shapes that YAML's safe writer takes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value
