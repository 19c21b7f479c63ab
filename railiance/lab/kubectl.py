"""Applying manifests and asking for states with kubectl, which every kind of lab has."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from railiance.adapters import process
from railiance.domain.errors import Broken
from railiance.lab.layout import cache_root, tool_path

_MANIFESTS = Path(__file__).parent / "manifests"
_OWNER = "railiance-lab"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Calls on one cluster.

    Attributes:
        kubeconfig: File with the access; None for kubectl's own default.
        context: Its context; None for the current one.
    """

    kubeconfig: Path | None
    context: str | None = None

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Return what kubectl prints."""
        return process.run(self._argv(*arguments), stdin=stdin, timeout=timeout).stdout

    def get(self, *arguments: str) -> dict[str, Any] | None:
        """Return an object or a list, or None if there is none of that name."""
        answer = process.run(self._argv("get", "-o", "json", *arguments), check=False, timeout=30)
        if answer.exit_code == 0:
            found: dict[str, Any] = json.loads(answer.stdout)
            return found
        if "NotFound" in answer.stderr or "the server doesn't have a resource type" in answer.stderr:
            return None
        said = answer.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Broken(
            "TOOL_FAILED", f"kubectl cannot read {' '.join(arguments)}: {said[0]}", "Look at the cluster."
        )

    def apply(self, text: str) -> None:
        """Apply manifests server-side, as the lab's field manager."""
        flags = ("--server-side", "--force-conflicts", f"--field-manager={_OWNER}", "-f", "-")
        self.run("apply", *flags, stdin=text, timeout=120)

    def apply_folder(self, folder: Path) -> None:
        """Apply every manifest of a folder."""
        self.apply("\n---\n".join(path.read_text() for path in sorted(folder.glob("*.y*ml"))))

    def ready(self, kind: str, namespace: str, name: str) -> bool:
        """Say whether a workload exists, is observed, and has all the replicas it wants ready."""
        found = self.get(kind, "-n", namespace, name)
        if found is None:
            return False
        wanted, status = found["spec"].get("replicas", 1), found.get("status", {})
        current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        return bool(current and status.get("updatedReplicas", 0) == wanted == status.get("readyReplicas", 0))

    def _argv(self, *arguments: str) -> list[str]:
        built = tool_path("kubectl")
        tool = str(built) if built.exists() else shutil.which("kubectl") or str(built)
        access = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        access += [f"--context={self.context}"] if self.context else []
        return [tool, f"--cache-dir={cache_root() / 'kubectl'}", *access, *arguments]


def manifest(name: str, **values: object) -> str:
    """Return one of our manifests with its `$names` filled in; a name without a value is an error."""
    return Template((_MANIFESTS / f"{name}.yaml").read_text()).substitute(values)
