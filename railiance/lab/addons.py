"""What the lab puts into the cluster: Gateway API, Traefik, names, storage class, the way to Prometheus."""

from __future__ import annotations

import hashlib
from pathlib import Path

from railiance.lab import builds, images
from railiance.lab.kubectl import Kubectl, manifest
from railiance.lab.layout import INGRESS_PORT, METRICS_PORT, Lab
from railiance.lab.registry import Registry
from railiance.lab.state import write_atomically

NAMESPACE = "kube-system"


def push_images(registry: Registry) -> None:
    """Put the images of the addons, and podinfo, into the registry."""
    for make in (images.pause_image, images.coredns_image, images.traefik_image, images.podinfo_image):
        image = make()
        path, _, tag = image.name.partition(":")
        if registry.find(path, tag) is None:
            images.push(registry, image)


def install(lab: Lab, kubectl: Kubectl) -> None:
    """Apply the addons of a native lab, unless these very ones are there and well."""
    definitions = [_folder(recipe.folder / "crds") for recipe in (builds.GATEWAY_API, builds.TRAEFIK)]
    objects = _objects(lab)
    note, digest = lab.folder / "addons.applied", _digest([*definitions, objects])
    if note.exists() and note.read_text() == digest and all(states(kubectl).values()):
        return
    for text in definitions:
        kubectl.apply(text)
    kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    kubectl.apply(objects)
    write_atomically(note, digest)


def _objects(lab: Lab) -> str:
    first_node = lab.nodes[0].name
    parts = [
        manifest("access"),
        manifest("storage"),
        manifest(
            "coredns",
            first_node=first_node,
            dns_address=lab.dns_address,
            coredns_image=_image(lab, "coredns"),
        ),
        manifest(
            "traefik",
            first_node=first_node,
            traefik_image=_image(lab, "traefik"),
            ingress_port=INGRESS_PORT,
            metrics_port=METRICS_PORT,
            ingress_url=lab.ingress_url,
        ),
    ]
    if lab.with_prometheus:
        parts.append(
            manifest("prometheus", host_address=lab.host_address, prometheus_port=lab.prometheus_port)
        )
    return "\n---\n".join(parts)


def states(kubectl: Kubectl) -> dict[str, bool]:
    """Return, for each addon in the cluster, whether it is ready."""
    return {
        "gateway-api": kubectl.get("crd", "httproutes.gateway.networking.k8s.io") is not None,
        "coredns": kubectl.ready("deployment", NAMESPACE, "coredns"),
        "traefik": kubectl.ready("deployment", NAMESPACE, "traefik"),
        "storage-class": kubectl.get("storageclass", "local-path") is not None,
    }


def _folder(folder: Path) -> str:
    return "\n---\n".join(path.read_text() for path in sorted(folder.glob("*.y*ml")))


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _image(lab: Lab, name: str) -> str:
    recipe = {"coredns": builds.COREDNS, "traefik": builds.TRAEFIK}[name]
    return f"{lab.registry}/railiance-lab/{name}:{recipe.version}"
