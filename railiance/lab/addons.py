"""What the lab puts into the cluster: Gateway API, Traefik, names, storage class, the way to Prometheus."""

from __future__ import annotations

from railiance.lab import builds, images
from railiance.lab.kubectl import Kubectl, manifest
from railiance.lab.layout import INGRESS_PORT, METRICS_PORT, Lab
from railiance.lab.registry import Registry

NAMESPACE = "kube-system"


def push_images(registry: Registry) -> None:
    """Put the images of the addons, and podinfo, into the registry."""
    for make in (images.pause_image, images.coredns_image, images.traefik_image, images.podinfo_image):
        image = make()
        path, _, tag = image.name.partition(":")
        if registry.find(path, tag) is None:
            images.push(registry, image)


def install(lab: Lab, kubectl: Kubectl) -> None:
    """Apply the addons of a native lab; what is there already stays as it is."""
    kubectl.apply_folder(builds.GATEWAY_API.folder / "crds")
    kubectl.apply_folder(builds.TRAEFIK.folder / "crds")
    kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
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
    kubectl.apply("\n---\n".join(parts))


def states(kubectl: Kubectl) -> dict[str, bool]:
    """Return, for each addon in the cluster, whether it is ready."""
    return {
        "gateway-api": kubectl.get("crd", "httproutes.gateway.networking.k8s.io") is not None,
        "coredns": kubectl.ready("deployment", NAMESPACE, "coredns"),
        "traefik": kubectl.ready("deployment", NAMESPACE, "traefik"),
        "storage-class": kubectl.get("storageclass", "local-path") is not None,
    }


def _image(lab: Lab, name: str) -> str:
    recipe = {"coredns": builds.COREDNS, "traefik": builds.TRAEFIK}[name]
    return f"{lab.registry}/railiance-lab/{name}:{recipe.version}"
