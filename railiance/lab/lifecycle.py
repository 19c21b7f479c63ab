"""The lab's verbs: up, down, status, and getting images into it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from railiance.lab import archives, builds, images, native, state
from railiance.lab.layout import Lab, default_name
from railiance.lab.progress import Progress, Silent, silent
from railiance.lab.registry import ImageRef, Registry


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab as it stands.

    Attributes:
        name: The lab's name.
        provider: `native`, `kind` or `existing`.
        kubeconfig: File with the administrator's access.
        context: The context in it; None for its current one.
        ingress_url: Where Traefik answers for all hosts, as this machine reaches it.
        prometheus_url: Where Prometheus answers; None in a lab without it.
        registry: The registry as `host:port`, the same name here and on the nodes; it speaks plain HTTP.
        nodes: For each node, whether it is Ready.
        addons: For each addon, whether it works.
        processes: For each process of the lab, whether it runs.
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

    @property
    def ready(self) -> bool:
        """Say whether all of it works; a lab that shows nothing at all does not."""
        parts = [*self.nodes.values(), *self.addons.values(), *self.processes.values()]
        return bool(self.nodes) and bool(self.addons) and all(parts)

    def document(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return {**asdict(self), "kubeconfig": str(self.kubeconfig), "ready": self.ready}


def up(
    name: str | None = None,
    *,
    nodes: int = 1,
    with_prometheus: bool = True,
    provider: str = "auto",
    kubeconfig: Path | None = None,
    context: str | None = None,
    progress: Progress | None = None,
) -> LabStatus:
    """Have a lab running and return where it answers; a lab that runs already is left as it is.

    Args:
        name: The lab; `RAILIANCE_LAB`, else `railiance`, by default.
        nodes: 1 or 3.
        with_prometheus: False for a cluster without central monitoring.
        progress: Where the steps are told.

    Raises:
        Conflict: A lab of that name is there in another shape, or its ports or addresses are taken.
        Unavailable: Something that it needs cannot be had.
    """
    chosen = name or default_name()
    with state.locked(f"lab-{chosen}", f"Another program is working on the lab {chosen}."):
        lab = native.up(chosen, nodes, with_prometheus, progress or Silent())
    return _status(lab)


def down(name: str | None = None, *, progress: Progress | None = None) -> list[str]:
    """Take a lab down, also one that is only half there, and return what could not be removed.

    Args:
        name: The lab; `RAILIANCE_LAB`, else `railiance`, by default.
        progress: Where the steps are told.

    Raises:
        Usage: There is no lab of that name.
    """
    chosen = name or default_name()
    lab = native.require(chosen)
    with state.locked(f"lab-{chosen}", f"Another program is working on the lab {chosen}."):
        native.down(lab, progress or Silent())
    return native.remains(lab)


def status(name: str | None = None) -> LabStatus:
    """Return how a lab stands.

    Raises:
        Usage: There is no lab of that name.
    """
    return _status(native.require(name or default_name()))


def build_demo_image(version: str, *, name: str | None = None) -> ImageRef:
    """Put the demo application, as this version, into the lab's registry and return it by its digest."""
    builds.ensure(builds.DEMOAPP, silent)
    return images.push(Registry(native.require(name or default_name()).registry), images.demo_image(version))


def load_image(source: Path, *, name: str | None = None, image_name: str | None = None) -> list[ImageRef]:
    """Put the images of an archive (`docker save`) or an OCI layout into the lab's registry.

    Args:
        source: The archive, or the folder of the layout.
        name: The lab.
        image_name: `repository:tag` to keep a single image under, instead of the name in the archive.
    """
    registry = Registry(native.require(name or default_name()).registry)
    return archives.load(registry, source, image_name)


def _status(lab: Lab) -> LabStatus:
    return LabStatus(
        name=lab.name,
        provider="native",
        kubeconfig=lab.kubeconfig,
        ingress_url=lab.ingress_url,
        prometheus_url=lab.prometheus_url,
        registry=lab.registry,
        nodes=native.node_states(lab),
        addons=native.addon_states(lab),
        processes=state.process_states(lab),
    )


def as_json(found: LabStatus) -> str:
    """Return a status as one JSON document."""
    return json.dumps(found.document(), indent=2)
