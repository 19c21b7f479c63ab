"""The values that the engine sets over an app's own files."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railiance.domain.candidate import Candidate, Image
from railiance.domain.values import NO_STABLE, merge, nested, overlay_for

DIGEST = "sha256:" + "a" * 64
CANDIDATE = Candidate(
    "web", "v1", "c" * 40, False, False, (Image("r/web", DIGEST),), None, (), "sha256:1", None
)


def overlay(
    candidate: Candidate = CANDIDATE, values_key: str = "image", previous: str = "3"
) -> dict[str, object]:
    """Return the overlay of the canary track."""
    return overlay_for(
        "canary",
        candidate=candidate,
        stable_release="web",
        canary_release="web-canary",
        previous_stable=previous,
        mode="weighted",
        provider="traefik",
        values_key=values_key,
    )


def test_what_a_chart_is_told() -> None:
    """A chart learns its track, both releases, the candidate and that traffic is managed for it."""
    assert overlay(previous=NO_STABLE) == {
        "railiance": {
            "stage": "canary",
            "stableRelease": "web",
            "canaryRelease": "web-canary",
            "previousStable": "none",
            "candidate": CANDIDATE.short,
            "traffic": {"managed": True, "mode": "weighted", "provider": "traefik"},
        },
        "image": {"repository": "r/web", "digest": DIGEST},
    }


@pytest.mark.parametrize("images", [(), (Image("r/web", None),)])
def test_no_digest_sets_no_image(images: tuple[Image, ...]) -> None:
    """Without a recorded digest the chart's own image stays."""
    assert set(overlay(replace(CANDIDATE, images=images))) == {"railiance"}


def test_the_image_may_be_anywhere() -> None:
    """A dotted values_key leads to where a chart keeps its image, beside the engine's own values."""
    found = overlay(values_key="railiance.server.image")
    assert found["railiance"]["server"] == {"image": {"repository": "r/web", "digest": DIGEST}}  # type: ignore[index]
    assert found["railiance"]["stage"] == "canary"  # type: ignore[index]


def test_nested() -> None:
    """A dotted path becomes tables within tables."""
    assert nested("a.b", 1) == {"a": {"b": 1}}


TREE = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
TABLE = st.dictionaries(st.sampled_from("abc"), TREE, max_size=3)


@settings(deadline=None)
@given(TABLE, TABLE)
def test_merge_keeps_and_wins(first: dict[str, object], second: dict[str, object]) -> None:
    """Tables merge key by key; where both say something, the later wins; merging again changes nothing."""
    kept = {key: value for key, value in first.items() if key not in second}
    merge(first, second)
    assert kept.items() <= first.items()
    assert all(first[key] == value for key, value in second.items() if not isinstance(value, dict))
    once = repr(first)
    merge(first, second)
    assert repr(first) == once
