"""Taking over what a plain Helm installed: from then on the engine alone owns the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from railiance.adapters.cluster import KubeCluster
from tests.lifecycle_kit import fresh_app

if TYPE_CHECKING:
    from railiance.lab import LabStatus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
WEIGHTS = {
    "traefik": ("traefik.io/v1alpha1", "TraefikService"),
    "gateway-api": ("gateway.networking.k8s.io/v1", "HTTPRoute"),
}


@pytest.mark.parametrize("provider", WEIGHTS)
def test_helm_keeps_no_claim_on_an_adopted_route(
    cluster: KubeCluster, kubeconfig: Path, lab: LabStatus, tmp_path: Path, provider: str
) -> None:
    """After an adoption nobody but the engine owns a field of the route, so the first weight meets no conflict."""
    with fresh_app(cluster, kubeconfig, lab, tmp_path, provider) as app:
        app.take_over("v1")
        api_version, kind = WEIGHTS[provider]
        owners = {
            claim["manager"]
            for body in cluster.list_objects(api_version, kind, app.name)
            for claim in body["metadata"]["managedFields"]
            if claim.get("subresource") != "status" and "f:spec" in claim.get("fieldsV1", {})
        }
        assert owners == {"railiance"}
        status = app.status()
        assert (status["weight"], status["serving"]["adopted"]) == (0, True)
