"""How a lab stands: the value that `status` and `up` return, whatever the provider."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab as it stands.

    Attributes:
        name: The lab's name.
        provider: `native`, `kind` or `existing`.
        kubeconfig: File with the administrator's access.
        ingress_url: Where Traefik answers for all hosts, as this machine reaches it; None if that is unknown.
        prometheus_url: Where Prometheus answers; None in a lab without it.
        registry: The registry as `host:port`, the same name here and on the nodes; it speaks plain HTTP.
        context: The context in the kubeconfig; None for its current one.
        nodes: For each node, whether it is Ready.
        addons: For each addon, whether it works.
        processes: For each process of the lab, whether it runs.
        notes: What a person should know besides.
    """

    name: str
    provider: str
    kubeconfig: Path
    ingress_url: str | None
    prometheus_url: str | None
    registry: str | None
    context: str | None = None
    nodes: dict[str, bool] = field(default_factory=dict)
    addons: dict[str, bool] = field(default_factory=dict)
    processes: dict[str, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Say whether all of it works; a lab that shows nothing at all does not."""
        parts = [*self.nodes.values(), *self.addons.values(), *self.processes.values()]
        return bool(self.nodes) and bool(self.addons) and all(parts)

    def document(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {**asdict(self), "kubeconfig": str(self.kubeconfig), "ready": self.ready}
