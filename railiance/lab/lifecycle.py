"""The lab's verbs: up, down, status, and getting images into it."""

from __future__ import annotations

from pathlib import Path

from railiance.domain.errors import Usage
from railiance.lab import archives, builds, existing, images, kind, native, providers, state
from railiance.lab.labstatus import LabStatus
from railiance.lab.layout import default_name
from railiance.lab.progress import Progress, Silent, silent
from railiance.lab.registry import ImageRef, Registry


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
    """Have a lab running and return where it answers; what runs already is left as it is.

    Args:
        name: The lab; `RAILIANCE_LAB`, else `railiance`, by default.
        nodes: 1 or 3; not for an existing cluster, which has the nodes that it has.
        with_prometheus: False for a cluster without central monitoring.
        provider: `existing`, `kind`, `native`, or `auto` for the first of them that fits.
        kubeconfig: Access to an existing cluster.
        context: The context in it; None for its current one.
        progress: Where the steps are told.

    Raises:
        Conflict: A lab of that name is there in another shape, or its ports or addresses are taken.
        Unavailable: No provider fits here, or something that it needs cannot be had.
    """
    lab, told = name or default_name(), progress or Silent()
    with state.locked(f"lab-{lab}", f"Another program is working on the lab {lab}."):
        # A lab stays with its provider: only a new one has a choice.
        has_access = kubeconfig is not None or context is not None
        chosen = state.provider_of(lab) or providers.choose(provider, has_access)
        providers.check_same(lab, chosen, provider, has_access)
        if chosen == "existing":
            return existing.up(lab, kubeconfig, context, with_prometheus, told)
        if chosen == "kind":
            return kind.up(lab, nodes, with_prometheus, told)
        return native.up(lab, nodes, with_prometheus, told)


def down(name: str | None = None, *, progress: Progress | None = None) -> list[str]:
    """Take a lab down, also one that is only half there, and return what could not be removed.

    Args:
        name: The lab; `RAILIANCE_LAB`, else `railiance`, by default.
        progress: Where the steps are told.

    Raises:
        Usage: There is no lab of that name.
    """
    lab, told = name or default_name(), progress or Silent()
    with state.locked(f"lab-{lab}", f"Another program is working on the lab {lab}."):
        provider = _provider(lab)
        if provider == "existing":
            return existing.down(lab, told)
        if provider == "kind":
            return kind.down(lab, told)
        return native.down(lab, told)


def status(name: str | None = None) -> LabStatus:
    """Return how a lab stands.

    Raises:
        Usage: There is no lab of that name.
    """
    lab = name or default_name()
    provider = _provider(lab)
    if provider == "existing":
        return existing.status(lab)
    if provider == "kind":
        return kind.status(lab)
    return native.status(lab)


def build_demo_image(version: str, *, name: str | None = None) -> ImageRef:
    """Put the demo application, as this version, into the lab's registry and return it by its digest."""
    builds.ensure(builds.DEMOAPP, silent)
    return images.push(_registry(name), images.demo_image(version))


def load_image(source: Path, *, name: str | None = None, image_name: str | None = None) -> list[ImageRef]:
    """Put the images of an archive (`docker save`) or an OCI layout into the lab's registry.

    Args:
        source: The archive, or the folder of the layout.
        name: The lab.
        image_name: `repository:tag` to keep the image under, instead of the name in the archive.
    """
    return archives.load(_registry(name), source, image_name)


def _provider(name: str) -> str:
    provider = state.provider_of(name)
    if provider is None:
        others = ", ".join(state.known_labs())
        message = f"There is no lab named {name}." + (f" There are: {others}." if others else "")
        raise Usage("LAB_NONE", message, "Run `railiance lab up`.")
    return provider


def _registry(name: str | None) -> Registry:
    found = status(name)
    if found.registry is None:
        message = f"The lab {found.name} has no registry of its own."
        raise Usage(
            "LAB_NO_REGISTRY", message, "Push the image to a registry that the cluster's nodes can reach."
        )
    return Registry(found.registry)
