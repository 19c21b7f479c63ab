"""What the lab puts into the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from railiance.lab import addons, existing
from railiance.lab.kubectl import manifest
from railiance.lab.labstatus import LabStatus
from railiance.lab.layout import Lab


def documents(text: str) -> list[dict[str, Any]]:
    """Return the documents of a manifest."""
    return [document for document in yaml.safe_load_all(text) if document]


def find(text: str, kind: str, name: str) -> dict[str, Any]:
    """Return the one document of this kind and name."""
    (found,) = [d for d in documents(text) if (d["kind"], d["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize("with_prometheus", [True, False])
def test_the_addons_are_whole_manifests(with_prometheus: bool) -> None:
    """Every name is filled in and every document names itself; Prometheus is there only if it is wanted."""
    text = addons._objects(Lab("x", 1, 3, with_prometheus=with_prometheus))
    assert "$" not in text
    assert all(d["apiVersion"] and d["metadata"]["name"] for d in documents(text))
    assert ("monitoring" in text) == with_prometheus


def test_a_name_without_a_value_is_an_error() -> None:
    """A forgotten value never reaches the cluster as text."""
    with pytest.raises(KeyError):
        manifest("traefik")


def test_traefik_is_what_the_product_expects() -> None:
    """Label, port name, flags of the judge, both route providers, one pod at a time on the first node."""
    deployment = find(addons._objects(Lab("x", 1, 3)), "Deployment", "traefik")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "traefik"
    assert pod["spec"]["hostNetwork"] is True
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "x-1"}
    (container,) = pod["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "web": 26080,
        "metrics": 9100,
    }
    for flag in (
        "--providers.kubernetesgateway",
        "--providers.kubernetescrd",
        "--metrics.prometheus.addServicesLabels=true",
        "--metrics.prometheus.buckets=0.05,0.1,0.25,0.5,1,2.5,5",
        "--providers.providersThrottleDuration=200ms",
    ):
        assert flag in container["args"]


def test_the_gateway_takes_routes_from_everywhere_on_traefiks_own_port() -> None:
    """Traefik finds the entry point of a listener by its number."""
    (listener,) = find(addons._objects(Lab("x", 1, 1)), "Gateway", "traefik-gateway")["spec"]["listeners"]
    assert listener["port"] == 26080
    assert listener["allowedRoutes"] == {"namespaces": {"from": "All"}}


def test_an_existing_cluster_gets_manifests_with_public_images() -> None:
    """What we install elsewhere names images that its nodes can pull."""
    for part in ("traefik", "prometheus"):
        text = existing._text(part, "node-1")
        images = [
            container["image"]
            for document in documents(text)
            if document["kind"] == "Deployment"
            for container in document["spec"]["template"]["spec"]["containers"]
        ]
        assert images
        assert all(not image.startswith("127.") for image in images)
    config = find(existing._text("prometheus", "n"), "ConfigMap", "prometheus")["data"]["prometheus.yml"]
    replacements = [
        rule.get("replacement")
        for job in yaml.safe_load(config)["scrape_configs"]
        for rule in job["relabel_configs"]
    ]
    assert "$1:$2" in replacements


@pytest.mark.parametrize(
    ("nodes", "others", "ready"),
    [
        ({"n": True}, {"a": True}, True),
        ({"n": False}, {"a": True}, False),
        ({"n": True}, {"a": False}, False),
        ({}, {"a": True}, False),
        ({"n": True}, {}, False),
    ],
)
def test_a_lab_is_ready_only_when_all_of_it_is(
    nodes: dict[str, bool], others: dict[str, bool], ready: bool
) -> None:
    """No node and no answer are not ready."""
    status = LabStatus("x", "native", Path("k"), None, None, None, nodes=nodes, addons=others)
    assert status.ready is ready
    assert status.document()["ready"] is ready
