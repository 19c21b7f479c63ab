"""Helm values that the engine sets over an app's own files (contract.md, section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from railiance.domain.candidate import Candidate

NO_STABLE = "none"
"""`railiance.previousStable` of a first install."""


def overlay_for(
    track: str,
    *,
    candidate: Candidate,
    stable_release: str,
    canary_release: str,
    previous_stable: str,
    mode: str,
    provider: str,
    values_key: str,
) -> dict[str, Any]:
    """Return the values that win over the app's files for one track.

    Args:
        track: `stable` or `canary`.
        candidate: What goes out; its digest labels the pods, its image digest is set under `values_key`.
        stable_release: helm_release of the stable track.
        canary_release: helm_release of the canary track.
        previous_stable: helm_revision of the stable track before this change, or `none`.
        mode: `isolated` or `weighted`.
        provider: `traefik` or `gateway-api`.
        values_key: Dotted path of the image's values, such as `image`.
    """
    overlay: dict[str, Any] = {
        "railiance": {
            "stage": track,
            "stableRelease": stable_release,
            "canaryRelease": canary_release,
            "previousStable": previous_stable,
            "candidate": candidate.short,
            "traffic": {"managed": True, "mode": mode, "provider": provider},
        }
    }
    image = candidate.images[0] if candidate.images else None
    if image and image.digest:
        merge(overlay, nested(values_key, {"repository": image.name, "digest": image.digest}))
    return overlay


def nested(path: str, value: Any) -> dict[str, Any]:
    """Return `value` under a dotted path: `nested("a.b", 1)` is `{"a": {"b": 1}}`."""
    keys = path.split(".")
    for key in reversed(keys):
        value = {key: value}
    result: dict[str, Any] = value
    return result


def merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Merge one values document into another, tables key by key, as Helm does."""
    for key, value in other.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, Mapping):
            merge(present, value)
        else:
            into[key] = value
